package delivery

import (
	"bytes"
	"errors"
	"io"
	"strconv"
	"syscall"
)

// maxBlind is how much content leaves before the upstream accepted anybody to get it. More is
// not worth a round trip saved.
const maxBlind = 1 << 20

// errChunkSize means that content has another size than was announced.
var errChunkSize = errors.New("the content has another size than the spool says")

// chunkWriter writes content of a known size, which BDAT (RFC 3030) needs no dots for. The last
// octets go out at the end only: once the upstream has them it has a message, so that whatever is
// wrong must be known before.
type chunkWriter struct {
	w io.Writer
	lineCheck
	left int64
	last []byte
}

// Write implements io.Writer; errLineEnds when p has a bare CR or LF, errChunkSize when it is
// too much.
func (c *chunkWriter) Write(p []byte) (int, error) {
	return eachLine(p, func(line []byte) error {
		if c.left -= int64(len(line)); c.left < 0 {
			return errChunkSize
		}
		if err := c.part(line); err != nil {
			return err
		}
		if c.left == 0 {
			c.last = bytes.Clone(line)
			return nil
		}
		_, err := c.w.Write(line)
		return err
	})
}

// end completes the chunk.
func (c *chunkWriter) end() error {
	switch {
	case c.left != 0:
		return errChunkSize
	case c.sawCR:
		return errLineEnds
	}
	_, err := c.w.Write(c.last)
	return err
}

// chunked sends envelope and content with BDAT, in one flight where that can be done.
func (t *transaction) chunked(fit *fitted) (reply, *Error) {
	if !t.blindly() {
		if failure := t.envelope(""); failure != nil || t.taken == 0 {
			return reply{}, failure
		}
		hasty := t.r.Buffered() > 0
		if failure := t.chunk(fit, StepContent); failure != nil {
			return reply{}, failure
		}
		return t.verdict(hasty)
	}
	t.queue(t.mail())
	for _, i := range t.tried {
		t.queue(t.rcpt(i))
	}
	if failure := t.chunk(fit, StepMAIL); failure != nil {
		return reply{}, failure
	}
	return t.readFlight()
}

// blindly reports whether the content may leave with the envelope. Not on a connection that the
// upstream may have closed since the message before: without any reply it could not be known
// whether it took the message.
func (t *transaction) blindly() bool {
	return t.extensions.has("PIPELINING") && t.message.size <= maxBlind && len(t.tried) <= pipelineGroup && t.silent()
}

// chunk sends the content as the last chunk of the message, and all that is queued before it.
// step is what the upstream answers first.
func (t *transaction) chunk(fit *fitted, step Step) *Error {
	t.queue("BDAT " + strconv.FormatInt(t.message.size, 10) + " LAST")
	writer := &chunkWriter{w: t.w, left: t.message.size}
	err := fit.writeTo(writer)
	if err == nil {
		err = writer.end()
	}
	if err != nil {
		return t.abandon(step, err, fit.source.err)
	}
	if failure := t.flush(StepEndOfData); failure != nil {
		return t.early(step, failure)
	}
	return nil
}

// readFlight reads the replies to an envelope and its content. What is lost on the way is lost
// after the end of data.
func (t *transaction) readFlight() (reply, *Error) {
	refused := t.readGroup(true, t.tried, false)
	if refused != nil && refused.Code == 0 {
		refused.Step = StepEndOfData
	}
	if t.broken {
		return reply{}, refused
	}
	if refused == nil && t.taken > 0 {
		return t.verdict(false)
	}
	// Nobody gets the message, and so the upstream has to refuse it.
	answer, failure := t.read(StepEndOfData, t.timeouts.DataEnd)
	if failure == nil && answer.code/100 == 2 {
		t.broken = true
	}
	return reply{}, first(refused, failure)
}

// silent reports whether the upstream has neither closed the connection nor said anything that
// was not read yet.
func (c *connection) silent() bool {
	socket, ok := c.raw.(syscall.Conn)
	if !ok || c.r.Buffered() > 0 {
		return false
	}
	raw, err := socket.SyscallConn()
	if err != nil {
		return false
	}
	silent := false
	err = raw.Read(func(fd uintptr) bool {
		var octet [1]byte
		_, _, err := syscall.Recvfrom(int(fd), octet[:], syscall.MSG_PEEK|syscall.MSG_DONTWAIT)
		silent = errors.Is(err, syscall.EAGAIN)
		return true
	})
	return err == nil && silent
}
