package controllers

import (
	"context"
	"crypto/x509"

	"github.com/mailrelay-dev/mailrelay-operator/api/v1alpha1"
	"github.com/mailrelay-dev/mailrelay-operator/controllers/readiness"
	"github.com/mailrelay-dev/mailrelay-operator/controllers/resources"
	"github.com/mailrelay-dev/mailrelay-operator/relay/config"
)

// applyUpstreams copies what the upstreams and dkim refer to into the Secret that pods mount. What is
// missing is left out and said; the relay starts without it and takes it up when it comes.
func (r *MailRelayReconciler) applyUpstreams(ctx context.Context, s *scope) error {
	data, err := r.readUpstreams(ctx, s)
	if err != nil {
		return err
	}
	return r.applyMounted(ctx, s, resources.UpstreamsSecret(s.relay, data))
}

// readUpstreams reads what spec refers to, by the keys that pods find it under.
func (r *MailRelayReconciler) readUpstreams(ctx context.Context, s *scope) (map[string][]byte, error) {
	data := map[string][]byte{}
	for i := range s.relay.Spec.Upstreams {
		upstream := &s.relay.Spec.Upstreams[i]
		for _, wanted := range upstreamSecrets(upstream) {
			if err := r.copyUpstream(ctx, s, upstream.Name, wanted, data); err != nil {
				return nil, err
			}
		}
	}
	for i := range s.relay.Spec.DKIM {
		if err := r.copyDKIMKey(ctx, s, &s.relay.Spec.DKIM[i], data); err != nil {
			return nil, err
		}
	}
	return data, nil
}

// upstreamSecret is a Secret that an upstream refers to and the keys that it needs of it.
type upstreamSecret struct {
	name string
	keys []string
}

func upstreamSecrets(upstream *v1alpha1.Upstream) []upstreamSecret {
	var secrets []upstreamSecret
	if upstream.Auth != nil {
		secrets = append(secrets, upstreamSecret{upstream.Auth.SecretRef.Name, []string{resources.UsernameKey, resources.PasswordKey}})
	}
	if upstream.CASecretRef != nil {
		secrets = append(secrets, upstreamSecret{upstream.CASecretRef.Name, []string{resources.CAKey}})
	}
	return secrets
}

func (r *MailRelayReconciler) copyUpstream(ctx context.Context, s *scope, upstream string, wanted upstreamSecret, data map[string][]byte) error {
	secret, err := liveSecret(ctx, r.Live, s.relay.Namespace, wanted.name)
	if err != nil {
		return err
	}
	problem := readiness.UpstreamProblem{Upstream: upstream, Secret: wanted.name}
	if secret == nil {
		s.facts.Upstreams = append(s.facts.Upstreams, problem)
		return nil
	}
	for _, key := range wanted.keys {
		value := secret.Data[key]
		switch {
		case len(value) == 0:
			problem.MissingKeys = append(problem.MissingKeys, key)
			continue
		case key == resources.CAKey && !x509.NewCertPool().AppendCertsFromPEM(value):
			problem.Invalid = "ca.crt holds no certificate: write it in PEM, beginning with \"-----BEGIN CERTIFICATE-----\""
			continue
		}
		data[resources.UpstreamKey(upstream, key)] = value
	}
	if len(problem.MissingKeys) > 0 || problem.Invalid != "" {
		s.facts.Upstreams = append(s.facts.Upstreams, problem)
	}
	return nil
}

// copyDKIMKey copies a key that the relay can sign with.
func (r *MailRelayReconciler) copyDKIMKey(ctx context.Context, s *scope, key *v1alpha1.DKIMKey, data map[string][]byte) error {
	secret, err := liveSecret(ctx, r.Live, s.relay.Namespace, key.SecretRef.Name)
	if err != nil {
		return err
	}
	problem := readiness.DKIMProblem{Name: resources.DKIMFile(key), Secret: key.SecretRef.Name}
	switch {
	case secret == nil:
		problem.Message = "does not exist: create it"
	case len(secret.Data[resources.DKIMKey]) == 0:
		problem.Message = "has no " + resources.DKIMKey + ": add it"
	default:
		if err := config.CheckDKIMKey(secret.Data[resources.DKIMKey]); err != nil {
			problem.Message = resources.DKIMKey + " " + err.Error()
			break
		}
		data[resources.DKIMFile(key)] = secret.Data[resources.DKIMKey]
		return nil
	}
	s.facts.DKIM = append(s.facts.DKIM, problem)
	return nil
}

// referencedSecrets are the names of all Secrets that a relay's spec refers to.
func referencedSecrets(relay *v1alpha1.MailRelay) []string {
	var names []string
	for i := range relay.Spec.Upstreams {
		for _, secret := range upstreamSecrets(&relay.Spec.Upstreams[i]) {
			names = append(names, secret.name)
		}
	}
	for i := range relay.Spec.DKIM {
		names = append(names, relay.Spec.DKIM[i].SecretRef.Name)
	}
	if relay.Spec.TLS != nil && relay.Spec.TLS.SecretRef != nil {
		names = append(names, relay.Spec.TLS.SecretRef.Name)
	}
	return names
}
