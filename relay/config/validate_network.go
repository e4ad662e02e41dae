package config

import (
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"
)

func (l *Listeners) validate(k *checker) {
	if l.Submissions.Disabled && l.Submission.Disabled {
		k.failf("listeners", "both listeners are disabled: leave at least one enabled")
	}
	k.address("listeners.submissions.address", l.Submissions.Address)
	k.address("listeners.submission.address", l.Submission.Address)
	positive(k, "listeners.", map[string]int64{
		"silence":                  int64(l.Silence),
		"maxConnections":           int64(l.MaxConnections),
		"maxConnectionsPerAddress": int64(l.MaxConnectionsPerAddress),
	})
}

func (t *TLS) validate(k *checker) {
	k.oneOf("tls.minVersion", t.MinVersion, "1.2", "1.3")
	for _, file := range []struct{ field, value string }{
		{"tls.internal.certFile", t.Internal.CertFile}, {"tls.internal.keyFile", t.Internal.KeyFile},
	} {
		if file.value == "" {
			k.failf(file.field, "missing: write the path of a PEM file")
		}
	}
	for i, name := range t.Names {
		if !isHostname(name) {
			k.failf(fmt.Sprintf("tls.names[%d]", i), "%q is not a host name: write one such as mail.example.com", name)
		}
	}
	if (t.External.CertFile == "") != (t.External.KeyFile == "") {
		k.failf("tls.external", "certFile and keyFile go together: write both or none")
	}
}

func (a *Admin) validate(k *checker) {
	for _, port := range []struct{ field, value string }{
		{"admin.probes", a.Probes}, {"admin.metrics", a.Metrics}, {"admin.status", a.Status},
	} {
		if port.value != Off {
			k.address(port.field, port.value)
		}
	}
	if a.Status != Off && a.StatusClientCAFile == "" {
		k.failf("admin.statusClientCAFile", "missing: the status port shows itself only to clients of a CA: write the path of its PEM file, or turn status off")
	}
}

// address wants something that can be listened on.
func (k *checker) address(field, value string) {
	host, port, err := net.SplitHostPort(value)
	number, numberErr := strconv.Atoi(port)
	if err != nil || numberErr != nil || number < 0 || number > 65535 {
		k.failf(field, "%q is not an address to listen on: write one such as :465 or 127.0.0.1:465", value)
		return
	}
	if _, err := netip.ParseAddr(host); host != "" && err != nil && !isHostname(host) {
		k.failf(field, "%q is not a host to listen on: write an IP address, or nothing for all", host)
	}
}

// oneOf wants one of a few words.
func (k *checker) oneOf(field, value string, words ...string) {
	switch {
	case slices.Contains(words, value):
	case value == "":
		k.failf(field, "missing: write %s", orList(words))
	default:
		k.failf(field, "%q is not possible: write %s", value, orList(words))
	}
}

func orList(words []string) string {
	last := len(words) - 1
	return strings.Join(words[:last], ", ") + " or " + words[last]
}
