package delivery

import (
	"context"
	"errors"
	"io"
	"strconv"

	"github.com/mailrelay-dev/mailrelay-operator/relay/message/dkim"
	"github.com/mailrelay-dev/mailrelay-operator/relay/spool"
)

// message is what one transaction transfers.
type message struct {
	reversePath string
	recipients  []string
	size        int64
	eightBit    bool
	smtpUTF8    bool
	longLines   bool
	// dsn is what the sender wants to be told.
	dsn statusRequest
	// keys to sign with, and the header fields to leave out of it.
	keys     []dkim.Key
	unsigned []string
	// open returns the content. It is called again when a transaction is repeated.
	open func() (io.ReadCloser, error)
}

// verdict is what became of one recipient: an error, or the reply that accepted it.
type verdict struct {
	err   *Error
	reply string
	// tells means that the upstream was told what the sender wants to be told, and tells it.
	tells bool
}

// transaction is one mail transaction (RFC 5321 §3.3).
type transaction struct {
	*connection
	message  message
	verdicts []verdict
	// tried are the indices of the recipients that are named to the upstream.
	tried []int
	// taken counts the positive replies to RCPT.
	taken int
	// welcomed is called when MAIL was accepted.
	welcomed func()
}

// transact sends a message and returns a verdict for each of its recipients, in their
// order. The connection is lost when ctx is done before that. welcomed is called when the
// upstream accepts MAIL for the first time on this connection.
func (c *connection) transact(ctx context.Context, m message, welcomed func()) []verdict {
	stop := context.AfterFunc(ctx, func() { _ = c.raw.Close() })
	defer stop()
	t := &transaction{connection: c, message: m, verdicts: make([]verdict, len(m.recipients)), welcomed: welcomed}
	answer, failure := t.run()
	// Without a reply, or with one that makes no sense, nothing more can be expected. Nor can it
	// of an upstream that says more than it was asked: replies are told by their order alone.
	c.broken = c.broken || failure != nil && failure.Code == 0 || c.r.Buffered() > 0
	for i := range t.verdicts {
		if t.verdicts[i].err == nil {
			t.verdicts[i] = verdict{failure, answer.String(), t.extensions.has("DSN")}
		}
	}
	return t.verdicts
}

// run returns the reply to the end of data, or what hit all recipients that have no error of
// their own.
func (t *transaction) run() (reply, *Error) {
	if failure := t.check(); failure != nil || len(t.tried) == 0 {
		return reply{}, failure
	}
	content, err := t.message.open()
	if err != nil {
		return reply{}, localFailure(err)
	}
	defer func() { _ = content.Close() }()
	fit, failure := t.prepare(content)
	if failure != nil {
		return reply{}, failure
	}
	if failure := t.reset(); failure != nil {
		return reply{}, failure
	}
	t.transactions++
	t.dirty = true
	if t.chunking {
		return t.chunked(fit)
	}
	if failure := t.envelope("DATA"); failure != nil || t.taken == 0 {
		return reply{}, failure
	}
	return t.content(fit)
}

// envelope sends MAIL and RCPT, and DATA when there is to be one.
func (t *transaction) envelope(data string) *Error {
	if t.extensions.has("PIPELINING") {
		return t.pipelined(data)
	}
	return t.stepwise(data)
}

// localFailure is a failure of the relay's own, which is nobody else's fault. It has a code:
// the connection is as good as before.
func localFailure(err error) *Error {
	if errors.Is(err, spool.ErrDamaged) {
		failure := refusal(ClassMessage, StepContent, 554, "5.3.0", "the message was damaged on the relay's disk and cannot be delivered")
		failure.Err = err
		return failure
	}
	return &Error{
		Class: ClassMessage, Step: StepContent, Code: 451, Enhanced: "4.3.0", Temporary: true,
		Text: "the relay cannot read the message from its spool", Err: err,
	}
}

