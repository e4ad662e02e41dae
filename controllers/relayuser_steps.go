package controllers

import (
	"context"
	"fmt"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/mailrelay-dev/mailrelay-operator/api/v1alpha1"
	"github.com/mailrelay-dev/mailrelay-operator/controllers/resources"
)

// findRelay reads the MailRelay. One that is being deleted lets nobody new in.
func (r *RelayUserReconciler) findRelay(ctx context.Context, s *userScope) error {
	relay := &v1alpha1.MailRelay{}
	err := r.Client.Get(ctx, relayRef(s.user), relay)
	if client.IgnoreNotFound(err) != nil {
		return fmt.Errorf("read the MailRelay: %w", err)
	}
	if err == nil && relay.DeletionTimestamp.IsZero() {
		s.relay = relay
		s.facts.RelayExists = true
	}
	return nil
}

// decide applies the relay's access rules and shows what they grant.
func (r *RelayUserReconciler) decide(_ context.Context, s *userScope) error {
	s.user.Status.Username = resources.Username(s.user)
	s.user.Status.Senders, s.user.Status.Authentication, s.user.Status.Limits = nil, nil, nil
	if s.relay == nil {
		return nil
	}
	_, decision := grant(s.relay, s.user, s.namespace.Labels)
	s.facts.RefusedReason, s.facts.RefusedMessage = decision.Reason, decision.Message
	s.user.Status.Senders, s.user.Status.Authentication = decision.Senders, decision.Authentication
	s.user.Status.Limits = decision.Shown(s.relay)
	return nil
}

// awaitLoaded asks whether the relay knows the credentials.
func (r *RelayUserReconciler) awaitLoaded(_ context.Context, s *userScope) error {
	if s.secret == nil {
		return nil
	}
	relay, user := relayRef(s.user), client.ObjectKeyFromObject(s.user)
	if resources.Uses(s.user, v1alpha1.KindServiceAccount) {
		tokens := r.Board.tokensOf(relay)
		s.facts.Tokens = &tokens
	}
	s.facts.Loaded = s.wasReady() && !s.fresh ||
		r.Board.hasLoaded(relay, user, versionOf(s.secret), s.user.Generation)
	s.facts.FullShard, s.facts.LeftOut = r.Board.leftOut(relay, user)
	return nil
}

// hearRefusals asks whether an upstream of the relay refuses mail from the user's senders.
func (r *RelayUserReconciler) hearRefusals(_ context.Context, s *userScope) error {
	s.facts.SendersRefused = r.Board.sendersRefused(relayRef(s.user), client.ObjectKeyFromObject(s.user))
	return nil
}
