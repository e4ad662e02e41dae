package controllers

import (
	"context"

	"github.com/mailrelay-dev/mailrelay-operator/api/v1alpha1"
	"github.com/mailrelay-dev/mailrelay-operator/controllers/resources"
	"github.com/mailrelay-dev/mailrelay-operator/relay/config"
)

// applyConfig writes relay.yaml and the CA that the relay knows the operator by. A spec that
// the relay could not read changes nothing: the pods keep what they have.
func (r *MailRelayReconciler) applyConfig(ctx context.Context, s *scope) error {
	var relayYAML []byte
	relayYAML, s.facts.Invalid = renderConfig(s.relay, r.Settings.ClusterDomain)
	if s.facts.Invalid != "" {
		return nil
	}
	operatorCA, err := r.CA.Bundle(ctx)
	if err != nil {
		return err
	}
	return r.applyMounted(ctx, s, resources.ConfigSecret(s.relay, relayYAML, operatorCA))
}

// renderConfig returns relay.yaml, or what is wrong with the spec that makes it.
func renderConfig(relay *v1alpha1.MailRelay, clusterDomain string) (relayYAML []byte, invalid string) {
	relayYAML, err := config.Marshal(resources.RelayConfig(relay, clusterDomain))
	if err != nil {
		return nil, "spec makes a configuration that the relay cannot read: " + err.Error()
	}
	return relayYAML, ""
}
