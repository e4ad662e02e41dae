package frontdoor

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"time"
)

const (
	// maxCommand is the longest command line (RFC 5321 §4.5.3.1.4).
	maxCommand = 512
	// maxPreamble is how many commands a client may send before STARTTLS.
	maxPreamble = 20
)

var errInjected = errors.New("bytes follow STARTTLS in the clear")

// preamble is the plaintext part of a connection to 587 (RFC 3207 §4). It knows no mail
// command, so nothing can be said in the clear that matters.
type preamble struct {
	hostname string
	reader   *bufio.Reader
	write    func(reply string) error
}

// enterSubmission does what port 587 does: STARTTLS before anything else.
func (d *Door) enterSubmission(raw net.Conn) *tls.Conn {
	p := preamble{
		hostname: d.options.Hostname,
		reader:   bufio.NewReaderSize(raw, maxCommand),
		write: func(reply string) error {
			if err := raw.SetWriteDeadline(time.Now().Add(d.options.Timeouts.Write)); err != nil {
				return err
			}
			_, err := raw.Write([]byte(reply))
			return err
		},
	}
	if err := raw.SetReadDeadline(time.Now().Add(d.options.Timeouts.Read)); err != nil {
		return nil
	}
	if p.write("220 "+d.options.Hostname+" ESMTP\r\n") != nil {
		return nil
	}
	first, err := p.reader.Peek(1)
	if err != nil {
		d.metrics.healthChecks.WithLabelValues(string(Submission)).Inc()
		return nil
	}
	if mode, wrong := modeOn587(first[0], p.reader); wrong {
		d.reportWrongMode(Submission, mode, clientAddress(raw))
		return nil
	}
	if err := p.run(); err != nil {
		if errors.Is(err, errInjected) {
			d.options.Logger.Warn("connection closed: "+err.Error()+", as in an injection attack or a client that does not wait for the reply",
				"service", Submission, "client", clientAddress(raw))
		}
		return nil
	}
	return d.handshake(raw, Submission)
}

func modeOn587(first byte, reader *bufio.Reader) (wrongMode, bool) {
	if first == tlsHandshakeRecord {
		return tlsOn587, true
	}
	start, _ := reader.Peek(min(reader.Buffered(), sniffLength))
	return httpOn587, startsWithVerb(start, httpVerbs)
}

// run answers commands until STARTTLS has been granted, and nothing follows it.
func (p *preamble) run() error {
	for range maxPreamble {
		line, err := p.reader.ReadSlice('\n')
		if errors.Is(err, bufio.ErrBufferFull) {
			return errors.Join(err, p.write("500 5.5.2 Line too long\r\n"))
		}
		if err != nil {
			return err
		}
		granted, reply := p.answer(line)
		if granted && p.reader.Buffered() > 0 {
			return errInjected
		}
		if err := p.write(reply); err != nil {
			return err
		}
		if granted {
			return nil
		}
		if bytes.HasPrefix([]byte(reply), []byte("221 ")) {
			return errors.New("the client quit")
		}
	}
	return errors.Join(errors.New("too many commands before STARTTLS"),
		p.write("421 4.7.0 Too many commands before STARTTLS\r\n"))
}

// answer returns the reply to a command, and whether TLS starts after it.
func (p *preamble) answer(line []byte) (startTLS bool, reply string) {
	verb, argument, _ := bytes.Cut(bytes.TrimRight(line, " \t\r\n"), []byte(" "))
	hasArgument := len(bytes.TrimSpace(argument)) > 0
	switch string(bytes.ToUpper(verb)) {
	case "EHLO":
		if !hasArgument {
			return false, "501 5.5.4 EHLO needs a host name\r\n"
		}
		return false, fmt.Sprintf("250-%s\r\n250-PIPELINING\r\n250-8BITMIME\r\n250-ENHANCEDSTATUSCODES\r\n250 STARTTLS\r\n", p.hostname)
	case "HELO":
		if !hasArgument {
			return false, "501 5.5.4 HELO needs a host name\r\n"
		}
		return false, "250 " + p.hostname + "\r\n"
	case "NOOP", "RSET":
		return false, "250 2.0.0 Ok\r\n"
	case "QUIT":
		return false, "221 2.0.0 Bye\r\n"
	case "STARTTLS":
		if hasArgument {
			return false, "501 5.5.4 STARTTLS takes no argument\r\n"
		}
		return true, "220 2.0.0 Start TLS\r\n"
	}
	return false, "530 5.7.0 Must issue a STARTTLS command first\r\n"
}
