package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"path/filepath"
	"runtime"
	"strings"
)

// options are the command line, with every path made absolute.
type options struct {
	root, tree, platform, user, tag, out, push string

	binaries, files                mappings
	entrypoint, cmd, env, labelSet list
}

const usage = `usage: image --tag NAME:TAG (--out FILE | --push REPO) [flags]

Makes an image from files alone and prints its digest. Relative paths are read
against --root. Under "go -C hack/image run ." the current directory is
hack/image itself, so give absolute paths, or --root "$PWD".

`

func parseOptions(args []string, stderr io.Writer) (options, error) {
	var o options
	flags := flag.NewFlagSet("image", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.Usage = func() {
		fmt.Fprint(stderr, usage)
		flags.PrintDefaults()
	}
	flags.StringVar(&o.root, "root", ".", "directory that relative paths start from")
	flags.Var(&o.binaries, "binary", "`PATH[:/dest]` of an executable, by default put into /; repeatable")
	flags.Var(&o.files, "file", "`PATH:/dest` of a file; repeatable")
	flags.StringVar(&o.tree, "tree", "", "`directory` that becomes the lowest layer")
	flags.Var(&o.entrypoint, "entrypoint", "one `word` of the entry point; repeatable")
	flags.Var(&o.cmd, "cmd", "one `word` of the default arguments; repeatable")
	flags.Var(&o.env, "env", "`NAME=value` in the environment; repeatable")
	flags.Var(&o.labelSet, "label", "`key=value`; repeatable")
	flags.StringVar(&o.user, "user", "65532:65532", "`uid:gid` that the process runs as")
	flags.StringVar(&o.platform, "platform", "linux/"+runtime.GOARCH, "`OS/architecture`")
	flags.StringVar(&o.tag, "tag", "", "`NAME:TAG` of the image")
	flags.StringVar(&o.out, "out", "", "`file` to write as an OCI archive")
	flags.StringVar(&o.push, "push", "", "registry and folder (`REPO`) to push to, as REPO/<last part of NAME>:TAG")
	if err := flags.Parse(args); err != nil {
		return o, err
	}
	if flags.NArg() > 0 {
		return o, fmt.Errorf("argument %q belongs to no flag; repeat the flag for each value", flags.Arg(0))
	}
	return o, o.check()
}

// check refuses a command line that cannot give an image and resolves paths.
func (o *options) check() error {
	switch {
	case o.tag == "":
		return errors.New("no --tag; give the image a name, such as --tag mailrelay/relay:dev")
	case o.out == "" && o.push == "":
		return errors.New("nowhere to put the image; give --out FILE, --push REPO or both")
	case o.tree == "" && len(o.binaries) == 0 && len(o.files) == 0:
		return errors.New("the image would be empty; give --binary, --file or --tree")
	}
	root, err := filepath.Abs(o.root)
	if err != nil {
		return fmt.Errorf("resolve --root: %w", err)
	}
	for _, p := range []*string{&o.tree, &o.out} {
		if *p != "" {
			*p = resolve(root, *p)
		}
	}
	for _, m := range append(o.binaries[:len(o.binaries):len(o.binaries)], o.files...) {
		m.source = resolve(root, m.source)
	}
	return o.nameDestinations()
}

func (o *options) nameDestinations() error {
	for _, b := range o.binaries {
		if b.dest == "" {
			b.dest = "/" + filepath.Base(b.source)
		}
	}
	for _, f := range o.files {
		if f.dest == "" {
			return fmt.Errorf("--file %s has no destination; write PATH:/dest", f.source)
		}
	}
	return nil
}

// labels returns the --label flags as a map.
func (o *options) labels() (map[string]string, error) {
	labels := make(map[string]string, len(o.labelSet))
	for _, pair := range o.labelSet {
		key, value, found := strings.Cut(pair, "=")
		if !found || key == "" {
			return nil, fmt.Errorf("label %q is not key=value", pair)
		}
		labels[key] = value
	}
	return labels, nil
}

func resolve(root, path string) string {
	if filepath.IsAbs(path) {
		return path
	}
	return filepath.Join(root, path)
}

// list is a flag that may be repeated.
type list []string

func (l *list) String() string { return strings.Join(*l, " ") }

func (l *list) Set(value string) error {
	*l = append(*l, value)
	return nil
}

// mapping is a file of this machine and its place in the image.
type mapping struct{ source, dest string }

// mappings is a repeatable flag of the form PATH[:/dest].
type mappings []*mapping

func (m *mappings) String() string { return "" }

func (m *mappings) Set(value string) error {
	source, dest, _ := strings.Cut(value, ":")
	if source == "" {
		return fmt.Errorf("%q has no path before the colon", value)
	}
	*m = append(*m, &mapping{source: source, dest: dest})
	return nil
}
