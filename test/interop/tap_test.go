//go:build interop

package interop

import (
	"io"
	"net"
	"slices"
	"sync"
	"testing"
)

// tap hands connections on to the relay, and knows by which addresses the relay sees them.
type tap struct {
	address string

	mu   sync.Mutex
	seen []string
}

func newTap(t *testing.T, relay string) *tap {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	tap := &tap{address: l.Addr().String()}
	var open sync.WaitGroup
	open.Go(func() {
		for {
			client, err := l.Accept()
			if err != nil {
				return
			}
			open.Go(func() { tap.handOn(client, relay) })
		}
	})
	t.Cleanup(func() {
		l.Close()
		open.Wait()
	})
	return tap
}

func (t *tap) handOn(client net.Conn, relay string) {
	defer client.Close()
	server, err := net.Dial("tcp", relay)
	if err != nil {
		return
	}
	defer server.Close()
	t.mu.Lock()
	t.seen = append(t.seen, server.LocalAddr().String())
	t.mu.Unlock()
	done := make(chan struct{})
	go func() {
		defer close(done)
		_, _ = io.Copy(server, client)
		_ = server.(*net.TCPConn).CloseWrite()
	}()
	_, _ = io.Copy(client, server)
	client.Close() // so that the other direction ends too
	<-done
}

// passed reports whether the relay saw a connection of the tap at this address.
func (t *tap) passed(address string) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return slices.Contains(t.seen, address)
}
