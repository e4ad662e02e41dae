package host

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"runtime"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/mailrelay-dev/mailrelay-operator/hack/cluster/layout"
)

// CreateNetwork makes the node's network namespace, binds it to the file path
// and connects it to the host by a veth pair. Inside there is no default route:
// nothing leaves the machine. owner is written on the host's end of the pair.
func CreateNetwork(ctx context.Context, path, owner string) error {
	if err := bindNewNamespace(path); err != nil {
		return err
	}
	commands := [][]string{
		{"ip", "link", "add", layout.HostLink, "type", "veth", "peer", "name", layout.NodeLink, "netns", path},
		{"ip", "link", "set", layout.HostLink, "alias", ownerAlias + owner},
		{"ip", "address", "add", layout.HostIP + layout.LinkPrefix, "dev", layout.HostLink},
		{"ip", "link", "set", layout.HostLink, "up"},
		inside(path, "ip", "link", "set", "lo", "up"),
		inside(path, "ip", "address", "add", layout.NodeIP+layout.LinkPrefix, "dev", layout.NodeLink),
		inside(path, "ip", "link", "set", layout.NodeLink, "up"),
		inside(path, "sysctl", "-q", "-w", "net.ipv4.ip_forward=1"),
		// A Service's address is translated only after a route for it is found.
		inside(path, "ip", "route", "add", layout.ServiceIPs, "dev", "lo", "src", layout.NodeIP),
		{"ip", "route", "add", layout.ServiceIPs, "via", layout.NodeIP},
		{"ip", "route", "add", layout.PodRange, "via", layout.NodeIP},
	}
	for _, command := range commands {
		if err := run(ctx, command[0], command[1:]...); err != nil {
			return err
		}
	}
	return nil
}

// DeleteNetwork removes the veth pair, the routes over it and the namespace's
// file. The kernel drops the namespace with its last process.
func DeleteNetwork(ctx context.Context, path string) error {
	if err := deleteLink(ctx); err != nil {
		return err
	}
	for {
		err := unix.Unmount(path, unix.MNT_DETACH)
		if errors.Is(err, unix.EINVAL) || errors.Is(err, unix.ENOENT) {
			break
		}
		if err != nil {
			return fmt.Errorf("unmount %s: %w", path, err)
		}
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("remove the namespace's file: %w", err)
	}
	return nil
}

// deleteLink deletes the veth pair. With its last process the namespace may go
// at any moment, by itself, and take the pair along: only that it is gone counts.
func deleteLink(ctx context.Context) error {
	const patience = 5 * time.Second
	for deadline := time.Now().Add(patience); exists("/sys/class/net/" + layout.HostLink); time.Sleep(20 * time.Millisecond) {
		err := run(ctx, "ip", "link", "delete", layout.HostLink)
		if err != nil && time.Now().After(deadline) {
			return err
		}
	}
	return nil
}

const ownerAlias = "mailrelay cluster of "

// NetworkOwner returns what CreateNetwork was told, and "" when no cluster is
// connected to this host.
func NetworkOwner() (string, error) {
	alias, err := os.ReadFile("/sys/class/net/" + layout.HostLink + "/ifalias")
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	if err != nil {
		return "", fmt.Errorf("read who owns %s: %w", layout.HostLink, err)
	}
	owner, found := strings.CutPrefix(strings.TrimSpace(string(alias)), ownerAlias)
	if !found {
		return "", fmt.Errorf("the host has an interface %s that no cluster made; rename or remove it", layout.HostLink)
	}
	return owner, nil
}

func inside(path string, command ...string) []string {
	return append([]string{"nsenter", "--net=" + path}, command...)
}

// bindNewNamespace does what "ip netns add" does, at a path of our own choice,
// and without leaving a mount on /run/netns behind.
func bindNewNamespace(path string) error {
	file, err := os.OpenFile(path, os.O_CREATE|os.O_RDONLY, 0o444)
	if err != nil {
		return fmt.Errorf("make the namespace's file: %w", err)
	}
	file.Close()
	result := make(chan error, 1)
	go func() {
		// Never unlocked: the thread is in another namespace and must end with
		// this goroutine.
		runtime.LockOSThread()
		if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
			result <- fmt.Errorf("make a network namespace: %w", err)
			return
		}
		own := fmt.Sprintf("/proc/self/task/%d/ns/net", unix.Gettid())
		if err := unix.Mount(own, path, "", unix.MS_BIND, ""); err != nil {
			result <- fmt.Errorf("bind the network namespace to %s: %w", path, err)
			return
		}
		result <- nil
	}()
	return <-result
}
