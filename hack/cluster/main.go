// Command cluster runs a real one-node Kubernetes on this Linux machine, in a
// network namespace of its own, from what it builds itself.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/mailrelay-dev/mailrelay-operator/hack/cluster/cluster"
	"github.com/mailrelay-dev/mailrelay-operator/hack/cluster/layout"
)

const usage = `usage: go -C hack/cluster run . [flags] COMMAND

  up [--without-cert-manager]   bring the cluster up; do nothing when it is
  down                          take it down; what was built stays in the cache
  status                        show what runs; fails when something does not
  load ARCHIVE...               put images onto the node
  cert-manager install|remove   install or remove cert-manager on a running cluster
  build                         build everything, start nothing
  assets                        build kube-apiserver, etcd and kubectl; print their directory
  kubectl-path                  print the path of the cluster's kubectl
  kubeconfig-path               print the path of the administrator's kubeconfig

flags:
`

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	err := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	if errors.Is(err, flag.ErrHelp) {
		return
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "cluster:", err)
		os.Exit(1)
	}
}

// run does what args say. Results are written to stdout and progress, for
// commands that have a result, to stderr.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	flags := flag.NewFlagSet("cluster", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.Usage = func() {
		fmt.Fprint(stderr, usage)
		flags.PrintDefaults()
	}
	dir := flags.String("dir", "", "absolute `path` of the cluster's state; else "+layout.DirVariable+", else /var/lib/mailrelay-cluster")
	cache := flags.String("cache", "", "absolute `path` of what is built; else "+layout.CacheVariable+", else below the user's cache")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if flags.NArg() == 0 {
		flags.Usage()
		return errors.New("no command")
	}
	place, err := layout.New(*dir, *cache)
	if err != nil {
		return err
	}
	command, found := commands[flags.Arg(0)]
	if !found {
		return fmt.Errorf("no command %q; the commands are in the help: --help", flags.Arg(0))
	}
	return command(invocation{ctx, place, flags.Args()[1:], stdout, stderr})
}

// invocation is what a command works with.
type invocation struct {
	ctx            context.Context
	place          layout.Layout
	args           []string
	stdout, stderr io.Writer
}

// cluster tells its progress on the standard output.
func (i invocation) cluster() *cluster.Cluster { return cluster.New(i.place, i.stdout) }

var commands = map[string]func(invocation) error{
	"up":              up,
	"down":            down,
	"status":          status,
	"load":            load,
	"cert-manager":    certManager,
	"build":           buildAll,
	"assets":          assets,
	"kubectl-path":    func(i invocation) error { return i.print(i.place.Binary("kubectl")) },
	"kubeconfig-path": func(i invocation) error { return i.print(i.place.Kubeconfig()) },
}

// print writes a result, as one line.
func (i invocation) print(result string) error {
	if err := i.noArguments(); err != nil {
		return err
	}
	_, err := fmt.Fprintln(i.stdout, result)
	return err
}

func (i invocation) noArguments() error {
	if len(i.args) > 0 {
		return fmt.Errorf("the command takes no argument %q; flags stand before the command", i.args[0])
	}
	return nil
}
