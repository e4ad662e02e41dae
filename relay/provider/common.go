package provider

// common are tried from the top. Where two providers use a code differently, the harmless
// reading comes first: mail that is deferred for nothing is late, mail that is bounced for
// nothing is lost.
var common = []Rule{
	{Code: 421, Class: throttle},
	// An upstream that took MAIL is content with the login. What it wants one for after that
	// is this recipient or this message, which must not hold back all others.
	{Step: rcpt, Code: 53, Class: recipient, Temporary: true},
	{Step: data, Code: 53, Class: message, Temporary: true},
	{Step: content, Code: 53, Class: message, Temporary: true},
	{Step: endOfData, Code: 53, Class: message, Temporary: true},
	{Code: 530, Text: "STARTTLS", Class: tls, Temporary: true},
	{Code: 53, Class: authentication, Temporary: true},
	{Code: 550, Enhanced: "4.5", Class: throttle, Temporary: true},
	{Step: startTLS, Class: tls, Temporary: true},
	{Step: auth, Code: 5, Class: authentication, Temporary: true},
	{Step: greeting, Code: 5, Class: connect, Temporary: true},
	{Step: ehlo, Code: 5, Class: connect, Temporary: true},
	{Step: rcpt, Code: 452, Class: recipient},
	{Code: 432, Class: throttle},
	{Code: 452, Class: throttle},
	{Code: 454, Class: throttle},
	{Code: 4, Enhanced: "3.", Class: throttle},
	{Code: 4, Enhanced: "7.", Class: throttle},
	{Step: rcpt, Class: recipient},
	{Step: mail, Code: 501, Class: message},
	{Step: mail, Code: 552, Class: message},
	{Step: mail, Code: 5, Enhanced: "3.", Class: message},
	{Step: mail, Code: 5, Enhanced: "6.", Class: message},
	{Step: mail, Code: 5, Class: sender},
	{Step: data, Class: message},
	{Step: content, Class: message},
	{Step: endOfData, Class: message},
	{Code: 4, Class: throttle},
	{Class: message},
}

// Common are the rules for the replies of all upstreams.
func Common() []Rule { return common }

// The classes of error and the steps of a session, as Rule has them.
const (
	connect        = "connect"
	tls            = "tls"
	authentication = "authentication"
	throttle       = "throttle"
	sender         = "sender"
	message        = "message"
	recipient      = "recipient"

	greeting  = "greeting"
	ehlo      = "EHLO"
	startTLS  = "STARTTLS"
	auth      = "AUTH"
	mail      = "MAIL"
	rcpt      = "RCPT"
	data      = "DATA"
	content   = "content"
	endOfData = "end of data"
)
