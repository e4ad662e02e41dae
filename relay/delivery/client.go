package delivery

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"strconv"
	"sync"
	"time"

	"github.com/mailrelay-dev/mailrelay-operator/relay/config"
)

// writeBuffer is two TLS records.
const writeBuffer = 32 << 10

// dialer opens sessions with one upstream.
type dialer struct {
	upstream config.ResolvedUpstream
	// hostname is what the relay calls itself in EHLO.
	hostname string
	timeouts Timeouts
	// sessions lets later connections resume TLS.
	sessions tls.ClientSessionCache
	// tokens are those to log in with; without them each login gets its own.
	tokens *tokenSource
	// withoutLogin ends the opening of a session before the login.
	withoutLogin bool
	// observe is told what each session showed, or each failure to open one; may be nil.
	observe func(facts)
}

// connection is a session with an upstream. It is used by one goroutine at a time.
type connection struct {
	// raw is the TCP connection: closing it ends any step at once.
	raw net.Conn
	// conn is raw, or TLS over it.
	conn     net.Conn
	r        *bufio.Reader
	w        *bufio.Writer
	timeouts Timeouts
	// plaintext are the extensions before STARTTLS.
	plaintext, extensions extensions
	limits                limits
	// chunking means that content goes out with BDAT.
	chunking bool
	// domains are those of the recipients that were named, when the upstream limits them.
	domains map[string]bool
	// transactions started.
	transactions int
	// dirty means that a transaction was left open, so that RSET has to come first.
	dirty bool
	// broken means that the connection cannot be used any more.
	broken bool
	// proven means that the upstream accepted a MAIL on it.
	proven bool

	closing sync.Once
	onClose func()
}

// connect opens a session: TCP, greeting, TLS, EHLO, login. The session is over when ctx is
// done before connect returns.
func (d *dialer) connect(ctx context.Context) (*connection, *Error) {
	raw, err := d.dial(ctx)
	if err != nil {
		return nil, d.tell(nil, lost(StepConnect, err))
	}
	c := newConnection(raw, d.timeouts)
	stop := context.AfterFunc(ctx, func() { _ = raw.Close() })
	defer stop()
	if failure := d.tell(c, d.open(ctx, c)); failure != nil {
		_ = raw.Close()
		return nil, failure
	}
	return c, nil
}

func (d *dialer) dial(ctx context.Context) (net.Conn, error) {
	address := net.JoinHostPort(d.upstream.Host, strconv.Itoa(d.upstream.Port))
	return (&net.Dialer{Timeout: d.timeouts.Connect}).DialContext(ctx, "tcp", address)
}

func newConnection(raw net.Conn, timeouts Timeouts) *connection {
	c := &connection{raw: raw, timeouts: timeouts}
	c.use(raw)
	return c
}

// open makes a session of a connection.
func (d *dialer) open(ctx context.Context, c *connection) *Error {
	if d.upstream.TLS == config.TLSImplicit {
		if failure := d.handshake(ctx, c); failure != nil {
			return failure
		}
	}
	if failure := c.greeting(); failure != nil {
		if failure.Code == 0 && d.upstream.TLS != config.TLSImplicit {
			failure.Text += " (an upstream that says nothing may expect TLS from the first byte)"
		}
		return failure
	}
	if failure := d.introduce(c); failure != nil {
		return failure
	}
	if d.upstream.TLS == config.TLSStartTLS {
		if failure := d.startTLS(ctx, c); failure != nil {
			return failure
		}
	}
	c.limits = c.extensions.limits()
	c.chunking = d.upstream.Chunking && c.extensions.has("CHUNKING")
	if d.withoutLogin {
		return nil
	}
	return d.authenticate(ctx, c)
}

// introduce falls back to HELO for an upstream that does not know EHLO (RFC 5321 §3.2), when
// nothing that only EHLO can offer is needed.
func (d *dialer) introduce(c *connection) *Error {
	failure := c.ehlo(d.hostname)
	if failure == nil || failure.Code != 500 && failure.Code != 502 || d.upstream.TLS == config.TLSStartTLS || d.mustLogIn() {
		return failure
	}
	c.extensions = extensions{}
	answer, failure := c.command(StepEHLO, "HELO "+d.hostname)
	return positive(StepEHLO, answer, failure)
}

