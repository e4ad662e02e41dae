package frontdoor

import (
	"bytes"
	"log/slog"
)

// wrongMode is a client that speaks something else than the port does.
type wrongMode struct {
	kind   string // label of the metric
	advice string // what to change in the client
}

var (
	silentOn465 = wrongMode{"silent", "the client sent nothing and probably waits for a plaintext greeting: set its encryption to SSL/TLS, or its port to 587 with STARTTLS"}
	smtpOn465   = wrongMode{"plaintext_smtp", "the client speaks SMTP without TLS on 465: set its encryption to SSL/TLS, or its port to 587 with STARTTLS"}
	httpOn465   = wrongMode{"http", "the client speaks HTTP: this port takes mail, over TLS"}
	otherOn465  = wrongMode{"plaintext", "the client's first byte is not TLS: set its encryption to SSL/TLS"}
	tlsOn587    = wrongMode{"tls", "the client starts TLS at once on 587: set its port to 465, or its encryption to STARTTLS"}
	httpOn587   = wrongMode{"http", "the client speaks HTTP: this port takes mail"}
)

const (
	// tlsHandshakeRecord is the first byte of a ClientHello (RFC 8446 §5.1).
	tlsHandshakeRecord = 0x16
	// sniffLength is enough to tell the verbs apart.
	sniffLength = 8
)

var (
	httpVerbs = [][]byte{[]byte("GET "), []byte("POST "), []byte("PUT "), []byte("HEAD "), []byte("OPTIONS "), []byte("CONNECT "), []byte("DELETE "), []byte("PRI * ")}
	smtpVerbs = [][]byte{[]byte("EHLO"), []byte("HELO"), []byte("STARTTLS"), []byte("AUTH "), []byte("MAIL "), []byte("NOOP"), []byte("QUIT")}
)

func startsWithVerb(first []byte, verbs [][]byte) bool {
	upper := bytes.ToUpper(first)
	for _, verb := range verbs {
		n := min(len(verb), sniffLength)
		if len(upper) >= n && bytes.Equal(upper[:n], verb[:n]) {
			return true
		}
	}
	return false
}

// modeOn465 names what a client speaks that did not start with a TLS handshake.
func modeOn465(first []byte) wrongMode {
	switch {
	case startsWithVerb(first, smtpVerbs):
		return smtpOn465
	case startsWithVerb(first, httpVerbs):
		return httpOn465
	}
	return otherOn465
}

func (d *Door) reportWrongMode(service Service, mode wrongMode, client string) {
	d.metrics.wrongMode.WithLabelValues(string(service), mode.kind).Inc()
	d.options.Logger.Warn("client uses the wrong mode",
		slog.String("service", string(service)),
		slog.String("kind", mode.kind),
		slog.String("client", client),
		slog.String("advice", mode.advice))
}
