package relay_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/xdg-go/scram"
)

// player plays one script on one port.
type player struct {
	stage  *stage
	script *script
	port   string
	// raw is the connection below TLS.
	raw, conn net.Conn
	in        *bufio.Reader
	// show is how the client shows its certificate, nil when it has none; encrypted is the state
	// of TLS.
	show      func(*tls.CertificateRequestInfo) (*tls.Certificate, error)
	encrypted tls.ConnectionState
	// out is what the client says next, in one write.
	out []byte
	// patience is how long anything may take that is to happen.
	patience time.Duration
	// id is the queue id of the last message.
	id string
	// delivered are the patterns of the message with that id, absent what none of its lines
	// may be.
	delivered, absent []string
	over              bool
	// challenge is the text of the last reply, conversation that of SCRAM.
	challenge    string
	conversation *scram.ClientConversation
}

// play plays the whole script, and leaves with QUIT when nobody has ended the connection.
func (p *player) play() error {
	if err := p.connect(); err != nil {
		return fmt.Errorf("%s before the first step: %w", p.script.name, err)
	}
	defer func() { _ = p.raw.Close() }()
	for _, st := range p.script.steps {
		if err := p.step(st); err != nil {
			return fmt.Errorf("%s.txt:%d: %s %s\n%w", p.script.name, st.line, st.verb, clip(st.text), err)
		}
	}
	if err := p.finish(); err != nil {
		return fmt.Errorf("%s.txt at its end: %w", p.script.name, err)
	}
	return nil
}

// connect brings the client to where the script begins.
func (p *player) connect() error {
	conn, err := p.stage.dial(p.port)
	if err != nil {
		return err
	}
	p.raw, p.conn, p.in = conn, conn, bufio.NewReader(conn)
	if p.script.begin == beginConnection {
		return nil
	}
	lines := []string{"S: 220 relay.test ESMTP", "C: EHLO client.test", "S: 250-...", "S: 250-...", "S: 250-...", "S: 250 STARTTLS",
		"C: STARTTLS", "S: 220 2.0.0 Ready to start TLS", "TLS"}
	if p.port == "465" {
		lines = []string{"TLS", "S: 220 relay.test ESMTP"}
	}
	if err := p.prologue(lines); err != nil || p.script.begin == beginTLS {
		return err
	}
	if err := p.prologue([]string{"C: EHLO client.test", "S: 250-relay.test greets you"}); err != nil {
		return err
	}
	for line := ""; !strings.HasPrefix(line, "250 "); {
		if line, err = p.readLine(); err != nil {
			return err
		}
	}
	if p.script.login == "" {
		return nil
	}
	return p.prologue([]string{"C: AUTH PLAIN {base64 \\0" + p.script.login + "\\0{password}}", "S: 235 ..."})
}

func (p *player) prologue(lines []string) error {
	for _, line := range lines {
		st, err := parseStep(line)
		if err != nil {
			return err
		}
		if err := p.step(st); err != nil {
			return fmt.Errorf("%s: %w", line, err)
		}
	}
	return nil
}

// step plays one step. What the client says waits until the script wants something else, so
// that lines that follow each other are pipelined.
func (p *player) step(st step) error {
	switch st.verb {
	case verbSay, verbSayRaw:
		return p.say(st)
	case verbDelivered, verbAbsent:
		return p.gather(st)
	}
	if err := errors.Join(p.flush(), p.checkDelivered()); err != nil {
		return err
	}
	switch st.verb {
	case verbExpect:
		return p.expect(st.text)
	case verbTLS:
		return p.startTLS()
	case verbClose:
		return p.expectClose()
	case verbLeave:
		p.over = true
		return p.raw.Close()
	case verbQuiet:
		return p.expectNothing(duration(st.text))
	case verbPause:
		time.Sleep(duration(st.text))
	}
	return nil
}

func duration(text string) time.Duration {
	d, _ := time.ParseDuration(text) // checked by the parser
	return d
}

func (p *player) say(st step) error {
	text, err := expand(st.text, p.word)
	if st.verb == verbSay {
		text += "\r\n"
	}
	p.out = append(p.out, text...)
	return err
}

// flush sends what the client has to say. Whether it arrives the next reply tells: a server
// that has refused may have closed already.
func (p *player) flush() error {
	if len(p.out) == 0 {
		return nil
	}
	_ = p.conn.SetWriteDeadline(time.Now().Add(p.patience))
	_, err := p.conn.Write(p.out)
	p.out = nil
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return errors.New("the server does not read what the client says")
	}
	return nil
}

