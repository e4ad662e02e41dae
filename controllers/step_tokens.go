package controllers

import (
	"context"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/mailrelay-dev/mailrelay-operator/controllers/readiness"
	"github.com/mailrelay-dev/mailrelay-operator/controllers/resources"
	"github.com/mailrelay-dev/mailrelay-operator/relay/config"
)

// tokenKeys are the keys that service account tokens are verified with. Every relay gets them,
// whether or not it has users with tokens: the first of these then waits for nothing. While the
// API server does not tell them, a relay keeps those that it has.
func (r *MailRelayReconciler) tokenKeys(ctx context.Context, s *scope) ([]byte, error) {
	if keys := r.Tokens.State().Keys; keys != nil {
		return keys, nil
	}
	secret, err := liveSecret(ctx, r.Live, s.relay.Namespace, resources.ConfigName(s.relay))
	if err != nil || secret == nil || !metav1.IsControlledBy(secret, s.relay) {
		return nil, err
	}
	kept := secret.Data[resources.TokenKeysKey]
	if _, err := config.ParseTokenKeys(kept); err == nil {
		return kept, nil
	}
	return nil, nil
}

// askForKeys has the issuer read again when a pod has missed a key since the last pass. Pods
// have clocks of their own, so their times are only compared with each other.
func (r *MailRelayReconciler) askForKeys(s *scope) {
	var missed time.Time
	for i := range s.facts.Pods {
		if report := s.facts.Pods[i].Report; report != nil && report.TokenKeyMissed.After(missed) {
			missed = report.TokenKeyMissed
		}
	}
	if missed.After(s.memory.keyMissed) {
		s.memory.keyMissed = missed
		r.Tokens.Ask()
	}
}

// tokensFact is what RelayUsers with service accounts are told. The configuration that pods have
// says it, also before this operator has written it.
func (r *MailRelayReconciler) tokensFact(ctx context.Context, s *scope) (readiness.Tokens, error) {
	written, known := s.memory.secrets[resources.ConfigName(s.relay)]
	if !known {
		var err error
		if written, err = r.readSecret(ctx, s, resources.ConfigName(s.relay)); err != nil {
			return readiness.Tokens{}, err
		}
	}
	return readiness.Tokens{Verifiable: written.keys[resources.TokenKeysKey], Problem: r.Tokens.State().Problem}, nil
}
