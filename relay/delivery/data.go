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

// dotWriter writes content as RFC 5321 §4.5.2 wants it: a dot at the start of a line is
// doubled. It is the only place that makes the end of data.
type dotWriter struct {
	w io.Writer
	// inLine means that the last octet written was no line end.
	inLine bool
	sawCR  bool
}

// Write implements io.Writer; errLineEnds when p has a bare CR or LF.
func (d *dotWriter) Write(p []byte) (int, error) {
	written := 0
	for written < len(p) {
		n := bytes.IndexByte(p[written:], '\n') + 1
		if n == 0 {
			n = len(p) - written
		}
		if err := d.part(p[written : written+n]); err != nil {
			return written, err
		}
		written += n
	}
	return written, nil
}

// part writes a line, or the part of one that is at hand.
func (d *dotWriter) part(p []byte) error {
	text, ends := bytes.CutSuffix(p, []byte("\n"))
	if d.sawCR && len(text) > 0 {
		return errLineEnds
	}
	if i := bytes.IndexByte(text, '\r'); i >= 0 {
		if i != len(text)-1 {
			return errLineEnds
		}
		d.sawCR = true
	}
	if ends && !d.sawCR {
		return errLineEnds
	}
	if !d.inLine && p[0] == '.' {
		if _, err := d.w.Write([]byte(".")); err != nil {
			return err
		}
	}
	d.inLine = !ends
	d.sawCR = d.sawCR && !ends
	_, err := d.w.Write(p)
	return err
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
	if err := fit.writeTo(writer); err != nil {
		return t.abandon(err, fit.source.err)
	}
	if err := writer.end(); err != nil {
		return t.abandon(err, nil)
	}
	if failure := t.flush(StepEndOfData); failure != nil {
		return t.early(failure)
	}
	answer, failure := t.read(StepEndOfData, t.timeouts.DataEnd)
	if failure != nil {
		return reply{}, failure
	}
	if answer.code/100 != 2 {
		return reply{}, classify(StepEndOfData, answer)
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
// that what it has so far is not a message.
func (t *transaction) abandon(err, sourceErr error) (reply, *Error) {
	t.broken = true
	switch {
	case sourceErr != nil:
		return reply{}, localFailure(sourceErr)
	case errors.Is(err, errLineEnds):
		failure := refusal(ClassMessage, StepContent, 554, "5.6.0", err.Error())
		failure.Err = err
		return reply{}, failure
	}
	return t.early(lost(StepContent, err))
}

// early looks for a reply that came before the content was sent: an upstream that refuses
// in the middle of it often hangs up at once.
func (t *transaction) early(failure *Error) (reply, *Error) {
	answer, unread := t.read(failure.Step, t.timeouts.Quit)
	t.broken = true
	if unread == nil && answer.code >= 400 {
		return reply{}, classify(failure.Step, answer)
	}
	return reply{}, failure
}
