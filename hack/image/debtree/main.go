// Command debtree unpacks Debian packages with all they depend on into a
// directory, from which image --tree makes an image. The directory is a place to
// run programs from, not an installed system: no maintainer script has run.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
)

func main() {
	out := flag.String("out", "", "absolute `directory` to unpack into; must be empty or absent")
	flag.Usage = func() {
		fmt.Fprintln(os.Stderr, "usage: debtree --out DIR PACKAGE...")
		flag.PrintDefaults()
	}
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	err := run(ctx, *out, flag.Args())
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "debtree:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, out string, packages []string) error {
	if !filepath.IsAbs(out) || len(packages) == 0 {
		return fmt.Errorf("want --out with an absolute path and at least one package")
	}
	if existing, _ := os.ReadDir(out); len(existing) > 0 {
		return fmt.Errorf("%s is not empty; remove it first, so that nothing old gets into the image", out)
	}
	work, err := os.MkdirTemp("", "debtree-")
	if err != nil {
		return fmt.Errorf("make a working directory: %w", err)
	}
	defer os.RemoveAll(work)
	archives, err := download(ctx, work, packages)
	if err != nil {
		return err
	}
	for _, archive := range archives {
		if err := unpack(ctx, archive, out); err != nil {
			return err
		}
	}
	return configure(out)
}

// download fetches packages and their dependencies with apt. An empty status
// file makes apt believe that nothing is installed, so it leaves nothing out.
func download(ctx context.Context, work string, packages []string) ([]string, error) {
	status := filepath.Join(work, "status")
	if err := os.WriteFile(status, nil, 0o600); err != nil {
		return nil, fmt.Errorf("write apt's status: %w", err)
	}
	if err := os.Mkdir(filepath.Join(work, "partial"), 0o700); err != nil {
		return nil, fmt.Errorf("make apt's cache: %w", err)
	}
	args := append([]string{
		"--yes", "--quiet", "--download-only", "--no-install-recommends",
		"-o", "Dir::State::status=" + status,
		"-o", "Dir::Cache::archives=" + work,
		"-o", "APT::Sandbox::User=root",
		"-o", "Debug::NoLocking=true",
		"install", "--",
	}, packages...)
	if output, err := exec.CommandContext(ctx, "apt-get", args...).CombinedOutput(); err != nil {
		return nil, fmt.Errorf("download packages (apt-get update may be due): %w\n%s", err, output)
	}
	return filepath.Glob(filepath.Join(work, "*.deb"))
}

func unpack(ctx context.Context, archive, out string) error {
	if output, err := exec.CommandContext(ctx, "dpkg-deb", "--extract", archive, out).CombinedOutput(); err != nil {
		return fmt.Errorf("unpack %s: %w\n%s", filepath.Base(archive), err, output)
	}
	return nil
}
