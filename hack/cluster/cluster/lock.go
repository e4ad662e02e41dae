package cluster

import (
	"context"
	"errors"
	"fmt"
	"net"

	"golang.org/x/sys/unix"

	"github.com/mailrelay-dev/mailrelay-operator/hack/cluster/host"
)

// lockName is a name in the kernel, not a file: it goes with the process that
// holds it and leaves nothing behind. There is one for the machine, as there is
// one node.
const lockName = "@mailrelay-cluster"

// Exclusive runs a command that changes the machine while no other does.
func Exclusive(ctx context.Context, command func() error) error {
	if err := host.RequireRoot(); err != nil {
		return err
	}
	var config net.ListenConfig
	lock, err := config.Listen(ctx, "unix", lockName)
	if errors.Is(err, unix.EADDRINUSE) {
		return errors.New("another command is changing the cluster; wait for it to end")
	}
	if err != nil {
		return fmt.Errorf("take the lock: %w", err)
	}
	defer lock.Close()
	return command()
}
