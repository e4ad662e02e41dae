package frontdoor

import "strings"

// effect is what a reply says about how far the dialogue has come.
type effect int

const (
	effectNone effect = iota
	// effectBegin: a MAIL was accepted, a transaction is open.
	effectBegin
	// effectReset: no transaction is open any more.
	effectReset
)

// correction replaces one reply of go-smtp v0.25.1.
type correction struct {
	code     int
	enhanced string
	// text of go-smtp; a * at one of its ends stands for anything.
	text string
	// instead is what the client is told: a whole reply, in which %h is the relay's
	// name. Where it ends in a space, the text of go-smtp follows. Empty keeps the reply.
	instead string
	effect  effect
}

// corrections are tried in order; each is tested against the pinned go-smtp.
var corrections = []correction{
	// Greeting, EHLO and HELO: the relay's name and not the client's words (RFC 5321
	// §4.1.1.1, §4.2).
	{220, "", "* ESMTP Service Ready", "220 %h ESMTP", effectNone},
	{250, "2.0.0", "Hello *", "250 %h", effectReset},
	{501, "5.5.2", "Domain/address argument required for HELO", "501 5.5.4 EHLO and HELO need your domain or address literal", effectNone},

	// Success, without echoes of the client's words, and with the codes of RFC 3463 §3.
	{250, "2.0.0", "I have successfully done nothing", "250 2.0.0 OK", effectNone},
	{250, "2.0.0", "Session reset", "250 2.0.0 OK", effectReset},
	{250, "2.0.0", "Roger, accepting mail from *", "250 2.1.0 Sender OK", effectBegin},
	{250, "2.0.0", "I'll make sure *", "250 2.1.5 Recipient OK", effectNone},
	{235, "2.0.0", "Authentication succeeded", "235 2.7.0 Authentication succeeded", effectNone},
	{221, "2.0.0", "Bye", "221 2.0.0 %h closing connection", effectNone},

	// Bad sequence is 503 (RFC 5321 §4.2.4, §4.1.4).
	{502, "5.5.1", "Please introduce yourself first.", "503 5.5.1 Send EHLO first", effectNone},
	{502, "5.5.1", "Missing MAIL FROM command.", "503 5.5.1 Send MAIL first", effectNone},
	{502, "5.5.1", "Missing RCPT TO command.", "503 5.5.1 No recipient was accepted: send RCPT first", effectNone},
	{502, "5.5.1", "TLS not supported", "503 5.5.1 TLS is already active", effectNone},

	// Syntax.
	{500, "5.5.2", "Syntax errors, *", "500 5.5.1 Command not recognized", effectNone},
	{500, "5.5.2", "Error: bad syntax", "500 5.5.2 Empty command", effectNone},
	{501, "5.5.2", "Bad command", "500 5.5.1 Command not recognized", effectNone},
	{501, "5.5.2", "Was expecting MAIL *", "501 5.1.7 Syntax: MAIL FROM:<user@domain>", effectNone},
	{501, "5.5.2", "Was expecting RCPT *", "501 5.1.3 Syntax: RCPT TO:<user@domain>", effectNone},
	{501, "5.5.4", "Unable to parse SIZE as an integer", "501 5.5.4 SIZE must be a number below 4294967296", effectNone},
	{502, "5.5.1", "HELP command not implemented", "214 2.0.0 Send mail by EHLO, AUTH, MAIL, RCPT, DATA and QUIT", effectNone},

	{252, "2.5.0", "Cannot VRFY user, but will accept message", "252 2.5.0 Cannot verify, send the message and see", effectNone},

	// Parameters of MAIL and RCPT that are unknown or not offered are 555 (RFC 5321
	// §4.1.1.11).
	{500, "5.5.4", "Unknown MAIL FROM argument", "555 5.5.4 Unknown parameter of MAIL", effectNone},
	{500, "5.5.4", "Unknown RCPT TO argument", "555 5.5.4 Unknown parameter of RCPT", effectNone},
	{504, "5.5.4", "* is not implemented", "555 5.5.4 ", effectNone},
	{500, "5.5.4", "Malformed AUTH parameter *", "501 5.5.4 Malformed AUTH parameter of MAIL", effectNone},
	{501, "5.5.4", "Unknown RET value", "501 5.5.4 RET must be FULL or HDRS", effectNone},
	{501, "5.5.4", "Malformed ENVID *", "501 5.5.4 ENVID must be printable characters in xtext: write + as +2B and = as +3D", effectNone},
	{501, "5.5.4", "Malformed NOTIFY *", "501 5.5.4 NOTIFY must be NEVER, or some of SUCCESS, FAILURE and DELAY with commas between", effectNone},
	{501, "5.5.4", "Malformed ORCPT *", "501 5.5.4 ORCPT must be rfc822; and an address in xtext, or utf-8; and one as RFC 6533 has it", effectNone},

	// AUTH (RFC 4954 §4, §6).
	{502, "5.5.4", "Missing parameter", "501 5.5.4 AUTH needs a mechanism", effectNone},
	{454, "4.7.0", "Invalid base64 data", "501 5.5.2 Invalid base64", effectNone},
	{501, "5.0.0", "Negotiation cancelled", "501 5.7.0 Authentication cancelled", effectNone},
	{502, "5.7.0", "Please authenticate first", "530 5.7.0 Authentication required", effectNone},
	{502, "5.7.0", "Authentication not supported", "502 5.5.1 Authentication is not offered", effectNone},
	// The connection is encrypted: this can only be a server that was not told so.
	{523, "5.7.10", "TLS is required", "454 4.7.0 Temporary authentication failure", effectNone},

	// Errors that are not an *smtp.SMTPError have internals in their text, and are no
	// reason to give a message up.
	{554, "5.0.0", "Error: transaction failed: *", "451 4.3.0 Temporary local problem, try again later", effectNone},
	{451, "4.0.0", "*", "451 4.3.0 Temporary local problem, try again later", effectNone},
	{454, "4.7.0", "*", "454 4.7.0 Temporary authentication failure", effectNone},
	{421, "4.0.0", "Internal server error", "421 4.3.0 %h internal problem, try again later", effectNone},

	// Too much.
	{500, "5.5.1", "Too many errors. *", "421 4.7.0 %h too many errors", effectNone},
}

