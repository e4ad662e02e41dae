package relay_test

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/emersion/go-smtp"
)

// Clients connect 200 times a second over both ports, and the certificate is renewed all the
// time, by another CA every time. Each client trusts both CAs, and looks at the name.
func TestNoHandshakeFailsWhileCertificatesAreRenewed(t *testing.T) {
	t.Parallel()
	const (
		connections = 800
		rate        = 200
	)
	site := newSite(t, newUpstream(t))
	cas := []*authority{site.ca, newAuthority(t)}
	trusted := &tls.Config{ServerName: hostname, RootCAs: site.ca.pool()}
	trusted.RootCAs.AddCert(cas[1].cert)
	r := site.start()

	ctx, cancel := context.WithCancel(t.Context())
	var renewing, connecting sync.WaitGroup
	renewals := 0
	renewing.Go(func() {
		for ; ctx.Err() == nil; renewals++ {
			site.certificate("tls", cas[renewals%2].server(hostname))
			// The relay lets files come to rest before it reads them.
			time.Sleep(200 * time.Millisecond)
		}
	})
	var failed atomic.Int64
	var seen sync.Map
	ticker := time.NewTicker(time.Second / rate)
	defer ticker.Stop()
	for i := range connections {
		<-ticker.C
		connecting.Go(func() {
			serial, err := handshake(r, i%2 == 0, trusted)
			if err != nil {
				failed.Add(1)
				t.Errorf("connection %d: %v", i, err)
			}
			seen.Store(serial, true)
		})
	}
	connecting.Wait()
	cancel()
	renewing.Wait()
	served := 0
	seen.Range(func(any, any) bool { served++; return true })
	t.Logf("%d connections, %d certificates written, %d seen, %d failed", connections, renewals, served, failed.Load())
	if served < 3 {
		t.Errorf("only %d certificates were seen, which shows nothing", served)
	}
}

// handshake is a session of a client that only logs off again, and the serial number of the
// certificate that it was shown.
func handshake(r *running, implicit bool, trusted *tls.Config) (string, error) {
	var client *smtp.Client
	if implicit {
		conn, err := tls.DialWithDialer(&net.Dialer{Timeout: 20 * time.Second}, "tcp", r.Submissions.String(), trusted)
		if err != nil {
			return "", err
		}
		client = smtp.NewClient(conn)
	} else {
		conn, err := net.DialTimeout("tcp", r.Submission.String(), 20*time.Second)
		if err != nil {
			return "", err
		}
		if client, err = smtp.NewClientStartTLS(conn, trusted); err != nil {
			return "", fmt.Errorf("STARTTLS: %w", err)
		}
	}
	defer client.Close()
	if err := client.Noop(); err != nil {
		return "", fmt.Errorf("NOOP: %w", err)
	}
	state, ok := client.TLSConnectionState()
	if !ok {
		return "", fmt.Errorf("it is not encrypted")
	}
	return state.PeerCertificates[0].SerialNumber.String(), client.Quit()
}
