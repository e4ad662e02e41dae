package build

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/mailrelay-dev/mailrelay-operator/hack/cluster/layout"
)

// Builder builds what is missing from or outdated in a cache.
type Builder struct {
	Module Module
	Layout layout.Layout
	// Say reports progress in a line for people.
	Say func(format string, args ...any)
}

// stale is a unit to be built and the stamp it will then carry.
type stale struct {
	Unit
	stamp string
}

// Binaries makes sure that the units are in the cache. All that share a way of
// linking are built by one call of the go command, which compiles the packages
// they have in common once and keeps every processor busy.
func (b Builder) Binaries(ctx context.Context, units []Unit) error {
	return b.exclusive(ctx, func() error { return b.binaries(ctx, units) })
}

func (b Builder) binaries(ctx context.Context, units []Unit) error {
	flags, err := b.flags(ctx)
	if err != nil {
		return err
	}
	var plain, withC []stale
	for _, unit := range units {
		stamp, err := b.Module.stamp(unit, flags)
		if err != nil {
			return err
		}
		switch {
		case fresh(b.Layout.Binary(unit.Binary), stamp):
		case unit.C:
			withC = append(withC, stale{unit, stamp})
		default:
			plain = append(plain, stale{unit, stamp})
		}
	}
	if err := b.link(ctx, plain, flags, "CGO_ENABLED=0"); err != nil {
		return err
	}
	return b.link(ctx, withC, flags, "CGO_ENABLED=1")
}

// flags are those of every build. Without its version a Kubernetes binary calls
// itself v0.0.0, which clients compare with.
func (b Builder) flags(ctx context.Context) ([]string, error) {
	version, err := b.Module.Version(ctx, "k8s.io/kubernetes")
	if err != nil {
		return nil, err
	}
	return []string{"-tags=" + tags, "-ldflags=" + linkerFlags(version)}, nil
}

func linkerFlags(version string) string {
	const variable = " -X k8s.io/component-base/version."
	major, rest, _ := strings.Cut(strings.TrimPrefix(version, "v"), ".")
	minor, _, _ := strings.Cut(rest, ".")
	return "-s -w" + variable + "gitVersion=" + version + variable + "gitMajor=" + major + variable + "gitMinor=" + minor
}

func (b Builder) link(ctx context.Context, units []stale, flags []string, env string) error {
	if len(units) == 0 {
		return nil
	}
	// Beside the final place, for a rename that replaces in one step.
	staging := filepath.Join(b.Layout.Cache, "bin.new")
	for _, dir := range []string{staging, b.Layout.Bin()} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return fmt.Errorf("make the cache: %w", err)
		}
	}
	defer os.RemoveAll(staging)

	arguments := append([]string{"build"}, flags...)
	arguments = append(arguments, "-o", staging+"/")
	var names []string
	for _, unit := range units {
		arguments = append(arguments, unit.Package)
		names = append(names, unit.Binary)
	}
	b.Say("building %s", strings.Join(names, ", "))
	command := b.Module.goCommand(ctx, arguments...)
	command.Env = append(os.Environ(), env)
	command.Stderr = os.Stderr
	if err := command.Run(); err != nil {
		return fmt.Errorf("build %s: %w", strings.Join(names, ", "), err)
	}
	for _, unit := range units {
		if err := b.install(filepath.Join(staging, unit.linkedName()), unit); err != nil {
			return err
		}
	}
	return nil
}

func (b Builder) install(built string, unit stale) error {
	target := b.Layout.Binary(unit.Binary)
	if err := clearStamp(target); err != nil {
		return err
	}
	if err := os.Rename(built, target); err != nil {
		return fmt.Errorf("put %s into the cache: %w", unit.Binary, err)
	}
	return writeStamp(target, unit.stamp)
}
