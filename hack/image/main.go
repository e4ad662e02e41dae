// Command image makes container images from binaries, files and directory trees
// without a container engine and without a base image.
package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"github.com/mailrelay-dev/mailrelay-operator/hack/image/scratch"
)

func main() {
	err := run(os.Args[1:], os.Stdout, os.Stderr)
	if err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "image:", err)
		os.Exit(1)
	}
}

// run builds the image that args describe and prints name@digest, one line for
// each place it went to.
func run(args []string, stdout, stderr io.Writer) error {
	o, err := parseOptions(args, stderr)
	if err != nil {
		return err
	}
	tag, err := name.NewTag(o.tag)
	if err != nil {
		return fmt.Errorf("read --tag: %w", err)
	}
	img, err := build(o)
	if err != nil {
		return err
	}
	digest, err := img.Digest()
	if err != nil {
		return fmt.Errorf("compute the digest: %w", err)
	}
	if o.out != "" {
		if err := scratch.WriteArchive(o.out, tag, img); err != nil {
			return err
		}
		fmt.Fprintf(stdout, "%s@%s\n", scratch.ContainerdName(tag), digest)
	}
	if o.push != "" {
		return push(o.push, tag, img, digest, stdout)
	}
	return nil
}

// build stacks the tree, if any, below a layer of binaries and files: what
// changes often stays small.
func build(o options) (v1.Image, error) {
	labels, err := o.labels()
	if err != nil {
		return nil, err
	}
	var layers []v1.Layer
	if o.tree != "" {
		entries, err := scratch.Tree(o.tree)
		if err != nil {
			return nil, err
		}
		layer, err := scratch.Layer(entries)
		if err != nil {
			return nil, err
		}
		layers = append(layers, layer)
	}
	if len(o.binaries)+len(o.files) > 0 {
		layer, err := fileLayer(o)
		if err != nil {
			return nil, err
		}
		layers = append(layers, layer)
	}
	return scratch.Image(scratch.Config{
		Platform:   o.platform,
		User:       o.user,
		Entrypoint: o.entrypoint,
		Cmd:        o.cmd,
		Env:        o.env,
		Labels:     labels,
	}, layers...)
}

func fileLayer(o options) (v1.Layer, error) {
	var entries []scratch.Entry
	for _, b := range o.binaries {
		entry, err := scratch.File(b.source, b.dest)
		if err != nil {
			return nil, err
		}
		entry.Mode = 0o755
		entries = append(entries, entry)
	}
	for _, f := range o.files {
		entry, err := scratch.File(f.source, f.dest)
		if err != nil {
			return nil, err
		}
		entries = append(entries, entry)
	}
	return scratch.Layer(entries)
}

// push sends img to repo, with the credentials of the user's Docker or Podman
// configuration.
func push(repo string, tag name.Tag, img v1.Image, digest v1.Hash, stdout io.Writer) error {
	base := path.Base(tag.RepositoryStr())
	target, err := name.NewTag(repo + "/" + base + ":" + tag.TagStr())
	if err != nil {
		return fmt.Errorf("read --push: %w", err)
	}
	if err := remote.Write(target, img, remote.WithAuthFromKeychain(authn.DefaultKeychain)); err != nil {
		return fmt.Errorf("push to %s: %w", target, err)
	}
	fmt.Fprintf(stdout, "%s@%s\n", target, digest)
	return nil
}
