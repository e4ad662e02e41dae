package main

import (
	"flag"
	"io"
	"strings"
	"testing"
)

func parse(t *testing.T, arguments ...string) *options {
	t.Helper()
	flags := flag.NewFlagSet("manager", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	o := bindOptions(flags)
	if err := flags.Parse(arguments); err != nil {
		t.Fatal(err)
	}
	return o
}

func TestOptionsSayWhatIsMissing(t *testing.T) {
	t.Setenv("POD_NAMESPACE", "")
	for _, tc := range []struct {
		name      string
		arguments []string
		want      string
	}{
		{"image", nil, "--relay-image"},
		{"namespace", []string{"--relay-image=relay:1"}, "POD_NAMESPACE"},
		{"DNS server", []string{"--relay-image=relay:1", "--namespace=a", "--dns-server=192.0.2.53"}, "--dns-server"},
		{"domain", []string{"--relay-image=relay:1", "--namespace=a", "--cluster-domain="}, "--cluster-domain"},
	} {
		if err := parse(t, tc.arguments...).validate(); err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: validate = %v, want it to name %s", tc.name, err, tc.want)
		}
	}
}

func TestOptionsReachTheOperator(t *testing.T) {
	t.Setenv("POD_NAMESPACE", "mailrelay-system")
	o := parse(t, "--relay-image=relay:1", "--metrics-bind-address=:9999", "--leader-elect=false", "--dns-server=[::1]:53")
	if err := o.validate(); err != nil {
		t.Fatal(err)
	}
	s := o.settings()
	if s.RelayImage != "relay:1" || s.ClusterDomain != "cluster.local" || s.Namespace != "mailrelay-system" || s.DNSServer != "[::1]:53" {
		t.Errorf("settings = %+v", s)
	}
	m, err := o.managerOptions()
	if err != nil {
		t.Fatal(err)
	}
	if m.Metrics.BindAddress != ":9999" || m.LeaderElection || m.LeaderElectionNamespace != s.Namespace || !m.LeaderElectionReleaseOnCancel {
		t.Errorf("manager options = %+v", m)
	}
	if m.Cache.DefaultLabelSelector == nil {
		t.Error("the cache is not scoped")
	}
}
