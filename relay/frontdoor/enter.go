package frontdoor

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"net"
	"os"
	"time"
)

// acceptPause is how long a listener rests after an error that is not its end, such as
// too many open files.
const acceptPause = 50 * time.Millisecond

// enterFunc brings a raw connection to the point where it is encrypted. It returns nil
// when the client did not get there; what is to say of it has been said then.
type enterFunc func(raw net.Conn) *tls.Conn

func (d *Door) serve(listener net.Listener, service Service, enter enterFunc) {
	for {
		raw, err := listener.Accept()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			d.options.Logger.Error("cannot accept connections", "service", service, "error", err)
			time.Sleep(acceptPause)
			continue
		}
		go d.admit(raw, service, enter)
	}
}

// admit runs in a goroutine of its own, so that a slow client delays nobody.
func (d *Door) admit(raw net.Conn, service Service, enter enterFunc) {
	address := clientAddress(raw)
	if !d.census.enter(address) {
		d.metrics.refused.WithLabelValues(string(service)).Inc()
		raw.Close()
		return
	}
	d.metrics.open.Inc()
	leave := func() {
		d.census.leave(address)
		d.metrics.open.Dec()
	}
	encrypted := enter(raw)
	if encrypted == nil {
		raw.Close()
		leave()
		return
	}
	d.metrics.connections.WithLabelValues(string(service)).Inc()
	d.handOver(newConn(d, encrypted, service, leave))
}

func (d *Door) handOver(conn *Conn) {
	d.mu.Lock()
	d.conns[conn] = struct{}{}
	d.mu.Unlock()
	select {
	case d.ready <- conn:
	case <-d.closed:
		conn.Close()
	}
}

// peekedConn is a connection whose first bytes were looked at.
type peekedConn struct {
	net.Conn
	reader *bufio.Reader
}

func (c peekedConn) Read(p []byte) (int, error) { return c.reader.Read(p) }

// enterSubmissions does what port 465 does: TLS from the first byte (RFC 8314 §3.3).
func (d *Door) enterSubmissions(raw net.Conn) *tls.Conn {
	reader := bufio.NewReaderSize(raw, sniffLength*2)
	if err := raw.SetReadDeadline(time.Now().Add(d.options.Timeouts.Silence)); err != nil {
		return nil
	}
	first, err := reader.Peek(1)
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded):
		d.reportWrongMode(Submissions, silentOn465, clientAddress(raw))
		return nil
	case err != nil:
		d.metrics.healthChecks.WithLabelValues(string(Submissions)).Inc()
		return nil
	case first[0] != tlsHandshakeRecord:
		first, _ = reader.Peek(min(reader.Buffered(), sniffLength))
		d.reportWrongMode(Submissions, modeOn465(first), clientAddress(raw))
		return nil
	}
	return d.handshake(peekedConn{raw, reader}, Submissions)
}

// handshake returns nil when it fails: the connection never falls back to plaintext.
func (d *Door) handshake(raw net.Conn, service Service) *tls.Conn {
	ctx, cancel := context.WithTimeout(context.Background(), d.options.Timeouts.Handshake)
	defer cancel()
	if err := raw.SetReadDeadline(time.Time{}); err != nil {
		return nil
	}
	conn := tls.Server(raw, d.tls)
	if err := conn.HandshakeContext(ctx); err != nil {
		d.metrics.handshakes.WithLabelValues(string(service)).Inc()
		d.options.Logger.Info("TLS handshake failed",
			slog.String("service", string(service)),
			slog.String("client", clientAddress(raw)),
			slog.String("error", err.Error()))
		return nil
	}
	return conn
}