// correct applies corrections to r and returns the effect of what go-smtp meant.
func correct(r *reply, hostname string) effect {
	if isEHLO(r) {
		correctEHLO(r, hostname)
		return effectReset
	}
	c := findCorrection(r)
	if c == nil {
		return effectNone
	}
	c.apply(r, hostname)
	return c.effect
}

// findCorrection returns the first row that matches r, or nil.
func findCorrection(r *reply) *correction {
	if len(r.lines) > 1 {
		return nil
	}
	for i := range corrections {
		if corrections[i].matches(r) {
			return &corrections[i]
		}
	}
	return nil
}

func (c *correction) matches(r *reply) bool {
	if c.code != r.code || c.enhanced != r.enhanced {
		return false
	}
	if prefix, ok := strings.CutSuffix(c.text, "*"); ok {
		return strings.HasPrefix(r.text(), prefix)
	}
	if suffix, ok := strings.CutPrefix(c.text, "*"); ok {
		return strings.HasSuffix(r.text(), suffix)
	}
	return c.text == r.text()
}

func (c *correction) apply(r *reply, hostname string) {
	instead := strings.ReplaceAll(c.instead, "%h", hostname)
	if strings.HasSuffix(instead, " ") {
		instead += r.text()
	}
	r.setText(instead)
}

// isEHLO tells the reply to EHLO: it alone has several lines, a greeting and no enhanced
// code.
func isEHLO(r *reply) bool {
	return r.code == 250 && r.enhanced == "" && len(r.lines) > 1 && strings.HasPrefix(r.lines[0], "Hello ")
}

// correctEHLO puts the relay's name first and takes CHUNKING out: go-smtp commits a chunk
// that was cut off, and offers BDAT whether or not it is wanted.
func correctEHLO(r *reply, hostname string) {
	lines := []string{hostname + " greets you"}
	for _, line := range r.lines[1:] {
		if line != "CHUNKING" {
			lines = append(lines, line)
		}
	}
	r.lines = lines
}
