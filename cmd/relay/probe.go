package main

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"strings"
	"sync"
	"time"

	"github.com/mailrelay-dev/mailrelay-operator/relay/config"
	"github.com/mailrelay-dev/mailrelay-operator/relay/delivery"
)

// probeUpstreams tries all upstreams at the same time and prints what it found. The error names
// those that cannot be used.
func probeUpstreams(ctx context.Context, w io.Writer, s *config.Snapshot) error {
	reports := make([]*config.ProbeReport, len(s.Upstreams))
	var probes sync.WaitGroup
	for i, u := range s.Upstreams {
		probes.Go(func() { reports[i] = delivery.Probe(ctx, s.Config.Hostname, u) })
	}
	probes.Wait()
	var unusable []string
	for i, r := range reports {
		name := s.Upstreams[i].Name
		if !r.Usable() {
			unusable = append(unusable, name)
		}
		if err := printLines(w, probed(name, r)); err != nil {
			return err
		}
	}
	if len(unusable) > 0 {
		return fmt.Errorf("cannot be used: %s", strings.Join(unusable, ", "))
	}
	return nil
}

// probed says in words what was found of an upstream.
func probed(name string, r *config.ProbeReport) []string {
	lines := []string{"probe of " + name + ": " + verdict(r)}
	add := func(title, text string) {
		if text != "" {
			lines = append(lines, "  "+title+": "+text)
		}
	}
	if r.TLSVersion != "" {
		add("TLS", r.TLSVersion+", "+r.CipherSuite)
	}
	if c := r.Certificate; c != nil {
		add("certificate", fmt.Sprintf("%s, for %s, signed by %s, until %s", cmp.Or(c.Subject, "no subject"),
			cmp.Or(strings.Join(c.Names, " "), "no host"), cmp.Or(c.Issuer, "nobody"), c.NotAfter.UTC().Format(time.DateOnly)))
	}
	add("offers", strings.Join(r.Capabilities, " "))
	if r.MaxSize > 0 {
		add("largest message", fmt.Sprintf("%d bytes", r.MaxSize))
	}
	add("login mechanisms", strings.Join(r.Mechanisms, " "))
	add("login mechanisms without encryption", strings.Join(r.PlaintextMechanisms, " "))
	return lines
}

func verdict(r *config.ProbeReport) string {
	switch {
	case r.Fault == config.FaultThrottled:
		return "busy, try again later: " + r.Error
	case r.Error != "":
		return "cannot be used: " + r.Error
	case r.Login == nil:
		return "can be used, without a login"
	case r.Login.Authenticated:
		return "can be used, the login works"
	default:
		return "cannot be used: " + r.Login.Error
	}
}
