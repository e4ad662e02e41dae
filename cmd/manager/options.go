package main

import (
	"errors"
	"flag"
	"fmt"
	"net"
	"os"

	"github.com/mailrelay-dev/mailrelay-operator/controllers"
)

// options are the flags of the operator.
type options struct {
	relayImage     string
	clusterDomain  string
	namespace      string
	dnsServer      string
	metricsAddress string
	probeAddress   string
	leaderElection bool
}

func bindOptions(flags *flag.FlagSet) *options {
	o := &options{}
	flags.StringVar(&o.relayImage, "relay-image", "", "image that relay pods run (required)")
	flags.StringVar(&o.clusterDomain, "cluster-domain", "cluster.local", "DNS domain of the cluster")
	flags.StringVar(&o.namespace, "namespace", os.Getenv("POD_NAMESPACE"),
		"namespace that the operator runs in; by default the environment variable POD_NAMESPACE")
	flags.StringVar(&o.dnsServer, "dns-server", "",
		"DNS server, as host:port, that is asked whether the records of DKIM keys are published; by default the system's own")
	flags.StringVar(&o.metricsAddress, "metrics-bind-address", ":8080", "address of /metrics; 0 turns it off")
	flags.StringVar(&o.probeAddress, "health-probe-bind-address", ":8081", "address of /healthz and /readyz")
	flags.BoolVar(&o.leaderElection, "leader-elect", true, "work only while holding the lease, so that several operators can stand by")
	return o
}

func (o *options) validate() error {
	switch {
	case o.relayImage == "":
		return errors.New("no relay image: set --relay-image")
	case o.namespace == "":
		return errors.New("the operator's namespace is not known: set --namespace, or the environment variable POD_NAMESPACE from the downward API")
	case o.clusterDomain == "":
		return errors.New("no cluster domain: set --cluster-domain, usually to cluster.local")
	case o.dnsServer != "" && !isHostPort(o.dnsServer):
		return fmt.Errorf("%q is no address of a DNS server: set --dns-server to host:port, such as 192.0.2.53:53", o.dnsServer)
	default:
		return nil
	}
}

func (o *options) settings() controllers.Settings {
	return controllers.Settings{RelayImage: o.relayImage, ClusterDomain: o.clusterDomain, Namespace: o.namespace, DNSServer: o.dnsServer}
}

func isHostPort(address string) bool {
	host, port, err := net.SplitHostPort(address)
	return err == nil && host != "" && port != ""
}
