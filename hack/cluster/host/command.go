// Package host changes what a cluster needs changed on the machine below it:
// packages, network namespace, control groups, mounts and kernel settings. Each
// change has its opposite.
package host

import (
	"context"
	"fmt"
	"os/exec"
	"strings"
)

// run runs a program; its error holds what the program printed.
func run(ctx context.Context, name string, args ...string) error {
	output, err := exec.CommandContext(ctx, name, args...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("%s %s: %w: %s", name, strings.Join(args, " "), err, strings.TrimSpace(string(output)))
	}
	return nil
}
