package controllers

import (
	"context"
	"crypto/rand"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/mailrelay-dev/mailrelay-operator/controllers/resources"
	"github.com/mailrelay-dev/mailrelay-operator/relay/config"
)

// applyConfig writes relay.yaml, the CAs that the relay knows the operator and clients by, and
// the keys that it verifies service account tokens with. A spec that the relay could not read
// changes nothing: the pods keep what they have.
func (r *MailRelayReconciler) applyConfig(ctx context.Context, s *scope) error {
	if s.dkim.unknown || !s.trustKnown {
		return nil
	}
	wanted := resources.RelayConfig(s.relay, r.Settings.ClusterDomain)
	wanted.DKIM = append(wanted.DKIM, s.dkim.signing...)
	decoyKey, err := r.decoyKey(ctx, s)
	if err != nil {
		return err
	}
	wanted.Users.DecoyKey = decoyKey
	clientCAs := s.clientCAs()
	asks, err := r.certificatesWanted(ctx, s)
	if err != nil {
		return err
	}
	if asks {
		if len(clientCAs) == 0 {
			// They come with the certificate, without which no pod starts.
			return nil
		}
		wanted.TLS.ClientCAFile = resources.ClientCAFile
	}
	var relayYAML []byte
	relayYAML, s.facts.Invalid = render(wanted)
	if s.facts.Invalid != "" {
		return nil
	}
	operatorCA, err := r.CA.Bundle(ctx)
	if err != nil {
		return err
	}
	tokenKeys, err := r.tokenKeys(ctx, s)
	if err != nil {
		return err
	}
	return r.applyMounted(ctx, s, resources.ConfigSecret(s.relay, resources.ConfigFiles{
		RelayYAML: relayYAML, OperatorCA: operatorCA, ClientCAs: clientCAs, TokenKeys: tokenKeys, DecoyKey: decoyKey,
	}))
}

// render returns relay.yaml, or what is wrong with the spec that makes it.
func render(wanted *config.Config) (relayYAML []byte, invalid string) {
	relayYAML, err := config.Marshal(wanted)
	if err != nil {
		return nil, "spec makes a configuration that the relay cannot read: " + err.Error()
	}
	return relayYAML, ""
}

// decoyKey is the key of what the relay shows for users who do not exist: random, since who
// knows it can tell which users do, and the same for all pods and for good, since a change
// tells as well. The Secret with relay.yaml keeps it.
func (r *MailRelayReconciler) decoyKey(ctx context.Context, s *scope) (string, error) {
	if s.memory.decoyKey != "" {
		return s.memory.decoyKey, nil
	}
	secret, err := liveSecret(ctx, r.Live, s.relay.Namespace, resources.ConfigName(s.relay))
	if err != nil {
		return "", err
	}
	s.memory.decoyKey = rand.Text()
	if secret != nil && metav1.IsControlledBy(secret, s.relay) && len(secret.Data[resources.DecoyKeyKey]) > 0 {
		s.memory.decoyKey = string(secret.Data[resources.DecoyKeyKey])
	}
	return s.memory.decoyKey, nil
}
