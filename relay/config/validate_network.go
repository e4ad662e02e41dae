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
	if (t.External.CertFile == "") != (t.External.KeyFile == "") {
		k.failf("tls.external", "certFile and keyFile go together: write both or none")
	}
}

func (c *Config) validateUpstreams(k *checker) {
	if len(c.Upstreams) == 0 {
		k.failf("upstreams", "missing: write at least one upstream to deliver to")
	}
	seen := map[string]bool{}
	for i := range c.Upstreams {
		u, field := &c.Upstreams[i], fmt.Sprintf("upstreams[%d]", i)
		u.validate(k, field+".")
		if u.Name != "" && seen[u.Name] {
			k.failf(field+".name", "%q is the name of two upstreams: give each its own", u.Name)
		}
		seen[u.Name] = true
	}
}

func (u *Upstream) validate(k *checker, prefix string) {
	if !isLabel(u.Name) {
		k.failf(prefix+"name", "%q is not a name: write lower-case letters, digits and hyphens, at most 63", u.Name)
	}
	if _, err := netip.ParseAddr(u.Host); err != nil && !isHostname(u.Host) {
		k.failf(prefix+"host", "%q is not a host: write a host name such as smtp.example.com, or an IP address", u.Host)
	}
	if u.Port < 1 || u.Port > 65535 {
		k.failf(prefix+"port", "%d is not a port: write 1 to 65535", u.Port)
	}
	k.oneOf(prefix+"tls", string(u.TLS), string(TLSImplicit), string(TLSStartTLS), string(TLSNone))
	if u.TLS == TLSNone && u.PlaintextAcknowledgement != PlaintextAcknowledgement {
		k.failf(prefix+"plaintextAcknowledgement", "tls is None: write %q here, or use Implicit or StartTLS", PlaintextAcknowledgement)
	}
	u.Auth.validate(k, prefix+"auth.")
	for i, name := range u.UnsignedHeaders {
		field := fmt.Sprintf("%sunsignedHeaders[%d]", prefix, i)
		switch {
		case !isHeaderName(name):
			k.failf(field, "%q is not the name of a header field: write one such as Message-ID, without a colon", name)
		case strings.EqualFold(name, "From"):
			k.failf(field, "From must be signed (RFC 6376 §5.4): take it out of the list")
		}
	}
	positive(k, prefix+"limits.", map[string]int{
		"connections":           u.Limits.Connections,
		"messagesPerConnection": u.Limits.MessagesPerConnection,
		"recipientsPerMessage":  u.Limits.RecipientsPerMessage,
	})
}

func (a *Auth) validate(k *checker, prefix string) {
	if a.Mechanism != "" {
		k.oneOf(prefix+"mechanism", a.Mechanism, "PLAIN", "LOGIN")
	}
	if a.Mechanism == "" && a.UsernameFile == "" && a.PasswordFile == "" {
		return
	}
	if a.UsernameFile == "" {
		k.failf(prefix+"usernameFile", "missing: write the path of the file that holds the user name, or leave out auth")
	}
	if a.PasswordFile == "" {
		k.failf(prefix+"passwordFile", "missing: write the path of the file that holds the password, or leave out auth")
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
