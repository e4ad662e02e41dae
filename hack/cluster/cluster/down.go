package cluster

import (
	"context"
	"fmt"
	"os"
	"slices"
	"time"

	"github.com/mailrelay-dev/mailrelay-operator/hack/cluster/component"
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
	if err := c.stopProcesses(); err != nil {
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

// stopProcesses ends what was recorded, the last to start first. So the API
// server ends before etcd, without which it would not.
func (c *Cluster) stopProcesses() error {
	parts := c.components()
	slices.Reverse(parts)
	for _, part := range parts {
		record, found, err := c.records.Read(part.Name)
		if err != nil {
			return err
		}
		if !found {
			continue
		}
		if err := process.Stop(record.Identity, grace(part)); err != nil {
			return fmt.Errorf("stop %s: %w", part.Name, err)
		}
		if err := c.records.Forget(part.Name); err != nil {
			return err
		}
	}
	return nil
}

func grace(part component.Component) time.Duration {
	const usual = 3 * time.Second
	if part.Grace == 0 {
		return usual
	}
	return part.Grace
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
