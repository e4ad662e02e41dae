package controllers

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/mailrelay-dev/mailrelay-operator/api/v1alpha1"
	"github.com/mailrelay-dev/mailrelay-operator/controllers/access"
	"github.com/mailrelay-dev/mailrelay-operator/controllers/resources"
	"github.com/mailrelay-dev/mailrelay-operator/relay/config"
)

// relayUser is a RelayUser that is let in and has credentials.
type relayUser struct {
	object *v1alpha1.RelayUser
	// secret is the version of the credentials that the proofs were made of.
	secret version
	// prepared is the next password that the user has besides the present one, nil for none.
	prepared *preparation
	user     config.User
}

// applyUsers writes the users who are let in and have credentials to the shards.
func (r *MailRelayReconciler) applyUsers(ctx context.Context, s *scope) error {
	if err := r.listUsers(ctx, s); err != nil {
		return err
	}
	source := r.newProofSource(s)
	for i := range s.asked {
		if err := r.letIn(ctx, s, &s.asked[i], source); err != nil {
			return err
		}
	}
	s.usersKnown = true
	source.forgetOthers()
	slices.Sort(s.facts.AnySender)
	s.relay.Status.Users = int32(len(s.users))
	return r.applyShards(ctx, s)
}

// listUsers finds all RelayUsers that name the relay, once in a pass and without copying: there
// may be thousands.
func (r *MailRelayReconciler) listUsers(ctx context.Context, s *scope) error {
	if s.asked != nil {
		return nil
	}
	list := &v1alpha1.RelayUserList{}
	if err := r.Client.List(ctx, list, client.UnsafeDisableDeepCopy,
		client.MatchingFields{indexUserRelay: relayKey(s.relay.Namespace, s.relay.Name)}); err != nil {
		return fmt.Errorf("list RelayUsers: %w", err)
	}
	s.asked = list.Items
	return nil
}

// labelsOf are those of a namespace.
func (r *MailRelayReconciler) labelsOf(ctx context.Context, s *scope, namespace string) (map[string]string, error) {
	if known, ok := s.namespaces[namespace]; ok {
		return known, nil
	}
	metadata, err := namespaceMetadata(ctx, r.Client, namespace)
	if err != nil {
		return nil, err
	}
	s.namespaces[namespace] = metadata.Labels
	return metadata.Labels, nil
}

// letIn adds a user to the scope when the access rules let it in and it can prove to be the user;
// its own loop makes what it does so with.
func (r *MailRelayReconciler) letIn(ctx context.Context, s *scope, user *v1alpha1.RelayUser, source *proofSource) error {
	if !user.DeletionTimestamp.IsZero() {
		return nil
	}
	labels, err := r.labelsOf(ctx, s, user.Namespace)
	if err != nil {
		return err
	}
	granted, decision := grant(s.relay, user, labels)
	if !decision.Granted() {
		return nil
	}
	known, err := source.of(ctx, user)
	if err != nil || !known.complete(user) {
		return err
	}
	if decision.Any() {
		s.facts.AnySender = append(s.facts.AnySender, granted.Name)
	}
	granted.ID = string(user.UID)
	granted.Passwords, granted.PreviousUntil = known.accepted()
	granted.Certificates, granted.CertificateEnds = known.certificates(user, r.Keys.of(user))
	granted.Require = requireOf(user)
	for _, end := range []time.Time{granted.PreviousUntil, known.keyUntil} {
		if !end.IsZero() {
			s.again(end.Sub(s.facts.Now))
		}
	}
	s.users = append(s.users, relayUser{object: user, secret: known.version, prepared: known.next.preparation, user: granted})
	return nil
}

// grant is what a user is in the relay's configuration, but for the password, when the access
// rules let it in. One that the relay could not read would cost all the others of its shard,
// so it is refused: both loops decide by this, and the user's own says why.
func grant(relay *v1alpha1.MailRelay, user *v1alpha1.RelayUser, namespace map[string]string) (config.User, access.Decision) {
	decision := access.Decide(relay, user, namespace)
	granted := config.User{Name: resources.Username(user), Senders: decision.Senders, Subjects: resources.TokenSubjects(user)}
	decision.Limit(&granted, resources.SharingPods(relay))
	// One user must not fill the volume for all.
	granted.MaxQueued = cmp.Or(granted.MaxQueued, config.DefaultMaxQueued)
	if err := granted.Validate(); err != nil && decision.Granted() {
		decision = access.Decision{Reason: "InvalidUser", Message: "the relay could not read this user; change its spec: " + err.Error()}
	}
	return granted, decision
}
