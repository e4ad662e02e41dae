package hostile

import "strings"

// Address is one that testers of open relays try, without its angle brackets.
type Address struct {
	Address string
	// Answer begins the reply to a user who is logged in.
	Answer string
}

// Recipients are what testers of open relays try to make a relay send to evil.test. Answer is
// that to a user who may send to anybody: 250 where the address is a plain one, which then goes
// to the upstream as it is and no further, and otherwise why it is none. To a user who may send
// to allowed.example only, each is refused. A source route is taken off, as RFC 5321 §4.1.1.3
// has it, and what is left is judged.
var Recipients = []Address{
	{`r@evil.test`, "250 "},
	{`R@EVIL.TEST`, "250 "},
	{`r%evil.test@relay.test`, "250 "},
	{`r%evil.test@[127.0.0.1]`, "553 5.1.2 "},
	{`"r@evil.test"`, "501 "},
	{`"r%evil.test"`, "501 "},
	{`r@evil.test@relay.test`, "553 5.1.3 "},
	{`r@evil.test@[127.0.0.1]`, "553 5.1.3 "},
	{`"r@evil.test"@relay.test`, "553 5.1.3 "},
	{`"r@evil.test"@[127.0.0.1]`, "553 5.1.3 "},
	{`"r@evil.test"@allowed.example`, "553 5.1.3 "},
	{`@relay.test:r@evil.test`, "250 "},
	{`@[127.0.0.1]:r@evil.test`, "250 "},
	{`@relay.test,@x:r@evil.test`, "250 "},
	{`@allowed.example:r@evil.test`, "250 "},
	{`evil.test!r`, "501 "},
	{`evil.test!r@relay.test`, "250 "},
	{`evil.test!r@[127.0.0.1]`, "553 5.1.2 "},
	{`r@relay.test@evil.test`, "553 5.1.3 "},
	{`r@allowed.example@evil.test`, "553 5.1.3 "},
	{`r%evil.test`, "501 "},
	{`<r@evil.test>@relay.test`, "501 "},
	{`"r@evil.test> NOTIFY=NEVER x"@allowed.example`, "553 5.1.3 "},
	{"r@evil.test\x00@allowed.example", "553 5.1.3 "},
	{"r@allowed.example\r.evil.test", "501 5.1.2 "},
	{`r@allowed.example.`, "501 5.1.2 "},
	{`r@allowed.example.evil.test`, "250 "},
	{`r@evilallowed.example`, "250 "},
	{"r@\u0430llowed.example", "553 5.6.7 "}, // a Cyrillic letter
	{`r@[IPv6:::1]`, "553 5.1.2 "},
	{`postmaster`, "501 "},
}

// Senders are none of a user who may send as anybody at example.com.
var Senders = []Address{
	{"", "550 5.7.1 "},
	{"spam@evil.test", "550 5.7.1 "},
	{"spam@relay.test", "550 5.7.1 "},
	{"spam@[127.0.0.1]", "553 5.1.8 "},
	{"spam@localhost", "501 5.1.8 "},
	{"spam", "501 "},
	{"app@example.com@evil.test", "553 5.1.7 "},
	{`"spam@evil.test"@example.com`, "553 5.1.7 "},
	{"app@\u0435xample.com", "553 5.6.7 "}, // a Cyrillic letter
}

// WithoutRoute is a path without its source route.
func WithoutRoute(path string) string {
	if strings.HasPrefix(path, "@") {
		return path[strings.LastIndexByte(path, ':')+1:]
	}
	return path
}

// Commands are other ways than MAIL to make old servers send.
var Commands = []string{
	"DATA", "BDAT 0 LAST", "SEND FROM:<a@b.example>", "SOML FROM:<a@b.example>", "SAML FROM:<a@b.example>", "TURN", "ETRN evil.test", "ATRN",
}