func (p *player) readLine() (string, error) {
	_ = p.conn.SetReadDeadline(time.Now().Add(p.patience))
	line, err := p.in.ReadString('\n')
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded):
		return "", fmt.Errorf("no reply within %v", p.patience)
	case err != nil:
		return "", fmt.Errorf("the connection ended instead: %w", err)
	case !strings.HasSuffix(line, "\r\n") || strings.ContainsAny(line[:len(line)-2], "\r\x00"):
		return "", fmt.Errorf("not a line of SMTP: %q", line)
	}
	return strings.TrimSuffix(line, "\r\n"), nil
}

// expect reads one line of a reply.
func (p *player) expect(text string) error {
	line, err := p.readLine()
	if err != nil {
		return err
	}
	p.challenge = line[min(4, len(line)):]
	if before, ok := strings.CutSuffix(text, idWord); ok {
		if p.id, ok = strings.CutPrefix(line, before); ok {
			p.stage.claim(p.id)
			return nil
		}
		return fmt.Errorf("the reply is %s", line)
	}
	want, err := expand(text, p.word)
	if err == nil && !matchLine(want, line) {
		err = fmt.Errorf("the reply is %s", line)
	}
	return err
}

func (p *player) startTLS() error {
	if p.in.Buffered() > 0 {
		return errors.New("there is more before TLS than the script reads")
	}
	ctx, cancel := context.WithTimeout(context.Background(), p.patience)
	defer cancel()
	config := p.stage.tlsConfig()
	config.GetClientCertificate = p.show
	encrypted := tls.Client(p.raw, config)
	_ = p.raw.SetDeadline(time.Time{})
	if err := encrypted.HandshakeContext(ctx); err != nil {
		return err
	}
	p.encrypted = encrypted.ConnectionState()
	p.conn, p.in = encrypted, bufio.NewReader(encrypted)
	return nil
}

// expectClose wants the end of the connection, in order, and not another byte.
func (p *player) expectClose() error {
	p.over = true
	_ = p.conn.SetReadDeadline(time.Now().Add(p.patience))
	rest, err := io.ReadAll(p.in)
	switch {
	case len(rest) > 0:
		return fmt.Errorf("the server goes on with %q", rest)
	case err != nil:
		return fmt.Errorf("the server does not close in order: %w", err)
	}
	return nil
}

// expectNothing wants the server to keep silent.
func (p *player) expectNothing(wait time.Duration) error {
	_ = p.conn.SetReadDeadline(time.Now().Add(wait))
	got, err := p.in.Peek(1)
	switch {
	case err == nil:
		return fmt.Errorf("the server is not silent: %q", got)
	case !errors.Is(err, os.ErrDeadlineExceeded):
		return fmt.Errorf("the connection ended: %w", err)
	}
	return nil
}

// gather takes a line about the delivered message.
func (p *player) gather(st step) error {
	text, err := expand(st.text, p.word)
	if st.verb == verbAbsent {
		p.absent = append(p.absent, text)
	} else {
		p.delivered = append(p.delivered, text)
	}
	return err
}

// checkDelivered compares the message with what was gathered, once it has arrived.
func (p *player) checkDelivered() error {
	patterns, absent := p.delivered, p.absent
	p.delivered, p.absent = nil, nil
	if len(patterns)+len(absent) == 0 {
		return nil
	}
	got, err := p.stage.delivered(p.id, p.patience)
	if err != nil {
		return err
	}
	if len(patterns) > 0 && !matchLines(patterns, got) {
		return fmt.Errorf("the upstream got\n%s", strings.Join(got, "\n"))
	}
	for _, pattern := range absent {
		if slices.ContainsFunc(got, func(line string) bool { return matchLine(pattern, line) }) {
			return fmt.Errorf("the upstream got %s in\n%s", pattern, strings.Join(got, "\n"))
		}
	}
	return nil
}

// finish leaves with QUIT, which shows that nothing unread is left.
func (p *player) finish() error {
	if err := errors.Join(p.flush(), p.checkDelivered()); err != nil || p.over {
		return err
	}
	return p.prologue([]string{"C: QUIT", "S: 221 2.0.0 relay.test closing connection", "close"})
}

// clip keeps the long lines of a script out of its errors.
func clip(text string) string { return text[:min(len(text), 200)] }
