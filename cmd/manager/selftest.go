package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"os"
	"time"

	"github.com/go-logr/logr"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/mailrelay-dev/mailrelay-operator/controllers"
	"github.com/mailrelay-dev/mailrelay-operator/controllers/selftest"
)

// selftestCommand is the first argument with which the operator's image tests a relay.
const selftestCommand = "selftest"

// Together with what the image takes to start they end before Helm's five minutes, so that
// the test has the last word.
const (
	selftestReady   = 3 * time.Minute
	selftestArrival = time.Minute
)

// runSelftest sends mail through the MailRelay that args name and writes what it does.
func runSelftest(ctx context.Context, args []string, out io.Writer) error {
	flags := flag.NewFlagSet(selftestCommand, flag.ContinueOnError)
	flags.SetOutput(out)
	relay := flags.String("relay", "", "MailRelay whose upstream is the host <relay>-sink (required)")
	namespace := flags.String("namespace", os.Getenv("POD_NAMESPACE"), "namespace of the MailRelay; by default the environment variable POD_NAMESPACE")
	address := flags.String("sink-bind-address", ":1465", "address that the sink listens on")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if *relay == "" || *namespace == "" {
		return errors.New("set --relay, and --namespace or the environment variable POD_NAMESPACE")
	}
	ctrl.SetLogger(logr.Discard())
	config, err := ctrl.GetConfig()
	if err != nil {
		return fmt.Errorf("find the API server: %w", err)
	}
	scheme, err := controllers.NewScheme()
	if err != nil {
		return err
	}
	api, err := client.New(config, client.Options{Scheme: scheme})
	if err != nil {
		return fmt.Errorf("reach the API server: %w", err)
	}
	listener, err := net.Listen("tcp", *address)
	if err != nil {
		return fmt.Errorf("listen for the relay's deliveries: %w", err)
	}
	test := &selftest.Test{
		Client: api, Namespace: *namespace, Relay: *relay, Listener: listener, Out: out,
		ReadyTimeout: selftestReady, ArrivalTimeout: selftestArrival,
	}
	return test.Run(ctx)
}
