package cluster

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"strings"
)

// Load puts the images of the archives onto the node.
func (c *Cluster) Load(ctx context.Context, archives ...string) error {
	if len(archives) == 0 {
		return errors.New("no archive; name the files to load images from")
	}
	for _, archive := range archives {
		command := exec.CommandContext(ctx, c.Binary("ctr"),
			"--address", c.ContainerdSocket(), "--namespace", "k8s.io", "images", "import", archive)
		if output, err := command.CombinedOutput(); err != nil {
			return fmt.Errorf("load %s: %w: %s", archive, err, strings.TrimSpace(string(output)))
		}
	}
	return nil
}
