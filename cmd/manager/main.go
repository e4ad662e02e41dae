// Command manager is the operator: it makes MailRelays and RelayUsers what their specs say.
// "manager selftest" sends mail through a relay instead, for "helm test".
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"time"

	// A scratch image has no CA certificates of its own.
	_ "golang.org/x/crypto/x509roots/fallback"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/healthz"
	"sigs.k8s.io/controller-runtime/pkg/log/zap"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"

	"github.com/mailrelay-dev/mailrelay-operator/controllers"
)

func main() {
	if len(os.Args) > 1 && os.Args[1] == selftestCommand {
		if err := runSelftest(ctrl.SetupSignalHandler(), os.Args[2:], os.Stdout); err != nil {
			fmt.Println("FAILED:", err)
			os.Exit(1)
		}
		return
	}
	o := bindOptions(flag.CommandLine)
	logging := zap.Options{}
	logging.BindFlags(flag.CommandLine)
	flag.Parse()
	ctrl.SetLogger(zap.New(zap.UseFlagOptions(&logging)))
	if err := run(ctrl.SetupSignalHandler(), o); err != nil {
		ctrl.Log.Error(err, "the operator cannot go on")
		os.Exit(1)
	}
}

func run(ctx context.Context, o *options) error {
	if err := o.validate(); err != nil {
		return err
	}
	config, err := ctrl.GetConfig()
	if err != nil {
		return fmt.Errorf("find the API server: %w", err)
	}
	managerOptions, err := o.managerOptions()
	if err != nil {
		return err
	}
	mgr, err := ctrl.NewManager(config, managerOptions)
	if err != nil {
		return fmt.Errorf("make the manager: %w", err)
	}
	for name, add := range map[string]func(string, healthz.Checker) error{
		"livez": mgr.AddHealthzCheck, "readyz": mgr.AddReadyzCheck,
	} {
		if err := add(name, healthz.Ping); err != nil {
			return fmt.Errorf("add the probe %s: %w", name, err)
		}
	}
	if err := controllers.Setup(ctx, mgr, o.settings()); err != nil {
		return err
	}
	return mgr.Start(ctx)
}

// leaderElectionID names the Lease that keeps two operators from working at once.
const leaderElectionID = "mailrelay-operator"

func (o *options) managerOptions() (ctrl.Options, error) {
	scheme, err := controllers.NewScheme()
	if err != nil {
		return ctrl.Options{}, err
	}
	grace := 20 * time.Second
	return ctrl.Options{
		Scheme:                        scheme,
		Cache:                         controllers.CacheOptions(),
		Metrics:                       metricsserver.Options{BindAddress: o.metricsAddress},
		HealthProbeBindAddress:        o.probeAddress,
		LeaderElection:                o.leaderElection,
		LeaderElectionID:              leaderElectionID,
		LeaderElectionNamespace:       o.namespace,
		LeaderElectionReleaseOnCancel: true,
		GracefulShutdownTimeout:       &grace,
	}, nil
}