// use makes the connection talk over conn, and forgets whatever was read before.
func (c *connection) use(conn net.Conn) {
	c.conn = conn
	c.r = bufio.NewReaderSize(conn, maxReplyLine)
	c.w = bufio.NewWriterSize(&blockWriter{conn, c.timeouts.DataBlock}, writeBuffer)
	c.extensions = nil
}

// blockWriter gives each write its own deadline.
type blockWriter struct {
	conn    net.Conn
	timeout time.Duration
}

func (w *blockWriter) Write(p []byte) (int, error) {
	if err := w.conn.SetWriteDeadline(time.Now().Add(w.timeout)); err != nil {
		return 0, err
	}
	return w.conn.Write(p)
}

func (c *connection) greeting() *Error {
	answer, failure := c.read(StepGreeting, c.timeouts.Greeting)
	if failure != nil {
		return failure
	}
	if answer.code != 220 {
		return classify(StepGreeting, answer)
	}
	return nil
}

// ehlo introduces the relay and learns what the upstream offers (RFC 5321 §4.1.1.1).
func (c *connection) ehlo(hostname string) *Error {
	answer, failure := c.command(StepEHLO, "EHLO "+hostname)
	if failure != nil {
		return failure
	}
	if answer.code != 250 {
		return classify(StepEHLO, answer)
	}
	c.extensions = parseExtensions(answer.lines)
	return nil
}

// command sends a line and reads the reply to it.
func (c *connection) command(step Step, line string) (reply, *Error) {
	c.queue(line)
	if failure := c.flush(step); failure != nil {
		return reply{}, failure
	}
	return c.read(step, c.timeouts.Command)
}

// queue adds a command to what the next flush sends. Errors stay with the writer and show
// there.
func (c *connection) queue(line string) {
	_, _ = c.w.WriteString(line)
	_, _ = c.w.WriteString("\r\n")
}

func (c *connection) flush(step Step) *Error {
	if err := c.w.Flush(); err != nil {
		c.broken = true
		return lost(step, err)
	}
	return nil
}

// read reads a reply, all of it within the timeout. TLS 1.3 shows only here that the upstream
// did not accept the handshake.
func (c *connection) read(step Step, timeout time.Duration) (reply, *Error) {
	err := c.conn.SetReadDeadline(time.Now().Add(timeout))
	if err == nil {
		var answer reply
		if answer, err = readReply(c.r); err == nil {
			c.broken = c.broken || answer.code == codeClosing
			return answer, nil
		}
	}
	c.broken = true
	if !c.introduced() && refusedByPeer(err) {
		return reply{}, noTLS(step, explainHandshake(err))
	}
	if step == StepAUTH && errors.Is(err, errReplyMalformed) {
		// What came instead of a reply may be what was sent, cut where it cannot be found and
		// taken out any more: a token.
		err = errReplyMalformed
	}
	return reply{}, lost(step, err)
}

// introduced reports whether the upstream has answered to EHLO.
func (c *connection) introduced() bool { return c.extensions != nil }

// reset ends a transaction that was left open. An upstream that does not do that says
// nothing about the next message: the connection counts as lost.
func (c *connection) reset() *Error {
	if !c.dirty {
		return nil
	}
	answer, failure := c.command(StepMAIL, "RSET")
	if failure != nil {
		return failure
	}
	if answer.code != 250 {
		c.broken = true
		return lost(StepMAIL, fmt.Errorf("the upstream did not take RSET: %s", answer))
	}
	c.dirty = false
	return nil
}

// close ends the session, with QUIT where there is still one to end.
func (c *connection) close() {
	c.closing.Do(func() {
		if !c.broken {
			c.quit()
		}
		_ = c.raw.Close()
		if c.onClose != nil {
			c.onClose()
		}
	})
}

// quit says goodbye (RFC 5321 §4.1.1.10). An upstream that does not take it in time is left.
func (c *connection) quit() {
	giveUp := time.AfterFunc(c.timeouts.Quit, func() { _ = c.raw.Close() })
	defer giveUp.Stop()
	c.queue("QUIT")
	if c.flush(StepConnect) == nil {
		_, _ = c.read(StepConnect, c.timeouts.Quit)
	}
}
