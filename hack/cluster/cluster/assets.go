package cluster

import (
	"context"
	"fmt"

	"github.com/mailrelay-dev/mailrelay-operator/hack/cluster/build"
	"github.com/mailrelay-dev/mailrelay-operator/hack/cluster/host"
)

// Assets builds what tests against an API server need and returns the directory
// that it is in.
func (c *Cluster) Assets(ctx context.Context) (string, error) {
	builder, err := c.builder(ctx)
	if err != nil {
		return "", err
	}
	if err := builder.Binaries(ctx, build.Assets); err != nil {
		return "", err
	}
	return c.Bin(), nil
}

// Build builds everything and starts nothing.
func (c *Cluster) Build(ctx context.Context) error {
	if err := host.RequireRoot(); err != nil {
		return err
	}
	if _, err := c.prepare(ctx); err != nil {
		return fmt.Errorf("build the cluster: %w", err)
	}
	c.Say("built in %s", c.Bin())
	return nil
}
