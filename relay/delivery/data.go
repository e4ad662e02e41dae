package delivery

import (
	"bytes"
	"errors"
	"io"
	"sync"
)

// copyBuffers are what content passes through on its way from the spool to the network.
var copyBuffers = sync.Pool{New: func() any { return new([writeBuffer]byte) }}

// errLineEnds means that content has a CR or LF that is not part of a CRLF. Such content is
// normalised when it is accepted; sent as it is, one server would read one message in it
// and another one two.
var errLineEnds = errors.New("the content has a CR or LF that is not part of CRLF")

// lineCheck looks for CR and LF that are not part of CRLF.
type lineCheck struct {
	// inLine means that the last octet was no line end.
	inLine bool
	sawCR  bool
}

// part looks at a line, or the part of one that is at hand.
func (l *lineCheck) part(p []byte) error {
	text, ends := bytes.CutSuffix(p, []byte("\n"))
	if l.sawCR && len(text) > 0 {
		return errLineEnds
	}
	if i := bytes.IndexByte(text, '\r'); i >= 0 {
		if i != len(text)-1 {
			return errLineEnds
		}
		l.sawCR = true
	}
	if ends && !l.sawCR {
		return errLineEnds
	}
	l.inLine = !ends
	l.sawCR = l.sawCR && !ends
	return nil
}

// eachLine calls f with the lines of p, the last of which may be a part of one, and returns how
// much of p it was called with without an error.
func eachLine(p []byte, f func(line []byte) error) (int, error) {
	done := 0
	for done < len(p) {
		n := bytes.IndexByte(p[done:], '\n') + 1
		if n == 0 {
			n = len(p) - done
		}
		if err := f(p[done : done+n]); err != nil {
			return done, err
		}
		done += n
	}
	return done, nil
}

// dotWriter writes content as RFC 5321 §4.5.2 wants it: a dot at the start of a line is
// doubled. It is the only place that makes the end of data.
type dotWriter struct {
	w io.Writer
	lineCheck
}

// Write implements io.Writer; errLineEnds when p has a bare CR or LF.
func (d *dotWriter) Write(p []byte) (int, error) {
	return eachLine(p, func(line []byte) error {
		begins := !d.inLine
		if err := d.part(line); err != nil {
			return err
		}
		if begins && line[0] == '.' {
			if _, err := d.w.Write([]byte(".")); err != nil {
				return err
			}
		}
		_, err := d.w.Write(line)
		return err
	})
}

// end writes the end of data, completing the last line where needed.
func (d *dotWriter) end() error {
	if d.sawCR {
		return errLineEnds
	}
	end := ".\r\n"
	if d.inLine {
		end = "\r\n.\r\n"
	}
	_, err := io.WriteString(d.w, end)
	return err
}

// content sends the content after the upstream asked for it.
func (t *transaction) content(fit *fitted) (reply, *Error) {
	writer := &dotWriter{w: t.w}
	err := fit.writeTo(writer)
	if err == nil {
		err = writer.end()
	}
	if err != nil {
		return reply{}, t.abandon(StepContent, err, fit.source.err)
	}
	hasty := t.r.Buffered() > 0
	if failure := t.flush(StepEndOfData); failure != nil {
		return reply{}, t.early(StepEndOfData, failure)
	}
	return t.verdict(hasty)
}

// verdict reads the reply to the whole message. A hasty one was there before the message was
// sent: it cannot mean that it was taken.
func (t *transaction) verdict(hasty bool) (reply, *Error) {
	answer, failure := t.read(StepEndOfData, t.timeouts.DataEnd)
	switch {
	case failure != nil:
		return reply{}, failure
	case answer.code/100 != 2:
		return reply{}, classify(StepEndOfData, answer)
	case hasty:
		return reply{}, unexpected(StepEndOfData, answer)
	}
	t.dirty = false
	return answer, nil
}

// sourceReader remembers an error of the source, to be told from one of the network.
type sourceReader struct {
	io.Reader
	err error
}

func (s *sourceReader) Read(p []byte) (int, error) {
	n, err := s.Reader.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		s.err = err
	}
	return n, err
}

// abandon gives up in the middle of content. Only closing the connection tells the upstream
// that what it has so far is not a message. step is what the upstream answers next.
func (t *transaction) abandon(step Step, err, sourceErr error) *Error {
	t.broken = true
	switch {
	case sourceErr != nil:
		return localFailure(sourceErr)
	case errors.Is(err, errChunkSize):
		return localFailure(err)
	case errors.Is(err, errLineEnds):
		failure := refusal(ClassMessage, StepContent, 554, "5.6.0", err.Error())
		failure.Err = err
		return failure
	}
	return t.early(step, lost(StepContent, err))
}

// early looks for a reply, to a step, that came before the content was sent: an upstream that
// refuses in the middle of it often hangs up at once.
func (t *transaction) early(step Step, failure *Error) *Error {
	answer, unread := t.read(step, t.timeouts.Quit)
	t.broken = true
	if unread == nil && answer.code >= 400 {
		return classify(step, answer)
	}
	return failure
}
