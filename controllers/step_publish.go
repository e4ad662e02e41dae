package controllers

import (
	"context"
	"fmt"
	"time"

	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/mailrelay-dev/mailrelay-operator/api/v1alpha1"
	"github.com/mailrelay-dev/mailrelay-operator/controllers/readiness"
	"github.com/mailrelay-dev/mailrelay-operator/controllers/resources"
	"github.com/mailrelay-dev/mailrelay-operator/controllers/users"
	"github.com/mailrelay-dev/mailrelay-operator/relay/config"
)

// publish tells the RelayUser loop the CA, which credentials work, and whose senders are refused.
func (r *MailRelayReconciler) publish(ctx context.Context, s *scope) error {
	list := &v1alpha1.RelayUserList{}
	if err := r.Client.List(ctx, list, client.MatchingFields{indexUserRelay: relayKey(s.relay.Namespace, s.relay.Name)}); err != nil {
		return fmt.Errorf("list RelayUsers: %w", err)
	}
	all := make([]types.NamespacedName, 0, len(list.Items))
	for i := range list.Items {
		all = append(all, client.ObjectKeyFromObject(&list.Items[i]))
	}
	fresh := posting{
		ca: string(s.bundle), issuer: resources.CAName(s.relay, s.trust.Signing()), clientCAs: string(s.clientCAs()),
		tokens: r.tokensFact(s), loaded: loadedUsers(s), refused: refusedSenders(s, list.Items), previous: previousPasswords(s),
	}
	key := client.ObjectKeyFromObject(s.relay)
	if !s.usersKnown {
		// Nothing is known to have ended.
		fresh.previous = r.Board.allPrevious(key)
	}
	r.Board.post(ctx, key, fresh, all)
	return nil
}

// previousPasswords are those that still work, each with its newest use on any pod.
func previousPasswords(s *scope) map[types.NamespacedName]previousPassword {
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
	previous := map[types.NamespacedName]previousPassword{}
	for i := range s.users {
		if user := &s.users[i]; !user.user.PreviousUntil.IsZero() {
			previous[client.ObjectKeyFromObject(user.object)] = previousPassword{until: user.user.PreviousUntil, used: used[user.user.Name]}
		}
	}
	return previous
}

// refusedSenders are the senders that an upstream does not take mail from, by the users whose
// they are.
func refusedSenders(s *scope, users []v1alpha1.RelayUser) map[types.NamespacedName][]config.SenderReport {
	refused := map[types.NamespacedName][]config.SenderReport{}
	for _, report := range readiness.RefusedSenders(s.facts.Pods) {
		for i := range users {
			if user := &users[i]; resources.Username(user) == report.User {
				key := client.ObjectKeyFromObject(user)
				refused[key] = append(refused[key], report)
			}
		}
	}
	return refused
}

func (r *MailRelayReconciler) forget(relay types.NamespacedName) {
	r.memories.forget(relay)
	r.Board.forget(relay)
}

// loadedUsers are the users whose shard every ready pod has loaded as it now is. Certificates
// and tokens need what is in the configuration besides.
func loadedUsers(s *scope) map[types.NamespacedName]loadedUser {
	loaded := map[types.NamespacedName]loadedUser{}
	configured := directoryLoaded(s, resources.ConfigDir)
	for i := range s.users {
		user := &s.users[i]
		switch {
		case !directoryLoaded(s, resources.UsersDir(users.Shard(user.user.Name))),
			len(user.user.Subjects) > 0 && !(configured && s.hasTokenKeys()),
			len(user.user.Certificates) > 0 && !configured:
			continue
		}
		loaded[client.ObjectKeyFromObject(user.object)] = loadedUser{
			secret: user.secret, prepared: user.prepared, certificates: user.user.Certificates,
		}
	}
	return loaded
}

// hasTokenKeys reports whether the configuration has keys to verify tokens with.
func (s *scope) hasTokenKeys() bool {
	return s.memory.secrets[resources.ConfigName(s.relay)].keys[resources.TokenKeysKey]
}

// directoryLoaded reports whether every ready pod has loaded what a directory now holds.
func directoryLoaded(s *scope, directory string) bool {
	if s.hashes[directory] == "" {
		return false
	}
	ready := 0
	for i := range s.facts.Pods {
		pod := &s.facts.Pods[i]
		if !pod.Ready {
			continue
		}
		if pod.Report == nil || pod.Report.Loaded[directory] != s.hashes[directory] {
			return false
		}
		ready++
	}
	return ready > 0
}
