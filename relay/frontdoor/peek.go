package frontdoor

import (
	"bytes"
	"errors"
	"net"
	"time"
)

// peeked is a connection whose first bytes were looked at; they are read again first.
type peeked struct {
	net.Conn
	first []byte
}

func (p *peeked) Read(b []byte) (int, error) {
	if len(p.first) > 0 {
		n := copy(b, p.first)
		p.first = p.first[n:]
		return n, nil
	}
	return p.Conn.Read(b)
}

// CloseWrite closes the writing half, where the connection has one.
func (p *peeked) CloseWrite() error {
	half, ok := p.Conn.(interface{ CloseWrite() error })
	if !ok {
		return errors.ErrUnsupported
	}
	return half.CloseWrite()
}

// peek reads enough first bytes to know the client's protocol. Anything but TLS is given
// half a second to become recognizable.
func (p *peeked) peek(silence time.Duration) error {
	p.Conn.SetReadDeadline(time.Now().Add(silence))
	if err := p.peekOnce(); err != nil {
		return err
	}
	p.Conn.SetReadDeadline(time.Now().Add(silence / 10))
	for !isTLS(p.first) && len(p.first) < enough && bytes.IndexByte(p.first, '\n') < 0 && p.peekOnce() == nil {
		// Without more, what is there has to do.
	}
	return nil
}

func (p *peeked) peekOnce() error {
	var b [enough]byte
	n, err := p.Conn.Read(b[:enough-len(p.first)])
	p.first = append(p.first, b[:n]...)
	if n > 0 {
		return nil
	}
	return err
}