// check refuses what the upstream cannot take, or what must not go on the wire, without
// bothering it.
func (t *transaction) check() *Error {
	m := &t.message
	if m.reversePath != "" && !wireSafe(m.reversePath) {
		return refusal(ClassSender, StepMAIL, 553, "5.1.7", "the sender address is not valid")
	}
	m.smtpUTF8 = m.smtpUTF8 || !isASCII(m.reversePath)
	if m.smtpUTF8 && !t.extensions.has("SMTPUTF8") {
		return needsUTF8(StepMAIL, ClassMessage)
	}
	for i, recipient := range m.recipients {
		switch {
		case !wireSafe(recipient):
			t.verdicts[i].err = refusal(ClassRecipient, StepRCPT, 553, "5.1.3", "the recipient address is not valid")
		case !isASCII(recipient) && !t.extensions.has("SMTPUTF8"):
			t.verdicts[i].err = needsUTF8(StepRCPT, ClassRecipient)
		case !t.admits(recipient):
			t.verdicts[i].err = errSurplus
		default:
			m.smtpUTF8 = m.smtpUTF8 || !isASCII(recipient)
			t.tried = append(t.tried, i)
		}
	}
	return nil
}

// needsUTF8 is RFC 6531 §3.5: such a message cannot be changed into one that does not need
// the extension.
func needsUTF8(step Step, class Class) *Error {
	return refusal(class, step, 553, "5.6.7", "the message needs SMTPUTF8, which the upstream does not offer")
}

// mail is the MAIL command with the parameters that the upstream knows.
func (t *transaction) mail() string {
	m := t.message
	line := "MAIL FROM:<" + m.reversePath + ">"
	if t.extensions.has("SIZE") {
		line += " SIZE=" + strconv.FormatInt(m.size, 10)
	}
	// RFC 6531 §3.1: a message that needs SMTPUTF8 has 8-bit content, in its header.
	if (m.eightBit || m.smtpUTF8) && t.extensions.has("8BITMIME") {
		line += " BODY=8BITMIME"
	}
	if m.smtpUTF8 {
		line += " SMTPUTF8"
	}
	return line + t.statusOfMAIL()
}

func (t *transaction) rcpt(i int) string {
	return "RCPT TO:<" + t.message.recipients[i] + ">" + t.statusOfRCPT(i)
}

// welcome notes that the upstream takes mail.
func (t *transaction) welcome() {
	if !t.proven {
		t.proven = true
		t.welcomed()
	}
}

// stepwise sends the envelope, each command after the reply to the one before.
func (t *transaction) stepwise(data string) *Error {
	answer, failure := t.command(StepMAIL, t.mail())
	if failure = positive(StepMAIL, answer, failure); failure != nil {
		return failure
	}
	t.welcome()
	for _, i := range t.tried {
		answer, failure := t.command(StepRCPT, t.rcpt(i))
		if failure := t.judge(i, answer, failure); failure != nil {
			return failure
		}
	}
	if t.taken == 0 || data == "" {
		return nil
	}
	t.queue(data)
	if failure := t.flush(StepDATA); failure != nil {
		return failure
	}
	answer, failure = t.read(StepDATA, t.timeouts.DataStart)
	if failure == nil && answer.code != 354 {
		failure = classify(StepDATA, answer)
	}
	return failure
}

// positive makes an error of any reply but one that says yes.
func positive(step Step, answer reply, failure *Error) *Error {
	if failure == nil && answer.code/100 != 2 {
		return classify(step, answer)
	}
	return failure
}

// judge notes the reply to a RCPT. It returns an error only when the connection is lost.
func (t *transaction) judge(i int, answer reply, failure *Error) *Error {
	if failure != nil {
		return failure
	}
	refused := positive(StepRCPT, answer, nil)
	if refused == nil {
		t.taken++
		return nil
	}
	if refused.closing() || refused.Code == 0 {
		return refused
	}
	if tooMany(refused) && t.taken > 0 {
		// RFC 5321 §4.5.3.1.10: a 552 can mean 452, and one recipient fewer is not too many.
		refused.Temporary = true
	}
	t.verdicts[i].err = refused
	return nil
}
