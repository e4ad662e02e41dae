package controllers

import (
	"context"

	"github.com/mailrelay-dev/mailrelay-operator/controllers/resources"
	"github.com/mailrelay-dev/mailrelay-operator/relay/config"
)

// applyConfig writes relay.yaml and the CA that the relay knows the operator by. A spec that
// the relay could not read changes nothing: the pods keep what they have.
func (r *MailRelayReconciler) applyConfig(ctx context.Context, s *scope) error {
	relayYAML, err := config.Marshal(resources.RelayConfig(s.relay, r.Settings.ClusterDomain))
	if err != nil {
		s.facts.Invalid = "spec makes a configuration that the relay cannot read: " + err.Error()
		return nil
	}
	operatorCA, err := r.CA.Bundle(ctx)
	if err != nil {
		return err
	}
	return r.applyMounted(ctx, s, resources.ConfigSecret(s.relay, relayYAML, operatorCA))
}
