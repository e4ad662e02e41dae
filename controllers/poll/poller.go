package poll

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"

	"github.com/mailrelay-dev/mailrelay-operator/relay/config"
)

// Target is a relay pod.
type Target struct {
	// Address of its status port, host:port.
	Address string
	// ServerName that its certificate must carry.
	ServerName string
	// CA that must have signed it, as PEM.
	CA []byte
}

// Poller asks relay pods for their state.
type Poller struct {
	// Certificate is what the operator shows.
	Certificate func() (*tls.Certificate, error)
	// Timeout of one question; a pod whose node is gone answers nothing at all.
	Timeout time.Duration
}

const (
	// path is where the relay has its report.
	path = "/v1/status"
	// largestReport bounds what a relay can make the operator read.
	largestReport = 1 << 20
)

var errBadCA = errors.New("the relay's CA is not a PEM certificate")

// Poll asks one pod. Each call makes a connection of its own: they are rare, and both
// certificates may have changed since the last.
func (p *Poller) Poll(ctx context.Context, target Target) (*config.Report, error) {
	ctx, cancel := context.WithTimeout(ctx, p.Timeout)
	defer cancel()
	tlsConfig, err := p.tlsConfig(target)
	if err != nil {
		return nil, err
	}
	transport := &http.Transport{
		DialContext:       (&net.Dialer{}).DialContext,
		TLSClientConfig:   tlsConfig,
		DisableKeepAlives: true,
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "https://"+target.Address+path, http.NoBody)
	if err != nil {
		return nil, fmt.Errorf("status of %s: %w", target.Address, err)
	}
	response, err := transport.RoundTrip(request)
	if err != nil {
		return nil, fmt.Errorf("status of %s: %w", target.Address, err)
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("status of %s: the relay answers %s", target.Address, response.Status)
	}
	report := &config.Report{}
	if err := json.NewDecoder(io.LimitReader(response.Body, largestReport)).Decode(report); err != nil {
		return nil, fmt.Errorf("status of %s: %w", target.Address, err)
	}
	return report, nil
}

func (p *Poller) tlsConfig(target Target) (*tls.Config, error) {
	certificate, err := p.Certificate()
	if err != nil {
		return nil, err
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(target.CA) {
		return nil, errBadCA
	}
	return &tls.Config{
		MinVersion:   tls.VersionTLS13,
		ServerName:   target.ServerName,
		RootCAs:      roots,
		Certificates: []tls.Certificate{*certificate},
	}, nil
}
