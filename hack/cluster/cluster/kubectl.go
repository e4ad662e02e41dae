package cluster

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"strings"
)

// Kubectl runs the cluster's own kubectl as its administrator and returns what
// it printed.
func (c *Cluster) Kubectl(ctx context.Context, stdin io.Reader, args ...string) (string, error) {
	command := exec.CommandContext(ctx, c.Binary("kubectl"), args...)
	// Without the caller's environment: a proxy set there knows no way to here.
	command.Env = []string{"KUBECONFIG=" + c.Kubeconfig(), "HOME=/nonexistent", "KUBECACHEDIR=" + c.Path("kubectl-cache")}
	command.Stdin = stdin
	output, err := command.Output()
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return "", fmt.Errorf("kubectl %s: %w: %s", strings.Join(args, " "), err, bytes.TrimSpace(exit.Stderr))
	}
	if err != nil {
		return "", fmt.Errorf("kubectl %s: %w", strings.Join(args, " "), err)
	}
	return strings.TrimSpace(string(output)), nil
}

// apply makes the objects in manifest what they say.
func (c *Cluster) apply(ctx context.Context, manifest []byte) error {
	_, err := c.Kubectl(ctx, bytes.NewReader(manifest), "apply", "--server-side", "--force-conflicts", "--field-manager=mailrelay-cluster", "--filename=-")
	return err
}
