package resources

import (
	"maps"

	corev1 "k8s.io/api/core/v1"
	corev1ac "k8s.io/client-go/applyconfigurations/core/v1"

	"github.com/mailrelay-dev/mailrelay-operator/api/v1alpha1"
)

// ConfigFiles are the contents of the ConfigSecret.
type ConfigFiles struct {
	// RelayYAML is the configuration itself.
	RelayYAML []byte
	// OperatorCA is the CA whose clients may read the relay's status.
	OperatorCA []byte
	// ClientCAs are the CAs that sign certificates of clients; empty while there are none.
	ClientCAs []byte
	// TokenKeys are the issuer of service account tokens and its keys; empty until they are known.
	TokenKeys []byte
	// DecoyKey is the key for unknown users that relay.yaml has, for the operator to read back.
	DecoyKey string
}

// ConfigSecret holds relay.yaml and what belongs to it.
func ConfigSecret(relay *v1alpha1.MailRelay, files ConfigFiles) *corev1ac.SecretApplyConfiguration {
	data := map[string][]byte{
		ConfigKey:     files.RelayYAML,
		OperatorCAKey: files.OperatorCA,
		DecoyKeyKey:   []byte(files.DecoyKey),
	}
	if len(files.ClientCAs) > 0 {
		data[ClientCAKey] = files.ClientCAs
	}
	if len(files.TokenKeys) > 0 {
		data[TokenKeysKey] = files.TokenKeys
	}
	return mounted(relay, ConfigName(relay), data)
}

// UpstreamsSecret holds what the references of the upstreams name, by UpstreamKey.
func UpstreamsSecret(relay *v1alpha1.MailRelay, data map[string][]byte) *corev1ac.SecretApplyConfiguration {
	return mounted(relay, UpstreamsName(relay), data)
}

// UsersSecret holds one shard of the users.
func UsersSecret(relay *v1alpha1.MailRelay, shard int, users []byte) *corev1ac.SecretApplyConfiguration {
	return mounted(relay, UsersName(relay, shard), map[string][]byte{UsersKey: users})
}

// ExternalTLSSecret holds a copy of the certificate that tls.secretRef names.
func ExternalTLSSecret(relay *v1alpha1.MailRelay, source map[string][]byte) *corev1ac.SecretApplyConfiguration {
	data := map[string][]byte{
		corev1.TLSCertKey:       source[corev1.TLSCertKey],
		corev1.TLSPrivateKeyKey: source[corev1.TLSPrivateKeyKey],
	}
	if ca := source[CAKey]; len(ca) > 0 {
		data[CAKey] = ca
	}
	return mounted(relay, ExternalTLSName(relay), data)
}

func mounted(relay *v1alpha1.MailRelay, name string, data map[string][]byte) *corev1ac.SecretApplyConfiguration {
	return corev1ac.Secret(name, relay.Namespace).
		WithLabels(Labels(relay)).
		WithType(corev1.SecretTypeOpaque).
		WithData(maps.Clone(data))
}

// DKIMSecret holds the keys that the operator makes for an entry of spec.dkim. Pods get them with
// what the upstreams need.
func DKIMSecret(relay *v1alpha1.MailRelay, key *v1alpha1.DKIMKey, data map[string][]byte) *corev1ac.SecretApplyConfiguration {
	return corev1ac.Secret(DKIMName(relay, key), relay.Namespace).
		WithLabels(Labels(relay)).
		WithType(corev1.SecretTypeOpaque).
		WithData(data)
}
