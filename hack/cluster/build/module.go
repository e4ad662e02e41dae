package build

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
)

// Module is the source of what is built: the module in hack/cluster.
type Module struct {
	dir string
}

const modulePath = "github.com/mailrelay-dev/mailrelay-operator/hack/cluster"

// FindModule finds the module around the current directory.
func FindModule(ctx context.Context) (Module, error) {
	output, err := exec.CommandContext(ctx, "go", "list", "-m", "-f", "{{.Path}} {{.Dir}}").Output()
	if err != nil {
		return Module{}, fmt.Errorf("find the module to build from: %w", describe(err))
	}
	name, dir, _ := strings.Cut(strings.TrimSpace(string(output)), " ")
	if name != modulePath {
		return Module{}, errors.New("this builds from its own sources; run it as: go -C hack/cluster run . COMMAND")
	}
	return Module{dir: dir}, nil
}

// Version returns the pinned version of a module.
func (m Module) Version(ctx context.Context, path string) (string, error) {
	output, err := m.goCommand(ctx, "list", "-m", "-f", "{{.Version}}", path).Output()
	if err != nil {
		return "", fmt.Errorf("find the version of %s: %w", path, describe(err))
	}
	return strings.TrimSpace(string(output)), nil
}

// source downloads a module, if need be, and returns its directory.
func (m Module) source(ctx context.Context, path string) (string, error) {
	output, err := m.goCommand(ctx, "mod", "download", "-json", path).Output()
	if err != nil {
		return "", fmt.Errorf("download %s: %w", path, describe(err))
	}
	var downloaded struct{ Dir string }
	if err := json.Unmarshal(output, &downloaded); err != nil {
		return "", fmt.Errorf("download %s: %w", path, err)
	}
	return downloaded.Dir, nil
}

// imageTool is the module that makes images.
func (m Module) imageTool() string {
	return filepath.Join(filepath.Dir(m.dir), "image")
}

func (m Module) goCommand(ctx context.Context, args ...string) *exec.Cmd {
	command := exec.CommandContext(ctx, "go", args...)
	command.Dir = m.dir
	return command
}

// describe adds what a failed program had to say.
func describe(err error) error {
	var exit *exec.ExitError
	if errors.As(err, &exit) && len(exit.Stderr) > 0 {
		return fmt.Errorf("%w: %s", err, strings.TrimSpace(string(exit.Stderr)))
	}
	return err
}
