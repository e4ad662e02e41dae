package resources

import (
	"fmt"

	"github.com/mailrelay-dev/mailrelay-operator/api/v1alpha1"
)

// UserShards is the number of Secrets that the users of a relay are spread over, so that a
// change of one user rewrites a small Secret and none reaches the limit of 1 MiB.
const UserShards = 16

// configVersion is the format version of relay.yaml. It is part of the Secret's name, so that
// an operator of a newer format does not break the pods of an older one.
const configVersion = 1

// ConfigName is the name of the Secret with relay.yaml.
func ConfigName(relay *v1alpha1.MailRelay) string {
	return fmt.Sprintf("%s-config-v%d", relay.Name, configVersion)
}

// UpstreamsName is the name of the Secret with the credentials and CAs of the upstreams.
func UpstreamsName(relay *v1alpha1.MailRelay) string { return relay.Name + "-upstreams" }

// DKIMName is the name of the Secret with the keys that the operator makes for an entry of
// spec.dkim. The selector of such an entry has no dot, so that two entries have two names.
func DKIMName(relay *v1alpha1.MailRelay, key *v1alpha1.DKIMKey) string {
	return relay.Name + "-dkim-" + key.Selector + "." + key.Domain
}

// UsersName is the name of the Secret with one shard of the users.
func UsersName(relay *v1alpha1.MailRelay, shard int) string {
	return fmt.Sprintf("%s-users-%02d", relay.Name, shard)
}

// CAName is the name of one generation of the relay's internal CA: of its Certificate, Secret
// and Issuer.
func CAName(relay *v1alpha1.MailRelay, generation int) string {
	return fmt.Sprintf("%s-ca-%d", relay.Name, generation)
}

// TrustName is the name of the ConfigMap with the CAs that apps trust.
func TrustName(relay *v1alpha1.MailRelay) string { return relay.Name + "-ca" }

// SelfSignedName is the name of the Issuer that signs the generations of the internal CA.
func SelfSignedName(relay *v1alpha1.MailRelay) string { return relay.Name + "-selfsigned" }

// TLSName is the name of the Certificate and Secret for the in-cluster names.
func TLSName(relay *v1alpha1.MailRelay) string { return relay.Name + "-tls" }

// ExternalName is the name of the Certificate for external names.
func ExternalName(relay *v1alpha1.MailRelay) string { return relay.Name + "-external" }

// ExternalTLSName is the name of the Secret with the certificate for external names.
func ExternalTLSName(relay *v1alpha1.MailRelay) string { return relay.Name + "-external-tls" }

// PodsServiceName is the name of the headless Service.
func PodsServiceName(relay *v1alpha1.MailRelay) string { return relay.Name + "-pods" }

// DefaultUserName is the name of the RelayUser that comes with a relay.
func DefaultUserName(relay *v1alpha1.MailRelay) string { return relay.Name + "-default" }

// Host is the name that apps in the cluster connect to. It resolves without knowledge of the
// cluster's domain.
func Host(relay *v1alpha1.MailRelay) string {
	return relay.Name + "." + relay.Namespace + ".svc"
}

// TokenAudience is what the token of a service account must be for to log in at a relay.
func TokenAudience(relay *v1alpha1.MailRelay) string {
	return "mailrelay.dev/" + relay.Namespace + "/" + relay.Name
}

// TokenSubjects are the subjects of the tokens that a user logs in with.
func TokenSubjects(user *v1alpha1.RelayUser) []string {
	if !Uses(user, v1alpha1.KindServiceAccount) {
		return nil
	}
	return []string{"system:serviceaccount:" + user.Namespace + ":" + user.Spec.Authentication.ServiceAccount.Name}
}

// CredentialsName is the name of the Secret that a user's credentials are written to.
func CredentialsName(user *v1alpha1.RelayUser) string {
	if user.Spec.SecretName != "" {
		return user.Spec.SecretName
	}
	return user.Name
}

// Username is the SASL user name of a RelayUser.
func Username(user *v1alpha1.RelayUser) string { return user.Name + "." + user.Namespace }
