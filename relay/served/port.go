package served

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/textproto"

	"github.com/mailrelay-dev/mailrelay-operator/relay/config"
)

// port is one of the relay's own.
type port struct {
	addr     net.Addr
	starttls bool
	own      *Own
}

func (w *Watch) ports() []port {
	var ports []port
	if w.options.Submissions != nil {
		ports = append(ports, port{addr: w.options.Submissions, own: w.options.Own})
	}
	if w.options.Submission != nil {
		ports = append(ports, port{addr: w.options.Submission, starttls: true, own: w.options.Own})
	}
	return ports
}

// number is that of the port.
func (p port) number() int {
	if tcp, ok := p.addr.(*net.TCPAddr); ok {
		return tcp.Port
	}
	return 0
}

// showAll is what clients of the port are shown, by the certificates that they should be.
func (p port) showAll(ctx context.Context, snapshot *config.Snapshot) map[string][]config.ServedReport {
	shown := map[string][]config.ServedReport{}
	for _, certificate := range snapshot.Certificates() {
		for _, host := range hosts(snapshot, certificate.Name) {
			shown[certificate.Name] = append(shown[certificate.Name], p.show(ctx, host, certificate.Fingerprint))
		}
	}
	return shown
}

// show is what a client of the port is shown that asks for a host, or for none, where it should
// be the certificate with the fingerprint. Once is no proof that a port does not answer: it may
// have been full.
func (p port) show(ctx context.Context, host, fingerprint string) config.ServedReport {
	report := config.ServedReport{Host: host, Port: p.number()}
	leaf, err := p.ask(ctx, host)
	if err != nil {
		leaf, err = p.ask(ctx, host)
	}
	if err != nil {
		report.Error = fmt.Sprintf("port %d does not answer %s: %s", report.Port, client(host), cause(err))
		return report
	}
	report.NotAfter = leaf.NotAfter
	report.Fingerprint = config.Fingerprint(leaf)
	report.Issuer = issuer(leaf)
	switch {
	case host != "" && leaf.VerifyHostname(host) != nil:
		report.Error = fmt.Sprintf("port %d shows %s a certificate that is not for that name", report.Port, client(host))
	case report.Fingerprint != fingerprint:
		report.Error = fmt.Sprintf("port %d shows %s another certificate than it should", report.Port, client(host))
	}
	return report
}

// client is one that asks for a host, or for none.
func client(host string) string {
	if host == "" {
		return "a client that asks for no name"
	}
	return "a client that asks for " + host
}

func issuer(leaf *x509.Certificate) string {
	name := leaf.Issuer
	if name.CommonName == "" && len(name.Organization) > 0 {
		return name.Organization[0]
	}
	return cmp.Or(name.CommonName, name.String())
}

// ask connects as a client does, and returns the certificate that it is shown.
func (p port) ask(ctx context.Context, host string) (*x509.Certificate, error) {
	raw, forget, err := p.own.dial(ctx, p.addr)
	if err != nil {
		return nil, err
	}
	defer forget()
	defer raw.Close()
	if deadline, bounded := ctx.Deadline(); bounded {
		if err := raw.SetDeadline(deadline); err != nil {
			return nil, err
		}
	}
	defer context.AfterFunc(ctx, func() { raw.Close() })()
	if p.starttls {
		if err := startTLS(raw); err != nil {
			return nil, err
		}
	}
	conn := tls.Client(raw, &tls.Config{
		ServerName: host,
		MinVersion: tls.VersionTLS12,
		// Whatever is shown shall be seen. Nothing is sent but QUIT.
		InsecureSkipVerify: true, //nolint:gosec // It looks at the certificate and trusts nothing.
	})
	if err := conn.HandshakeContext(ctx); err != nil {
		return nil, err
	}
	chain := conn.ConnectionState().PeerCertificates
	if len(chain) == 0 {
		return nil, errors.New("it shows no certificate")
	}
	text := textproto.NewConn(conn)
	if !p.starttls {
		if _, _, err := text.ReadResponse(220); err != nil {
			return nil, fmt.Errorf("greeting: %w", err)
		}
	}
	if err := say(text, "QUIT", 221); err != nil {
		return nil, err
	}
	return chain[0], nil
}

func startTLS(raw net.Conn) error {
	text := textproto.NewConn(raw)
	if _, _, err := text.ReadResponse(220); err != nil {
		return fmt.Errorf("greeting: %w", err)
	}
	if err := say(text, "EHLO localhost", 250); err != nil {
		return err
	}
	return say(text, "STARTTLS", 220)
}

func say(text *textproto.Conn, command string, want int) error {
	if err := text.PrintfLine("%s", command); err != nil {
		return fmt.Errorf("%s: %w", command, err)
	}
	if _, _, err := text.ReadResponse(want); err != nil {
		return fmt.Errorf("%s: %w", command, err)
	}
	return nil
}
