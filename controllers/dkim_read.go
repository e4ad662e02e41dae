package controllers

import (
	"context"
	"slices"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/mailrelay-dev/mailrelay-operator/api/v1alpha1"
	"github.com/mailrelay-dev/mailrelay-operator/controllers/apply"
	"github.com/mailrelay-dev/mailrelay-operator/controllers/dkim"
	"github.com/mailrelay-dev/mailrelay-operator/controllers/resources"
	"github.com/mailrelay-dev/mailrelay-operator/relay/config"
)

// readRing reads the keys from their Secret, or from memory when that has not changed: they are
// not fresh then.
func (r *MailRelayReconciler) readRing(ctx context.Context, s *scope, entry *v1alpha1.DKIMKey, wanted dkim.Wanted) (loaded dkim.Loaded, fresh bool, err error) {
	name := resources.DKIMName(s.relay, entry)
	metadata, err := secretMetadata(ctx, r.Client, s.relay.Namespace, name)
	if err != nil {
		return dkim.Loaded{}, false, err
	}
	if known, ok := s.memory.rings[name]; ok && metadata != nil && known.version == versionOf(metadata) {
		return dkim.Loaded{Ring: known.ring}, false, nil
	}
	secret, err := liveSecret(ctx, r.Live, s.relay.Namespace, name)
	if err != nil {
		return dkim.Loaded{}, false, err
	}
	var data map[string][]byte
	if secret != nil {
		if !metav1.IsControlledBy(secret, s.relay) {
			return dkim.Loaded{}, false, &apply.NotOursError{Kind: "Secret", Name: name}
		}
		data = secret.Data
	}
	copies := func() (map[string]dkim.Copy, error) { return r.copiesOf(ctx, s, entry) }
	loaded, err = dkim.Load(wanted, data, copies, s.facts.Now)
	return loaded, true, err
}

// copiesOf are the keys of an entry that the relays have, and whether they sign with them.
func (r *MailRelayReconciler) copiesOf(ctx context.Context, s *scope, entry *v1alpha1.DKIMKey) (map[string]dkim.Copy, error) {
	upstreams, err := liveSecret(ctx, r.Live, s.relay.Namespace, resources.UpstreamsName(s.relay))
	if err != nil || upstreams == nil || !metav1.IsControlledBy(upstreams, s.relay) {
		return nil, err
	}
	written, err := liveSecret(ctx, r.Live, s.relay.Namespace, resources.ConfigName(s.relay))
	if err != nil {
		return nil, err
	}
	var signing []config.DKIMKey
	if written != nil {
		if c, err := config.Parse(written.Data[resources.ConfigKey]); err == nil {
			signing = c.DKIM
		}
	}
	copies := map[string]dkim.Copy{}
	for name, content := range upstreams.Data {
		if selector, ok := resources.SelectorOf(name, entry.Domain); ok {
			signs := slices.Contains(signing, resources.DKIMConfig(selector, entry.Domain))
			copies[selector] = dkim.Copy{PEM: content, Signs: signs}
		}
	}
	return copies, nil
}
