// Command provisioner gives the claims of one storage class directories of a
// one-node test cluster as local volumes. Unlike hostPath volumes these honour
// fsGroup, so that pods that are not root can write.
//
// The size of a volume is not enforced, and a volume cannot grow.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"

	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:]); err != nil && !errors.Is(err, flag.ErrHelp) {
		slog.Error("provisioner cannot go on", "error", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	flags := flag.NewFlagSet("provisioner", flag.ContinueOnError)
	kubeconfig := flags.String("kubeconfig", "", "`file` with the API server's address and credentials")
	var place placement
	flags.StringVar(&place.dir, "dir", "", "absolute `directory` that holds one directory for each volume")
	flags.StringVar(&place.node, "node-name", "", "`name` of the node that --dir is on")
	flags.StringVar(&place.class, "storage-class", "local", "`name` of the storage class to serve; created if missing")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if *kubeconfig == "" || place.node == "" || !filepath.IsAbs(place.dir) {
		return errors.New("give --kubeconfig, --node-name and an absolute --dir")
	}
	config, err := clientcmd.BuildConfigFromFlags("", *kubeconfig)
	if err != nil {
		return fmt.Errorf("read --kubeconfig: %w", err)
	}
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return fmt.Errorf("make a client: %w", err)
	}
	return newProvisioner(client, place).run(ctx)
}
