package table

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// patience is how long a dial may take before it counts as denied. All is on one
// machine, so what is allowed answers within a millisecond or two.
const patience = 200 * time.Millisecond

// netns is a network namespace without a name: it ends with the test process,
// even when that crashes.
type netns struct{ file *os.File }

func newNetns(t *testing.T) netns {
	t.Helper()
	type result struct {
		file *os.File
		err  error
	}
	made := make(chan result)
	go func() {
		// Never unlocked: the thread, being in another namespace, ends here.
		runtime.LockOSThread()
		if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
			made <- result{err: err}
			return
		}
		file, err := os.Open(fmt.Sprintf("/proc/self/task/%d/ns/net", unix.Gettid()))
		made <- result{file, err}
	}()
	r := <-made
	if r.err != nil {
		t.Fatalf("make a network namespace: %v", r.err)
	}
	t.Cleanup(func() { r.file.Close() })
	return netns{r.file}
}

func (n netns) fd() int { return int(n.file.Fd()) }

// do runs f on a thread inside the namespace.
func (n netns) do(f func() error) error {
	done := make(chan error)
	go func() {
		runtime.LockOSThread()
		if err := unix.Setns(n.fd(), unix.CLONE_NEWNET); err != nil {
			done <- err
			return
		}
		done <- f()
	}()
	return <-done
}

// ip runs iproute2 inside the namespace.
func (n netns) ip(t *testing.T, args string) {
	t.Helper()
	err := n.do(func() error {
		output, err := exec.Command("ip", strings.Fields(args)...).CombinedOutput()
		if err != nil {
			return fmt.Errorf("ip %s: %w: %s", args, err, output)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// network is a router with hosts around it, each on a link of its own, as the
// ptp plugin connects pods.
type network struct {
	router netns
	hosts  map[string]netns
}

// newNetwork connects a host for each name to the router. The address of a host
// is the .2 of its /24, the router has the .1.
func newNetwork(t *testing.T, addresses map[string]string) network {
	t.Helper()
	n := network{router: newNetns(t), hosts: map[string]netns{}}
	n.router.ip(t, "link set lo up")
	forward := func() error { return os.WriteFile("/proc/sys/net/ipv4/ip_forward", []byte("1"), 0) }
	if err := n.router.do(forward); err != nil {
		t.Fatal(err)
	}
	for name, address := range addresses {
		host := newNetns(t)
		n.hosts[name] = host
		gateway := strings.TrimSuffix(address, "2") + "1"
		n.router.ip(t, fmt.Sprintf("link add %s type veth peer name eth0 netns /proc/%d/fd/%d", name, os.Getpid(), host.fd()))
		n.router.ip(t, fmt.Sprintf("addr add %s/24 dev %s", gateway, name))
		n.router.ip(t, fmt.Sprintf("link set %s up", name))
		host.ip(t, "link set lo up")
		host.ip(t, fmt.Sprintf("addr add %s/24 dev eth0", address))
		host.ip(t, "link set eth0 up")
		host.ip(t, fmt.Sprintf("route add default via %s", gateway))
	}
	return n
}

// serve answers every connection and packet on port with "ok".
func (n netns) serve(t *testing.T, port int) {
	t.Helper()
	err := n.do(func() error {
		listener, err := net.Listen("tcp4", ":"+strconv.Itoa(port))
		if err != nil {
			return err
		}
		packets, err := net.ListenPacket("udp4", ":"+strconv.Itoa(port))
		if err != nil {
			return err
		}
		t.Cleanup(func() { listener.Close(); packets.Close() })
		go answerStreams(listener)
		go answerPackets(packets)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func answerStreams(listener net.Listener) {
	for {
		conn, err := listener.Accept()
		if err != nil {
			return
		}
		go func() {
			defer conn.Close()
			buffer := make([]byte, 64)
			for {
				if _, err := conn.Read(buffer); err != nil {
					return
				}
				if _, err := conn.Write([]byte("ok")); err != nil {
					return
				}
			}
		}()
	}
}

func answerPackets(packets net.PacketConn) {
	buffer := make([]byte, 64)
	for {
		_, from, err := packets.ReadFrom(buffer)
		if err != nil {
			return
		}
		if _, err := packets.WriteTo([]byte("ok"), from); err != nil {
			return
		}
	}
}

// dial opens a connection from the namespace. A TCP dial that is dropped ends in
// a timeout.
func (n netns) dial(protocol, address string) (conn net.Conn, err error) {
	err = n.do(func() error {
		conn, err = net.DialTimeout(protocol+"4", address, patience)
		return err
	})
	return conn, err
}

// reaches tells whether a request over protocol from the namespace gets its
// answer.
func (n netns) reaches(protocol, address string) bool {
	conn, err := n.dial(protocol, address)
	if err != nil {
		return false
	}
	defer conn.Close()
	return answers(conn)
}

func answers(conn net.Conn) bool {
	if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
		return false
	}
	if _, err := conn.Write([]byte("hello")); err != nil {
		return false
	}
	_, err := conn.Read(make([]byte, 2))
	return err == nil
}

// sent sends a packet and tells whether an answer to it, or to an earlier one of
// the same loop, is there already.
func (n netns) sent(protocol, address string) bool {
	conn, err := n.dial(protocol, address)
	if err != nil {
		return false
	}
	defer conn.Close()
	if _, err := conn.Write([]byte("hello")); err != nil {
		return false
	}
	if err := conn.SetReadDeadline(time.Now().Add(time.Millisecond)); err != nil {
		return false
	}
	_, err = conn.Read(make([]byte, 2))
	return err == nil
}
