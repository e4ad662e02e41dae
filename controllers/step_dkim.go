package controllers

import (
	"context"
	"errors"
	"maps"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/mailrelay-dev/mailrelay-operator/api/v1alpha1"
	"github.com/mailrelay-dev/mailrelay-operator/controllers/dkim"
	"github.com/mailrelay-dev/mailrelay-operator/controllers/resources"
	"github.com/mailrelay-dev/mailrelay-operator/relay/config"
)

// madeKeys are the DKIM keys that the operator makes.
type madeKeys struct {
	// unknown is set when not all of them could be read: the relays then keep what they have.
	unknown bool
	keys    []madeKey
	signing []config.DKIMKey
}

type madeKey struct {
	dkim.Key
	domain string
}

// applyDKIM sees to the keys of spec.dkim[].generate: it makes them, asks the DNS for their
// records, and decides which of them signs. The Secret of an entry that is taken out of spec
// stays until the relay goes: who puts the entry back goes on with the key that is published.
func (r *MailRelayReconciler) applyDKIM(ctx context.Context, s *scope) error {
	var failures []error
	var status []v1alpha1.DKIMStatus
	wanted := map[string]bool{}
	for i := range s.relay.Spec.DKIM {
		entry := &s.relay.Spec.DKIM[i]
		if entry.Generate == nil {
			continue
		}
		wanted[resources.DKIMName(s.relay, entry)] = true
		ring, err := r.keepRing(ctx, s, entry)
		if err != nil {
			failures = append(failures, r.leaveAsIs(ctx, s, entry, err))
			continue
		}
		s.use(entry, ring)
		status = append(status, r.tellOf(s, entry, ring)...)
	}
	maps.DeleteFunc(s.memory.rings, func(name string, _ knownRing) bool { return !wanted[name] })
	if err := errors.Join(failures...); err != nil {
		s.dkim.unknown = true
		return err
	}
	s.relay.Status.DKIM = status
	return nil
}

// leaveAsIs lets the relays keep the keys of an entry when a person has to do something about
// their Secret first.
func (r *MailRelayReconciler) leaveAsIs(ctx context.Context, s *scope, entry *v1alpha1.DKIMKey, failure error) error {
	if err := s.note(failure); err != nil {
		return err
	}
	copies := func() (map[string]dkim.Copy, error) { return r.copiesOf(ctx, s, entry) }
	loaded, err := dkim.Load(resources.WantedDKIM(s.relay, entry), nil, copies, s.facts.Now)
	s.use(entry, &loaded.Ring)
	return err
}

// use gives the keys of an entry to the relays: all that there are, so that they have the next
// one before they are told to sign with it.
func (s *scope) use(entry *v1alpha1.DKIMKey, ring *dkim.Ring) {
	for i := range ring.Keys {
		if ring.Keys[i].PEM != nil {
			s.dkim.keys = append(s.dkim.keys, madeKey{ring.Keys[i], entry.Domain})
		}
	}
	if k := ring.Signing(); k != nil {
		s.dkim.signing = append(s.dkim.signing, resources.DKIMConfig(k.Selector, entry.Domain))
	}
}

// keepRing brings the keys of an entry up to date, and their Secret.
func (r *MailRelayReconciler) keepRing(ctx context.Context, s *scope, entry *v1alpha1.DKIMKey) (*dkim.Ring, error) {
	wanted := resources.WantedDKIM(s.relay, entry)
	loaded, fresh, err := r.readRing(ctx, s, entry, wanted)
	if err != nil {
		return nil, err
	}
	ring, err := loaded.Advance(wanted, r.viewOf(s, entry), s.facts.Now)
	if err != nil {
		return nil, err
	}
	if !fresh && ring.Equal(loaded.Ring) {
		return &ring, nil
	}
	data, err := ring.Data()
	if err != nil {
		return nil, err
	}
	name := resources.DKIMName(s.relay, entry)
	object, err := r.applier().Apply(ctx, s.relay, resources.DKIMSecret(s.relay, entry, data))
	if err != nil {
		return nil, err
	}
	s.memory.rings[name] = knownRing{versionOf(object), ring}
	r.tellRepairs(s, entry, loaded, &ring)
	return &ring, nil
}

// viewOf asks the DNS for the records of an entry's keys, more often for those that somebody is
// to publish.
func (r *MailRelayReconciler) viewOf(s *scope, entry *v1alpha1.DKIMKey) dkim.View {
	return func(k *dkim.Key) (dkim.Finding, string) {
		answer := r.answerOn(s, entry, k)
		if !answer.Asked || answer.Problem != "" {
			return "", ""
		}
		if k.Public == nil {
			return dkim.Leftover(answer.Records), ""
		}
		value, err := dkim.Value(k.Public)
		if err != nil {
			return "", ""
		}
		return dkim.Judge(answer.Records, value)
	}
}

func (r *MailRelayReconciler) answerOn(s *scope, entry *v1alpha1.DKIMKey, k *dkim.Key) dkim.Answer {
	awaited := k.Removed.IsZero() && k.Retired.IsZero() && k.Found != dkim.Published
	pause := r.DNS.Seldom
	if awaited {
		pause = r.DNS.Soon
	}
	s.again(jitter(pause))
	return r.DNS.Find(resources.DKIMFile(k.Selector, entry.Domain), awaited, client.ObjectKeyFromObject(s.relay))
}
