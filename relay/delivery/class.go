package delivery

import (
	"fmt"
	"strings"

	"github.com/mailrelay-dev/mailrelay-operator/relay/provider"
)

// Class is whom an error concerns, and thereby what is done about it.
type Class string

// The classes of error.
const (
	// ClassConnect means that the upstream cannot be reached, or a connection was lost.
	ClassConnect Class = "connect"
	// ClassTLS means that no verified encrypted connection could be made.
	ClassTLS Class = "tls"
	// ClassAuthentication means that the upstream refused the relay's credentials.
	ClassAuthentication Class = "authentication"
	// ClassThrottle means that the upstream wants less mail, or none just now.
	ClassThrottle Class = "throttle"
	// ClassSender means that the upstream does not take mail from this sender.
	ClassSender Class = "sender"
	// ClassMessage means that the upstream does not take this message.
	ClassMessage Class = "message"
	// ClassRecipient means that the upstream does not take this recipient.
	ClassRecipient Class = "recipient"
)

// Step is the part of a session in which something happened.
type Step string

// The steps of a session, in their order.
const (
	StepConnect   Step = "connect"
	StepTLS       Step = "TLS handshake"
	StepGreeting  Step = "greeting"
	StepEHLO      Step = "EHLO"
	StepSTARTTLS  Step = "STARTTLS"
	StepAUTH      Step = "AUTH"
	StepMAIL      Step = "MAIL"
	StepRCPT      Step = "RCPT"
	StepDATA      Step = "DATA"
	StepContent   Step = "content"
	StepEndOfData Step = "end of data"
)

// Error is why a delivery, or the delivery to one recipient, failed.
type Error struct {
	Class Class
	Step  Step
	// Code is the reply code, zero when no reply was involved. Refusals that the relay
	// decides on itself have the code that a server would give.
	Code int
	// Enhanced is the enhanced status code (RFC 3463), empty when there is none.
	Enhanced string
	// Text is one line that says what happened.
	Text string
	// Temporary means that a later attempt can succeed.
	Temporary bool
	// Err is the cause, when there is one.
	Err error
	// replied means that code and text are those of the upstream.
	replied bool
}

// Error implements error.
func (e *Error) Error() string { return fmt.Sprintf("%s: %s", e.Step, e.Reply()) }

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// Reply is the error in the form of a reply: codes, where there are any, and text.
func (e *Error) Reply() string { return formatReply(e.Code, e.Enhanced, e.Text) }

// concernsUpstream reports whether the error says nothing about the message. A connection
// that is lost in a transaction does say something: a message can be what makes an upstream
// hang up, and must not hold back all others.
func (e *Error) concernsUpstream() bool {
	switch e.Class {
	case ClassTLS, ClassAuthentication:
		return true
	case ClassConnect, ClassThrottle:
		return e.Step.opens()
	}
	return false
}

// opens reports whether the step is before the first message.
func (s Step) opens() bool {
	switch s {
	case StepConnect, StepTLS, StepGreeting, StepEHLO, StepSTARTTLS, StepAUTH:
		return true
	}
	return false
}

// asksForLess reports whether the upstream as a whole wants less mail, and not only less of
// this sender or for this recipient, which must not hold back that of others.
func (e *Error) asksForLess() bool {
	if e.Class != ClassThrottle {
		return false
	}
	_, detail, _ := strings.Cut(e.Enhanced, ".")
	switch e.Code {
	case 432, 454:
		// Amazon SES and Microsoft 365 say it after the content.
		return e.Step == StepMAIL || e.Step == StepEndOfData
	case 452:
		return e.Step == StepMAIL
	}
	return e.closing() || e.Step == StepMAIL && (detail == "4.5" || strings.HasPrefix(detail, "3."))
}

// uncertain reports whether the upstream may have taken the message all the same.
func (e *Error) uncertain() bool { return e.Step == StepEndOfData && e.Code == 0 }

// closing reports whether the upstream said that it closes the connection.
func (e *Error) closing() bool { return e.Code == codeClosing }

// codeClosing is "service not available, closing transmission channel" (RFC 5321 §4.2.3).
const codeClosing = 421

// classify makes an error of a reply that is not the one hoped for, by the rules that hold for
// all upstreams.
func classify(step Step, answer reply) *Error {
	e := &Error{Step: step, Code: answer.code, Enhanced: answer.enhanced, Text: answer.text(), replied: true}
	if answer.code < 400 {
		return unexpected(step, answer)
	}
	e.Temporary = answer.code < 500
	e.apply(provider.Common())
	return e
}

// apply gives the error the class of the first rule that matches, if one does.
func (e *Error) apply(rules []provider.Rule) {
	for i := range rules {
		if rules[i].Matches(string(e.Step), e.Code, e.Enhanced, e.Text) {
			e.Class = Class(rules[i].Class)
			e.Temporary = e.Temporary || rules[i].Temporary
			return
		}
	}
}

// interpret applies the rules of one provider to what its server replied. Refusals that the
// relay decides on itself are not the provider's words.
func interpret(verdicts []verdict, rules []provider.Rule) {
	for _, v := range verdicts {
		if v.err != nil && v.err.replied {
			v.err.apply(rules)
		}
	}
}

// unexpected is a positive reply where none can be. What the upstream means by it cannot be
// known, so nothing is taken for delivered or for refused.
func unexpected(step Step, answer reply) *Error {
	return &Error{
		Class: ClassConnect, Step: step, Temporary: true,
		Text: "unexpected reply: " + answer.String(),
	}
}

// lost makes an error of a connection that failed.
func lost(step Step, err error) *Error {
	return &Error{Class: ClassConnect, Step: step, Text: oneLine(err.Error()), Temporary: true, Err: err}
}

// refusal is a permanent refusal that the relay decides on itself.
func refusal(class Class, step Step, code int, enhanced, text string) *Error {
	return &Error{Class: class, Step: step, Code: code, Enhanced: enhanced, Text: text}
}
