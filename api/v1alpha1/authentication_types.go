package v1alpha1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// UserAuthentication is how an app proves who it is. Each kind that is set is one way.
//
// +kubebuilder:validation:XValidation:rule="has(self.password) || has(self.serviceAccount) || has(self.clientCertificate)",message="nothing to log in with: set password: {}, serviceAccount or clientCertificate: {}"
// +kubebuilder:validation:XValidation:rule="!has(self.require) || self.require != 'All' || (has(self.clientCertificate) && (has(self.password) || has(self.serviceAccount)))",message="require: All wants two factors: set clientCertificate, and password or serviceAccount besides"
type UserAuthentication struct {
	// password is a generated password of 256 bits, kept in the app's Secret only.
	// +optional
	Password *PasswordAuthentication `json:"password,omitempty"`
	// serviceAccount lets the pods of a service account log in with the token that Kubernetes
	// gives them (SASL OAUTHBEARER or XOAUTH2): there is no secret.
	// +optional
	ServiceAccount *ServiceAccountAuthentication `json:"serviceAccount,omitempty"`
	// clientCertificate is a certificate and its key in the app's Secret, for the TLS handshake
	// (SASL EXTERNAL). The relay's internal CA signs it, and the operator renews it.
	// +optional
	ClientCertificate *ClientCertificateAuthentication `json:"clientCertificate,omitempty"`
	// require is Any where each kind is enough by itself, or All for two factors: the client
	// certificate in the handshake, and then the password or the token.
	// +optional
	// +kubebuilder:default=Any
	// +kubebuilder:validation:Enum=Any;All
	Require string `json:"require,omitempty"`
}

// What UserAuthentication.Require can be.
const (
	RequireAny = "Any"
	RequireAll = "All"
)

// PasswordAuthentication has no settings yet.
type PasswordAuthentication struct{}

// ServiceAccountAuthentication names who may log in with a token.
type ServiceAccountAuthentication struct {
	// name of the service account, in the RelayUser's namespace.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	// +kubebuilder:validation:XValidation:rule="self.matches('^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$')",message="write the name of a service account: lower-case letters, digits, '-' and '.', such as shop"
	Name string `json:"name"`
}

// ClientCertificateAuthentication has no settings yet.
type ClientCertificateAuthentication struct{}

// AuthenticationKind is a kind of authentication that an access rule can grant.
//
// +kubebuilder:validation:Enum=Password;ServiceAccount;ClientCertificate
type AuthenticationKind string

// The kinds of authentication, in the order in which status shows them.
const (
	KindPassword          AuthenticationKind = "Password"
	KindServiceAccount    AuthenticationKind = "ServiceAccount"
	KindClientCertificate AuthenticationKind = "ClientCertificate"
)

// Annotations of a RelayUser that ask for new credentials: each new value asks once.
const (
	// AnnotationRotate makes a new password and key; the old ones work during the overlap.
	AnnotationRotate = "mailrelay.dev/rotate"
	// AnnotationLeaked makes a new password and key; the old ones end at once, and with them
	// the sessions that logged in with them.
	AnnotationLeaked = "mailrelay.dev/leaked"
)

// Rotation replaces credentials from time to time.
//
// +kubebuilder:validation:XValidation:rule="!has(self.interval) || !has(self.overlap) || duration(self.overlap) < duration(self.interval)",message="the overlap must be shorter than the interval, since two passwords can work at a time: set a shorter overlap, such as 1h"
type Rotation struct {
	// interval after which a new password and key are made. Without it: never by itself.
	// +optional
	// +kubebuilder:validation:XValidation:rule="duration(self) >= duration('1h') && duration(self) <= duration('8784h')",message="set an interval between 1h and 8784h (a year), such as 720h"
	Interval *metav1.Duration `json:"interval,omitempty"`
	// overlap is how long the old ones still work besides the new ones, so that apps have time
	// to read their Secret again.
	// +optional
	// +kubebuilder:default="24h"
	// +kubebuilder:validation:XValidation:rule="duration(self) >= duration('0s') && duration(self) <= duration('720h')",message="set an overlap between 0s and 720h (30 days), such as 24h"
	Overlap *metav1.Duration `json:"overlap,omitempty"`
}

// RotationStatus is what the credentials are at. All but certificate is about the password.
type RotationStatus struct {
	// issued is when the present password was made.
	// +optional
	Issued *metav1.Time `json:"issued,omitempty"`
	// next is when spec.rotation.interval replaces it.
	// +optional
	Next *metav1.Time `json:"next,omitempty"`
	// previous is the old password, while it still works.
	// +optional
	Previous *PreviousCredentials `json:"previous,omitempty"`
	// certificate is what the client certificate is at, where the Secret holds one.
	// +optional
	Certificate *CertificateRotation `json:"certificate,omitempty"`
}

// CertificateRotation is what a client certificate is at.
type CertificateRotation struct {
	// issued is when the present one was written to the Secret.
	Issued metav1.Time `json:"issued"`
	// next is when it is replaced: because of its age, of spec.rotation.interval, or since another
	// generation of the relay's CA signs.
	Next metav1.Time `json:"next"`
	// notAfter is when it ends.
	NotAfter metav1.Time `json:"notAfter"`
	// previousUntil is when the old one ends; missing when it no longer works.
	// +optional
	PreviousUntil *metav1.Time `json:"previousUntil,omitempty"`
}

// PreviousCredentials are an old password that still works for a while.
type PreviousCredentials struct {
	// until is when they end.
	Until metav1.Time `json:"until"`
	// lastUsed is when an app last logged in with them, to the minute; none did since they were
	// replaced where it is missing.
	// +optional
	LastUsed *metav1.Time `json:"lastUsed,omitempty"`
}
