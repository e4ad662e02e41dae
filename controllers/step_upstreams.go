package controllers

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"

	corev1 "k8s.io/api/core/v1"

	"github.com/mailrelay-dev/mailrelay-operator/api/v1alpha1"
	"github.com/mailrelay-dev/mailrelay-operator/controllers/readiness"
	"github.com/mailrelay-dev/mailrelay-operator/controllers/resources"
	"github.com/mailrelay-dev/mailrelay-operator/relay/config"
)

// applyUpstreams copies what the upstreams and dkim refer to into the Secret that pods mount. What is
// missing is left out and said; the relay starts without it and takes it up when it comes.
func (r *MailRelayReconciler) applyUpstreams(ctx context.Context, s *scope) error {
	if s.dkim.unknown {
		return nil
	}
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
		if s.relay.Spec.DKIM[i].SecretRef == nil {
			continue
		}
		if err := r.copyDKIMKey(ctx, s, &s.relay.Spec.DKIM[i], data); err != nil {
			return nil, err
		}
	}
	for _, made := range s.dkim.keys {
		data[resources.DKIMFile(made.Selector, made.domain)] = made.PEM
	}
	return data, nil
}

// upstreamSecret is a Secret that an upstream refers to and the keys that it needs of it.
type upstreamSecret struct {
	name string
	keys []string
	// as is what a key is copied to where that is not its own name.
	as map[string]string
	// wrong says what is wrong with the values, with nothing when they can be used; nil for
	// values that can be anything.
	wrong func(data map[string][]byte) string
}

func upstreamSecrets(upstream *v1alpha1.Upstream) []upstreamSecret {
	var secrets []upstreamSecret
	if auth := upstream.Auth; auth != nil {
		if auth.SecretRef != nil {
			secrets = append(secrets, upstreamSecret{name: auth.SecretRef.Name, keys: resources.LoginKeys(auth)})
		}
		if auth.CertificateSecretRef != nil {
			secrets = append(secrets, upstreamSecret{name: auth.CertificateSecretRef.Name, keys: []string{corev1.TLSCertKey, corev1.TLSPrivateKeyKey}, wrong: noKeyPair})
		}
		if auth.OAuth2 != nil && auth.OAuth2.CASecretRef != nil {
			secrets = append(secrets, upstreamSecret{
				name: auth.OAuth2.CASecretRef.Name, keys: []string{resources.CAKey}, as: map[string]string{resources.CAKey: resources.TokenCAKey}, wrong: noCA,
			})
		}
	}
	if upstream.CASecretRef != nil {
		secrets = append(secrets, upstreamSecret{name: upstream.CASecretRef.Name, keys: []string{resources.CAKey}, wrong: noCA})
	}
	return secrets
}

func noCA(data map[string][]byte) string {
	if x509.NewCertPool().AppendCertsFromPEM(data[resources.CAKey]) {
		return ""
	}
	return "ca.crt holds no certificate: write it in PEM, beginning with \"-----BEGIN CERTIFICATE-----\""
}

func noKeyPair(data map[string][]byte) string {
	if _, err := tls.X509KeyPair(data[corev1.TLSCertKey], data[corev1.TLSPrivateKeyKey]); err != nil {
		// The error may quote what it could not read.
		return "tls.crt and tls.key are no certificate and its key: write both in PEM, without a passphrase"
	}
	return ""
}

// copyUpstream copies what an upstream needs of a Secret. Of values that cannot be used none is
// copied: the relay keeps what it has.
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
		if len(secret.Data[key]) == 0 {
			problem.MissingKeys = append(problem.MissingKeys, key)
		}
	}
	if wanted.wrong != nil && len(problem.MissingKeys) == 0 {
		problem.Invalid = wanted.wrong(secret.Data)
	}
	if len(problem.MissingKeys) > 0 || problem.Invalid != "" {
		s.facts.Upstreams = append(s.facts.Upstreams, problem)
	}
	for _, key := range wanted.keys {
		if value := secret.Data[key]; len(value) > 0 && problem.Invalid == "" {
			data[resources.UpstreamKey(upstream, cmp.Or(wanted.as[key], key))] = value
		}
	}
	return nil
}

// copyDKIMKey copies a key that the relay can sign with.
func (r *MailRelayReconciler) copyDKIMKey(ctx context.Context, s *scope, key *v1alpha1.DKIMKey, data map[string][]byte) error {
	secret, err := liveSecret(ctx, r.Live, s.relay.Namespace, key.SecretRef.Name)
	if err != nil {
		return err
	}
	problem := readiness.DKIMProblem{Name: resources.DKIMFile(key.Selector, key.Domain), Secret: key.SecretRef.Name}
	switch {
	case secret == nil:
		problem.Message = "does not exist: create it"
	case len(secret.Data[resources.DKIMKey]) == 0:
		problem.Message = "has no " + resources.DKIMKey + ": add it"
	default:
		if _, err := config.ParseDKIMKey(secret.Data[resources.DKIMKey]); err != nil {
			problem.Message = resources.DKIMKey + " " + err.Error()
			break
		}
		data[resources.DKIMFile(key.Selector, key.Domain)] = secret.Data[resources.DKIMKey]
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
		if ref := relay.Spec.DKIM[i].SecretRef; ref != nil {
			names = append(names, ref.Name)
		}
	}
	if relay.Spec.TLS != nil && relay.Spec.TLS.SecretRef != nil {
		names = append(names, relay.Spec.TLS.SecretRef.Name)
	}
	return names
}
