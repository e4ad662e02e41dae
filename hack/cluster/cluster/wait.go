package cluster

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/mailrelay-dev/mailrelay-operator/hack/cluster/component"
	"github.com/mailrelay-dev/mailrelay-operator/hack/cluster/process"
)

// patience is how long any one part may take to become well. It is far more than
// an idle machine needs.
const patience = 2 * time.Minute

const poll = 200 * time.Millisecond

// tailLines is how much of its log is shown when a component ends at the start.
const tailLines = 15

// eventually calls check until it succeeds. Its error is the last one of check.
func eventually(ctx context.Context, what string, check func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for {
		err := check(ctx)
		if err == nil {
			return nil
		}
		var dead *deadError
		if errors.As(err, &dead) {
			return fmt.Errorf("%w:\n%s", err, process.Tail(dead.record.Log, tailLines))
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%s within %s: %w", what, patience, err)
		case <-time.After(poll):
		}
	}
}

// deadError says that waiting longer is of no use.
type deadError struct {
	record process.Record
}

func (e *deadError) Error() string {
	return fmt.Sprintf("%s has ended; its log is %s", e.record.Name, e.record.Log)
}

// healthy tells whether a component runs and calls itself well.
func (c *Cluster) healthy(ctx context.Context, part component.Component) error {
	record, found, err := c.records.Read(part.Name)
	if err != nil {
		return err
	}
	if !found {
		return errors.New("not started")
	}
	if !record.Alive() {
		return &deadError{record}
	}
	if part.Health == "" {
		return nil
	}
	return c.probe(ctx, part.Health)
}

// probe asks for a URL with the administrator's certificate. Components that
// serve a certificate that they made themselves are not asked to prove more
// than their address.
func (c *Cluster) probe(ctx context.Context, url string) error {
	const timeout = 5 * time.Second
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	pair, err := tls.LoadX509KeyPair(c.PKI("admin.crt"), c.PKI("admin.key"))
	if err != nil {
		return fmt.Errorf("load the administrator's certificate: %w", err)
	}
	transport := &http.Transport{
		DisableKeepAlives: true,
		TLSClientConfig:   &tls.Config{Certificates: []tls.Certificate{pair}, InsecureSkipVerify: true},
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return fmt.Errorf("ask for %s: %w", url, err)
	}
	response, err := transport.RoundTrip(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("%s answers %s", url, response.Status)
	}
	return nil
}
