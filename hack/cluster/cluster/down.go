package cluster

import (
	"context"
	"fmt"
	"os"

	"github.com/mailrelay-dev/mailrelay-operator/hack/cluster/host"
	"github.com/mailrelay-dev/mailrelay-operator/hack/cluster/process"
)

// Down ends the cluster and removes everything that it made outside of the
// cache.
func (c *Cluster) Down(ctx context.Context) error {
	if err := c.refuseOthers(); err != nil {
		return err
	}
	if !c.isMarked() {
		c.Say("there is no cluster in %s", c.Dir)
		return nil
	}
	if err := c.remove(ctx); err != nil {
		return err
	}
	if err := os.Remove(c.Dir); err != nil {
		return fmt.Errorf("remove the cluster's directory: %w", err)
	}
	c.Say("the cluster is down")
	return nil
}

// remove ends all processes and takes back every change to the machine. It may
// find any part missing, and goes on.
func (c *Cluster) remove(ctx context.Context) error {
	if err := c.killProcesses(); err != nil {
		return err
	}
	if err := c.cgroups.Kill(); err != nil {
		return err
	}
	if err := host.UnmountBelow(c.Dir); err != nil {
		return err
	}
	if err := host.DeleteNetwork(ctx, c.NetworkNamespace()); err != nil {
		return err
	}
	if err := c.cgroups.Remove(); err != nil {
		return err
	}
	if err := c.sysctls.Restore(); err != nil {
		return err
	}
	if err := c.footprint.Erase(); err != nil {
		return err
	}
	return c.empty()
}

// killProcesses ends what was recorded. There is nothing to be gentle about:
// all that these processes could still write down is about to be removed.
func (c *Cluster) killProcesses() error {
	records, err := c.records.All()
	if err != nil {
		return err
	}
	for _, record := range records {
		if err := process.Stop(record.Identity, 0); err != nil {
			return fmt.Errorf("stop %s: %w", record.Name, err)
		}
		if err := c.records.Forget(record.Name); err != nil {
			return err
		}
	}
	return nil
}

// empty removes what is in the cluster's directory. The marker goes last, so
// that a removal that was cut short can be repeated.
func (c *Cluster) empty() error {
	entries, err := os.ReadDir(c.Dir)
	if err != nil {
		return fmt.Errorf("read the cluster's directory: %w", err)
	}
	for _, entry := range entries {
		path := c.Path(entry.Name())
		if path == c.Marker() {
			continue
		}
		if err := os.RemoveAll(path); err != nil {
			return fmt.Errorf("empty the cluster's directory: %w", err)
		}
	}
	if err := os.Remove(c.Marker()); err != nil {
		return fmt.Errorf("remove the cluster's marker: %w", err)
	}
	return nil
}
