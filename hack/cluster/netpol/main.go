// Command netpol enforces NetworkPolicies on a one-node test cluster. It runs in
// the node's network namespace and owns one table of nftables.
//
// What it does not do: a connection that is open when a policy appears stays
// open; a pod is isolated once the API server knows its address, a moment after
// it has started; IPv6 is not looked at. The table outlives the process, so that
// a restart opens nothing; --cleanup removes it.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"syscall"

	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/mailrelay-dev/mailrelay-operator/hack/cluster/netpol/table"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:]); err != nil && !errors.Is(err, flag.ErrHelp) {
		slog.Error("netpol cannot go on", "error", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	flags := flag.NewFlagSet("netpol", flag.ContinueOnError)
	kubeconfig := flags.String("kubeconfig", "", "`file` with the API server's address and credentials")
	name := flags.String("table", "mailrelay_netpol", "`name` of the table of nftables to own")
	cleanup := flags.Bool("cleanup", false, "remove the table and end")
	if err := flags.Parse(args); err != nil {
		return err
	}
	rules := table.Table{Name: *name}
	if *cleanup {
		return rules.Remove()
	}
	if *kubeconfig == "" {
		return errors.New("no --kubeconfig; name the file with the cluster's credentials")
	}
	config, err := clientcmd.BuildConfigFromFlags("", *kubeconfig)
	if err != nil {
		return fmt.Errorf("read --kubeconfig: %w", err)
	}
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return fmt.Errorf("make a client: %w", err)
	}
	return newEnforcer(client, rules.Apply).run(ctx)
}
