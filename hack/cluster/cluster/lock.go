package cluster

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"

	"github.com/mailrelay-dev/mailrelay-operator/hack/cluster/host"
)

// lockFile is outside of the cluster's directory, which comes and goes. There is
// one for the machine, as there is one node.
const lockFile = "/run/mailrelay-cluster.lock"

// Exclusive runs a command that changes the machine while no other does.
func Exclusive(command func() error) error {
	if err := host.RequireRoot(); err != nil {
		return err
	}
	file, err := os.OpenFile(lockFile, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return fmt.Errorf("open the lock: %w", err)
	}
	// The kernel releases the lock with the file, also after a crash.
	defer file.Close()
	err = unix.Flock(int(file.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	if errors.Is(err, unix.EWOULDBLOCK) {
		return errors.New("another command is changing the cluster; wait for it to end")
	}
	if err != nil {
		return fmt.Errorf("lock %s: %w", lockFile, err)
	}
	return command()
}
