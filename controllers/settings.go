package controllers

import (
	"context"

	"github.com/mailrelay-dev/mailrelay-operator/controllers/poll"
	"github.com/mailrelay-dev/mailrelay-operator/controllers/tokenissuer"
	"github.com/mailrelay-dev/mailrelay-operator/relay/config"
)

// Settings are what the operator is told at its start.
type Settings struct {
	// RelayImage is what relay pods run.
	RelayImage string
	// ClusterDomain is the DNS domain of the cluster, usually cluster.local.
	ClusterDomain string
	// Namespace that the operator runs in.
	Namespace string
	// DNSServer is asked for the records of DKIM keys, as host:port. Empty for the system's own.
	DNSServer string
}

// Poller asks a relay pod for its state.
type Poller interface {
	Poll(ctx context.Context, target poll.Target) (*config.Report, error)
}

// TokenIssuer knows who issues the service account tokens of the cluster.
type TokenIssuer interface {
	State() tokenissuer.State
	// Ask has it look again soon.
	Ask()
}

// OperatorCA is the CA that relays know the operator by.
type OperatorCA interface {
	// Bundle is the CA as PEM.
	Bundle(ctx context.Context) ([]byte, error)
}
