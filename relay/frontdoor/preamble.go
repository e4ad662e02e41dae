package frontdoor

import (
	"slices"
	"strings"
)

// step is what follows a command of the preamble.
type step int

const (
	stepNext step = iota
	stepStartTLS
	stepQuit
	stepHTTP
)

// preamble is the plaintext dialogue on port 587, as far as STARTTLS. It keeps nothing
// that a client says: all that is known from before TLS must be forgotten (RFC 3207
// §4.2).
type preamble struct{ hostname string }

func (p preamble) greeting() string { return "220 " + p.hostname + " ESMTP\r\n" }

// command answers one line and says what is next. The reply is what to send, in one
// piece: sslscan, for one, looks for STARTTLS in the first segment only.
func (p preamble) command(line string) (string, step) {
	verb, argument, _ := strings.Cut(strings.TrimRight(line, " \t"), " ")
	verb = strings.ToUpper(verb)
	switch verb {
	case "EHLO", "HELO":
		return p.hello(verb, argument), stepNext
	case "NOOP", "RSET":
		return "250 2.0.0 OK\r\n", stepNext
	case "QUIT":
		return "221 2.0.0 " + p.hostname + " closing connection\r\n", stepQuit
	case "STARTTLS":
		if argument != "" {
			return "501 5.5.4 STARTTLS takes no argument\r\n", stepNext
		}
		return "220 2.0.0 Ready to start TLS\r\n", stepStartTLS
	case "":
		return "500 5.5.2 Empty command\r\n", stepNext
	}
	if slices.Contains(httpMethods, verb) {
		return "", stepHTTP
	}
	return "530 5.7.0 Must issue a STARTTLS command first\r\n", stepNext
}

// hello offers STARTTLS and little else: the client asks again after TLS. PIPELINING is
// left out since nothing may be sent after STARTTLS.
func (p preamble) hello(verb, argument string) string {
	switch {
	case strings.TrimSpace(argument) == "":
		return "501 5.5.4 EHLO and HELO need your domain or address literal\r\n"
	case verb == "HELO":
		return "250 " + p.hostname + "\r\n"
	}
	return "250-" + p.hostname + " greets you\r\n" +
		"250-8BITMIME\r\n" +
		"250-ENHANCEDSTATUSCODES\r\n" +
		"250 STARTTLS\r\n"
}
