package resources

import (
	"slices"

	"github.com/mailrelay-dev/mailrelay-operator/api/v1alpha1"
)

// Kinds are the kinds of authentication that a user asks for, in the order in which status shows
// them. One who asks for none gets a password.
func Kinds(user *v1alpha1.RelayUser) []v1alpha1.AuthenticationKind {
	asked := user.Spec.Authentication
	if asked == nil {
		return []v1alpha1.AuthenticationKind{v1alpha1.KindPassword}
	}
	var kinds []v1alpha1.AuthenticationKind
	if asked.Password != nil {
		kinds = append(kinds, v1alpha1.KindPassword)
	}
	if asked.ServiceAccount != nil {
		kinds = append(kinds, v1alpha1.KindServiceAccount)
	}
	if asked.ClientCertificate != nil {
		kinds = append(kinds, v1alpha1.KindClientCertificate)
	}
	return kinds
}

// Uses reports whether a user asks for a kind of authentication.
func Uses(user *v1alpha1.RelayUser, kind v1alpha1.AuthenticationKind) bool {
	return slices.Contains(Kinds(user), kind)
}
