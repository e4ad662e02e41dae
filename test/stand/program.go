package stand

import (
	"context"
	"fmt"
	"os/exec"
	"path/filepath"
)

// Build makes the relay's program in a directory, as releases are made.
func Build(ctx context.Context, directory string) (string, error) {
	path := filepath.Join(directory, "relay")
	cmd := exec.CommandContext(ctx, "go", "build", "-trimpath", "-buildvcs=false", "-o", path,
		"github.com/mailrelay-dev/mailrelay-operator/cmd/relay")
	cmd.Env = append(cmd.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build the relay: %w\n%s", err, out)
	}
	return path, nil
}
