package resources

import (
	"fmt"
	"strconv"

	corev1 "k8s.io/api/core/v1"
	corev1ac "k8s.io/client-go/applyconfigurations/core/v1"

	"github.com/mailrelay-dev/mailrelay-operator/api/v1alpha1"
)

// Credentials are the secret parts of what an app needs, and the CA that it must trust.
type Credentials struct {
	// CA as PEM.
	CA []byte
	// Password is empty for a user who has none.
	Password []byte
	// Annotations say when they were made, what they answer, and when those before end.
	Annotations map[string]string
	// Client is nil for a user who has no client certificate.
	Client *ClientPair
}

// ClientPair is a client certificate with its key, both as PEM.
type ClientPair struct{ Certificate, Key []byte }

// CredentialsSecret is all that an app needs to submit mail, in the keys of the Service
// Binding Specification. The URI carries no credentials: URIs end up in logs.
func CredentialsSecret(relay *v1alpha1.MailRelay, user *v1alpha1.RelayUser, c Credentials) *corev1ac.SecretApplyConfiguration {
	host := Host(relay)
	data := map[string][]byte{
		"type":         []byte("smtp"),
		"provider":     []byte("mailrelay"),
		"host":         []byte(host),
		UsernameKey:    []byte(Username(user)),
		"certificates": c.CA,
	}
	if len(c.Password) > 0 {
		data[PasswordKey] = c.Password
	}
	if Uses(user, v1alpha1.KindServiceAccount) {
		data[AudienceKey] = []byte(TokenAudience(relay))
	}
	if SubmissionEnabled(relay) {
		setPort(data, "smtp", host, "starttls", SubmissionPort)
		data["submission-port"] = data["port"]
	}
	// RFC 8314 §3.3 prefers implicit TLS, so it wins where both are on.
	if SubmissionsEnabled(relay) {
		setPort(data, "smtps", host, "implicit", SubmissionsPort)
	}
	secret := corev1ac.Secret(CredentialsName(user), user.Namespace).
		WithLabels(map[string]string{nameLabel: appName, ManagedByLabel: ManagedBy, UserLabel: user.Name}).
		WithAnnotations(c.Annotations).
		WithType(corev1.SecretType(v1alpha1.SecretTypeSMTP))
	if c.Client != nil {
		data[corev1.TLSCertKey], data[corev1.TLSPrivateKeyKey] = c.Client.Certificate, c.Client.Key
	}
	return secret.WithData(data)
}

// AlwaysInCredentials reports whether a key is in the Secret of every user.
func AlwaysInCredentials(key string) bool {
	switch key {
	case "type", "provider", "host", UsernameKey, "certificates", "port", "tls", "uri":
		return true
	}
	return false
}

func setPort(data map[string][]byte, scheme, host, tls string, port int32) {
	data["uri"] = fmt.Appendf(nil, "%s://%s:%d", scheme, host, port)
	data["port"] = strconv.AppendInt(nil, int64(port), 10)
	data["tls"] = []byte(tls)
}
