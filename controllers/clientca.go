package controllers

import (
	"context"

	"github.com/mailrelay-dev/mailrelay-operator/api/v1alpha1"
	"github.com/mailrelay-dev/mailrelay-operator/controllers/resources"
	"github.com/mailrelay-dev/mailrelay-operator/controllers/trust"
)

// clientCAs are the CAs whose client certificates the relay accepts, as PEM: all generations of
// its own. Empty while there is none.
func (s *scope) clientCAs() []byte { return trust.Encode(s.trust.Clients()) }

// certificatesWanted reports whether someone who is let in logs in with a client certificate.
// Without them clients are not asked for one: some then ask a person, or log it as a fault.
func (r *MailRelayReconciler) certificatesWanted(ctx context.Context, s *scope) (bool, error) {
	if err := r.listUsers(ctx, s); err != nil {
		return false, err
	}
	for i := range s.asked {
		user := &s.asked[i]
		if !user.DeletionTimestamp.IsZero() || !resources.Uses(user, v1alpha1.KindClientCertificate) {
			continue
		}
		labels, err := r.labelsOf(ctx, s, user.Namespace)
		if err != nil {
			return false, err
		}
		if _, decision := grant(s.relay, user, labels); decision.Granted() {
			return true, nil
		}
	}
	return false, nil
}
