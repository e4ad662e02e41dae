package delivery

import (
	"crypto/tls"
	"crypto/x509"
	"slices"
	"strings"
	"time"

	"github.com/mailrelay-dev/mailrelay-operator/relay/config"
)

// reported are the EHLO keywords that reports name: what a relay can make use of.
var reported = []string{"8BITMIME", "CHUNKING", "DSN", "ENHANCEDSTATUSCODES", "LIMITS", "PIPELINING", "SIZE", "SMTPUTF8"}

// Bounds of what an upstream can make a report hold.
const (
	mostMechanisms   = 16
	longestMechanism = 20 // RFC 4422 §3.1
)

// newProbeReport writes down what the opening of a session showed.
func newProbeReport(f facts, is finding, now time.Time) *config.ProbeReport {
	r := &config.ProbeReport{Time: now, Reachable: true, Certificate: newPeerCertificate(f.certificate())}
	if f.encryption != nil {
		r.TLSVersion = strings.TrimPrefix(tls.VersionName(f.encryption.Version), "TLS ")
		r.CipherSuite = tls.CipherSuiteName(f.encryption.CipherSuite)
	}
	r.Mechanisms, r.PlaintextMechanisms = mechanismsOf(f.offered), mechanismsOf(f.plaintext)
	r.MaxSize = f.offered.size()
	for _, keyword := range reported {
		if f.offered.has(keyword) {
			r.Capabilities = append(r.Capabilities, keyword)
		}
	}
	switch {
	case f.loggedIn():
		r.Login = &config.LoginReport{Time: now, Authenticated: true}
	case ofLogin(is.fault):
		r.Login = &config.LoginReport{Time: now, Fault: is.fault, Error: is.sentence}
	case is.fault != "":
		r.Reachable = is.fault == config.FaultThrottled
		r.Fault, r.Error = is.fault, is.sentence
	}
	return r
}

// ofLogin reports whether a fault is one of the login: the upstream can be reached then.
func ofLogin(fault config.Fault) bool {
	switch fault {
	case config.FaultLoginRefused, config.FaultLoginUnsupported, config.FaultNoToken:
		return true
	}
	return false
}

// mechanismsOf are those that AUTH offers.
func mechanismsOf(offered extensions) []string {
	list := slices.DeleteFunc(strings.Fields(strings.ToUpper(offered["AUTH"])), func(name string) bool {
		return len(name) > longestMechanism || strings.Trim(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_") != ""
	})
	slices.Sort(list)
	list = slices.Compact(list)
	return list[:min(len(list), mostMechanisms)]
}

func newPeerCertificate(c *x509.Certificate) *config.PeerCertificate {
	if c == nil {
		return nil
	}
	return &config.PeerCertificate{
		Subject: oneLine(c.Subject.String()), Issuer: oneLine(c.Issuer.String()), Names: names(c), NotAfter: c.NotAfter,
	}
}
