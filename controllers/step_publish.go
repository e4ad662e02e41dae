package controllers

import (
	"context"
	"time"

	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/mailrelay-dev/mailrelay-operator/controllers/readiness"
	"github.com/mailrelay-dev/mailrelay-operator/controllers/resources"
	"github.com/mailrelay-dev/mailrelay-operator/relay/config"
)

// publish tells the RelayUser loop the CA, which users work, for which there is no room, and
// whose senders are refused. What this pass could not find out stays as it was told, and nothing
// is told before all was found out once: "there is none" and "it is not known" are not the same
// to a user.
func (r *MailRelayReconciler) publish(ctx context.Context, s *scope) error {
	if err := r.listUsers(ctx, s); err != nil {
		return err
	}
	posting := &s.memory.posting
	tokens, err := r.tokensFact(ctx, s)
	if err != nil {
		return err
	}
	posting.tokens = tokens
	if s.trustKnown {
		posting.ca, posting.clientCAs = string(s.bundle), string(s.clientCAs())
		posting.issuer, posting.signsSince = resources.CAName(s.relay, s.trust.Signing()), signsSince(s)
	}
	if s.podsKnown && s.trustKnown {
		posting.refused = refusedSenders(s)
	}
	if s.usersKnown {
		posting.loaded, posting.noRoom, posting.previous = loadedUsers(s), leftOut(s), previousCredentials(s)
	}
	// The users of a paused relay are not looked at, and get no new credentials.
	if posting.issuer == "" || posting.loaded == nil && !s.relay.Spec.Paused {
		return nil
	}
	all := make([]types.NamespacedName, len(s.asked))
	for i := range s.asked {
		all[i] = client.ObjectKeyFromObject(&s.asked[i])
	}
	r.Board.post(ctx, client.ObjectKeyFromObject(s.relay), *posting, all)
	return nil
}

// signsSince is when the generation of the CA that signs began to: when the next one was made.
func signsSince(s *scope) time.Time {
	if next := s.trust.Next(); next != nil {
		return next.NotBefore
	}
	return time.Time{}
}

// previousCredentials are those that still work, each password with its newest use on any pod.
func previousCredentials(s *scope) map[types.NamespacedName]oldCredentials {
	used := map[string]time.Time{}
	for i := range s.facts.Pods {
		if report := s.facts.Pods[i].Report; report != nil {
			for _, login := range report.PreviousLogins {
				if login.At.After(used[login.User]) {
					used[login.User] = login.At.UTC()
				}
			}
		}
	}
	previous := map[types.NamespacedName]oldCredentials{}
	for i := range s.users {
		user := &s.users[i]
		old := oldCredentials{until: user.user.PreviousUntil}
		if !old.until.IsZero() {
			old.used = used[user.user.Name]
		}
		for _, end := range user.user.CertificateEnds {
			old.keyUntil = end.Until
		}
		if old != (oldCredentials{}) {
			previous[client.ObjectKeyFromObject(user.object)] = old
		}
	}
	return previous
}

// refusedSenders are the senders that an upstream does not take mail from, by the users whose
// they are.
func refusedSenders(s *scope) map[types.NamespacedName][]config.SenderReport {
	reports := map[string][]config.SenderReport{}
	for _, report := range readiness.RefusedSenders(s.facts.Pods) {
		reports[report.User] = append(reports[report.User], report)
	}
	if len(reports) == 0 {
		return nil
	}
	refused := map[types.NamespacedName][]config.SenderReport{}
	for i := range s.asked {
		if found := reports[resources.Username(&s.asked[i])]; found != nil {
			refused[client.ObjectKeyFromObject(&s.asked[i])] = found
		}
	}
	return refused
}

// leftOut are the users for whom there is no room, with the numbers of the shards.
func leftOut(s *scope) map[types.NamespacedName]int {
	shards := map[string]int{}
	for number, shard := range s.memory.shards {
		for _, username := range shard.leftOut {
			shards[username] = number
		}
	}
	if len(shards) == 0 {
		return nil
	}
	left := map[types.NamespacedName]int{}
	for i := range s.asked {
		if number, ok := shards[resources.Username(&s.asked[i])]; ok {
			left[client.ObjectKeyFromObject(&s.asked[i])] = number
		}
	}
	return left
}

func (r *MailRelayReconciler) forget(relay types.NamespacedName) {
	r.memories.forget(relay)
	r.Board.forget(relay)
}
