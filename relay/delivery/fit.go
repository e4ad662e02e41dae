package delivery

import (
	"errors"
	"fmt"
	"io"

	"github.com/mailrelay-dev/mailrelay-operator/relay/message/dkim"
	"github.com/mailrelay-dev/mailrelay-operator/relay/message/recode"
)

// fitted is content as one upstream can take it.
type fitted struct {
	source *sourceReader
	// plan is what has to change; nil for nothing.
	plan *recode.Plan
	// signatures are the DKIM-Signature fields to put on top.
	signatures []byte
}

// prepare makes the content fit for the upstream and signs it. The content is read from its
// start as often as needed, so that it need not be held in memory.
func (t *transaction) prepare(content io.Reader) (*fitted, *Error) {
	m := &t.message
	fit := &fitted{source: &sourceReader{Reader: content}}
	// A server that offers SMTPUTF8 has to take 8-bit bodies, whatever else it says (RFC 6531 §3.1).
	limits := recode.Limits{SevenBit: m.eightBit && !m.smtpUTF8 && !t.extensions.has("8BITMIME")}
	if m.longLines || limits.SevenBit {
		if failure := fit.choose(limits); failure != nil {
			return nil, failure
		}
	}
	if fit.plan != nil || len(m.keys) > 0 {
		size, failure := fit.sign(m.keys, m.unsigned)
		if failure != nil {
			return nil, failure
		}
		m.size = size
	}
	if limit := t.extensions.size(); limit > 0 && m.size > limit {
		return nil, refusal(ClassMessage, StepMAIL, 552, "5.3.4",
			fmt.Sprintf("the message has %d bytes, the upstream takes %d", m.size, limit))
	}
	return fit, nil
}

// choose finds out what has to change.
func (f *fitted) choose(limits recode.Limits) *Error {
	scanner := recode.NewScanner()
	defer scanner.Close()
	if err := f.copyTo(scanner); err != nil {
		return localFailure(err)
	}
	plan, err := scanner.Plan(limits)
	if err != nil {
		return refusal(ClassMessage, StepMAIL, 554, "5.6.3", err.Error())
	}
	if plan.Changes() {
		f.plan = plan
	}
	return f.rewind()
}

// sign makes the signatures of what is going to be sent, and returns its size with them.
func (f *fitted) sign(keys []dkim.Key, unsigned []string) (int64, *Error) {
	signer := dkim.NewSigner(keys, unsigned)
	defer signer.Close()
	counter := &countingWriter{Writer: signer}
	err := f.writeTo(counter)
	if f.source.err != nil {
		return 0, localFailure(f.source.err)
	}
	if err == nil {
		f.signatures, err = signer.Signatures()
	}
	if err != nil {
		return 0, &Error{
			Class: ClassMessage, Step: StepMAIL, Code: 451, Enhanced: "4.3.5", Temporary: true,
			Text: "the relay cannot sign the message: " + err.Error(), Err: err,
		}
	}
	return counter.n + int64(len(f.signatures)), f.rewind()
}

// rewind goes back to the start of the content.
func (f *fitted) rewind() *Error {
	seeker, ok := f.source.Reader.(io.Seeker)
	if !ok {
		return localFailure(errors.New("the content can be read only once"))
	}
	if _, err := seeker.Seek(0, io.SeekStart); err != nil {
		return localFailure(err)
	}
	return nil
}

// writeTo writes the content as the upstream gets it, but for the dots of SMTP. An error of
// the spool is also in the source.
func (f *fitted) writeTo(w io.Writer) error {
	if _, err := w.Write(f.signatures); err != nil {
		return err
	}
	if f.plan == nil {
		return f.copyTo(w)
	}
	return f.plan.Copy(w, f.source)
}

// copyTo writes the content as the spool has it.
func (f *fitted) copyTo(w io.Writer) error {
	buffer := copyBuffers.Get().(*[writeBuffer]byte)
	defer copyBuffers.Put(buffer)
	_, err := io.CopyBuffer(w, f.source, buffer[:])
	return err
}

// countingWriter counts what goes through.
type countingWriter struct {
	io.Writer
	n int64
}

func (c *countingWriter) Write(p []byte) (int, error) {
	c.n += int64(len(p))
	return c.Writer.Write(p)
}
