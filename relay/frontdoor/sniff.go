package frontdoor

import (
	"bytes"
	"slices"
)

// mode is the protocol that a client's first bytes belong to.
type mode string

const (
	modeUnknown mode = "unknown"
	modeTLS     mode = "tls"
	modeSMTP    mode = "smtp"
	modeHTTP    mode = "http"
	modeProxy   mode = "proxy_protocol"
	modeSilent  mode = "silent"
)

// advice is what to change when a client comes to a service in the wrong mode.
var advice = map[Service]map[mode]string{
	Submissions: {
		modeSMTP:    "client speaks plaintext SMTP on 465: set its encryption to SSL/TLS (implicit), or its port to 587 with STARTTLS",
		modeHTTP:    "client speaks HTTP on 465: this port takes mail, point the client elsewhere",
		modeProxy:   "load balancer sends a PROXY protocol header on 465: turn that off",
		modeSilent:  "client waits for a plaintext greeting on 465: set its encryption to SSL/TLS (implicit), or its port to 587 with STARTTLS",
		modeUnknown: "client speaks neither TLS nor SMTP on 465: this port takes mail over TLS",
	},
	Submission: {
		modeTLS:   "client speaks TLS at once on 587: set its port to 465, or its encryption to STARTTLS",
		modeHTTP:  "client speaks HTTP on 587: this port takes mail, point the client elsewhere",
		modeProxy: "load balancer sends a PROXY protocol header on 587: turn that off",
	},
}

// wrongModeReply is the last word to a client of port 587 in the wrong mode. A TLS client is
// told nothing: what is not a TLS record tells it no more than a close.
const wrongModeReply = "554 5.5.1 This is SMTP: use it with STARTTLS on this port"

// enough is the number of first bytes that tell every mode apart.
const enough = 8

var (
	proxyV1 = []byte("PROXY ")
	proxyV2 = []byte("\r\n\r\n\x00\r\nQUIT\n")

	httpMethods = []string{"GET", "POST", "HEAD", "PUT", "OPTIONS", "CONNECT", "DELETE", "PATCH", "TRACE", "PRI"}
	smtpVerbs   = []string{"EHLO", "HELO", "MAIL", "RCPT", "DATA", "RSET", "NOOP", "QUIT", "AUTH", "STARTTLS", "HELP", "VRFY", "LHLO"}
)

// isTLS tells a handshake record (RFC 8446 §5.1) from text by its first byte.
func isTLS(first []byte) bool { return len(first) > 0 && first[0] == 0x16 }

// sniff names the protocol of a client's first bytes.
func sniff(first []byte) mode {
	switch {
	case isTLS(first):
		return modeTLS
	case bytes.HasPrefix(first, proxyV1), bytes.HasPrefix(first, proxyV2[:min(enough, len(first))]) && len(first) >= 5:
		return modeProxy
	}
	word := bytes.ToUpper(first)
	if end := bytes.IndexAny(word, " \t\r\n"); end >= 0 {
		word = word[:end]
	}
	switch {
	case slices.Contains(httpMethods, string(word)):
		return modeHTTP
	case slices.Contains(smtpVerbs, string(word)):
		return modeSMTP
	}
	return modeUnknown
}
