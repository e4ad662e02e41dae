package served

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"sync"
)

// Own are the ends that looks at the ports connect from, so that those are not taken for clients.
// The zero Own has none. It may be used by many at once, and must not be copied.
type Own struct{ ends sync.Map }

// Has reports whether a look connects from that address.
func (o *Own) Has(end net.Addr) bool {
	tcp, ok := end.(*net.TCPAddr)
	if ok {
		_, ok = o.ends.Load(key(tcp))
	}
	return ok
}

// key is the same where a socket shows IPv4 as IPv6.
func key(end *net.TCPAddr) netip.AddrPort {
	at := end.AddrPort()
	return netip.AddrPortFrom(at.Addr().Unmap().WithZone(""), at.Port())
}

// dial connects from an end that is known before the port sees it. Whoever gets the connection
// calls forget when it is over.
func (o *Own) dial(ctx context.Context, to net.Addr) (conn net.Conn, forget func(), err error) {
	tcp, ok := to.(*net.TCPAddr)
	if !ok {
		return nil, nil, fmt.Errorf("%s is no address of TCP", to)
	}
	host := tcp.IP
	if len(host) == 0 || host.IsUnspecified() {
		// It means this host, to which Go connects by the loopback address.
		host = net.IPv4(127, 0, 0, 1)
	}
	// The system chooses a port that is free.
	free, err := (&net.ListenConfig{}).Listen(ctx, "tcp", (&net.TCPAddr{IP: host, Zone: tcp.Zone}).String())
	if err != nil {
		return nil, nil, err
	}
	end := free.Addr().(*net.TCPAddr)
	if err := free.Close(); err != nil {
		return nil, nil, err
	}
	o.ends.Store(key(end), nil)
	forget = func() { o.ends.Delete(key(end)) }
	dialer := net.Dialer{LocalAddr: end}
	if conn, err = dialer.DialContext(ctx, "tcp", (&net.TCPAddr{IP: host, Port: tcp.Port, Zone: tcp.Zone}).String()); err != nil {
		forget()
		return nil, nil, err
	}
	return conn, forget, nil
}
