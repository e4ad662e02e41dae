package v1alpha1

// UpstreamAuth is how the relay logs in at an upstream: with a password, with OAuth2 tokens or
// with a client certificate.
//
// +kubebuilder:validation:XValidation:rule="has(self.secretRef) || has(self.certificateSecretRef)",message="set secretRef, or certificateSecretRef to log in with a certificate"
// +kubebuilder:validation:XValidation:rule="!has(self.oauth2) || has(self.secretRef)",message="oauth2 needs secretRef: a Secret with username, client-id, client-secret and, for the grant RefreshToken, refresh-token"
// +kubebuilder:validation:XValidation:rule="!has(self.mechanism) || !(self.mechanism in ['XOAUTH2', 'OAUTHBEARER']) || has(self.oauth2)",message="XOAUTH2 and OAUTHBEARER log in with tokens: set oauth2, or leave mechanism out"
// +kubebuilder:validation:XValidation:rule="!has(self.oauth2) || !has(self.mechanism) || self.mechanism in ['XOAUTH2', 'OAUTHBEARER']",message="oauth2 is for the mechanisms XOAUTH2 and OAUTHBEARER: write one of them, or leave mechanism out"
// +kubebuilder:validation:XValidation:rule="!has(self.mechanism) || self.mechanism != 'EXTERNAL' || has(self.certificateSecretRef)",message="EXTERNAL logs in with a certificate: set certificateSecretRef, or leave mechanism out"
// +kubebuilder:validation:XValidation:rule="!has(self.mechanism) || !(self.mechanism in ['PLAIN', 'LOGIN', 'SCRAM-SHA-256']) || has(self.secretRef)",message="PLAIN, LOGIN and SCRAM-SHA-256 log in with a password: set secretRef, or leave mechanism out"
type UpstreamAuth struct {
	// mechanism is the SASL mechanism. Without it the relay takes the best that the upstream
	// offers and that can be used with what is set here.
	// +optional
	// +kubebuilder:validation:Enum=PLAIN;LOGIN;SCRAM-SHA-256;XOAUTH2;OAUTHBEARER;EXTERNAL
	Mechanism string `json:"mechanism,omitempty"`
	// secretRef is a Secret with username and password; with oauth2, one with username, client-id,
	// client-secret and, for the grant RefreshToken, refresh-token; with the mechanism EXTERNAL,
	// one with username.
	// +optional
	SecretRef *LocalSecretReference `json:"secretRef,omitempty"`
	// oauth2 says where tokens come from.
	// +optional
	OAuth2 *UpstreamOAuth2 `json:"oauth2,omitempty"`
	// certificateSecretRef is a Secret with tls.crt and tls.key: the certificate that the relay
	// shows to the upstream, alone or besides a password or token.
	// +optional
	CertificateSecretRef *LocalSecretReference `json:"certificateSecretRef,omitempty"`
}

// UpstreamOAuth2 says how tokens are got from a token endpoint (RFC 6749).
type UpstreamOAuth2 struct {
	// tokenURL is the token endpoint, such as https://oauth2.googleapis.com/token. The
	// NetworkPolicy opens its port.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=512
	// +kubebuilder:validation:XValidation:rule="isURL(self) && url(self).getScheme() == 'https' && url(self).getHostname() != '' && !self.contains('@') && !self.contains('#')",message="write a URL that begins with https:// and has no user name, password or #, such as https://oauth2.googleapis.com/token"
	TokenURL string `json:"tokenURL"`
	// grant is how tokens are asked for: RefreshToken in the name of a user, with the refresh-token
	// of the Secret (RFC 6749 §6); ClientCredentials in the name of the client itself (§4.4).
	// +optional
	// +kubebuilder:default=RefreshToken
	// +kubebuilder:validation:Enum=RefreshToken;ClientCredentials
	Grant OAuth2Grant `json:"grant,omitempty"`
	// scopes to ask for, such as https://mail.google.com/ or https://outlook.office365.com/.default.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=16
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=256
	// +kubebuilder:validation:items:XValidation:rule="self.matches('^[!#-[\\\\]-~]+$')",message="write each scope as an item of its own, without spaces, quotes and backslashes"
	Scopes []string `json:"scopes,omitempty"`
	// caSecretRef is a Secret with ca.crt: the CA of the token endpoint's certificate, for those
	// that no public CA vouches for.
	// +optional
	CASecretRef *LocalSecretReference `json:"caSecretRef,omitempty"`
	// cidrs narrow the NetworkPolicy's egress to the token endpoint's addresses. Without them its
	// port is open to every address.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=64
	// +kubebuilder:validation:items:MaxLength=43
	// +kubebuilder:validation:items:XValidation:rule="isCIDR(self)",message="write an address block such as 192.0.2.0/24 or 2001:db8::/32"
	CIDRs []string `json:"cidrs,omitempty"`
}

// OAuth2Grant is how tokens are asked for.
type OAuth2Grant string

const (
	// GrantRefreshToken gets tokens in the name of a user (RFC 6749 §6).
	GrantRefreshToken OAuth2Grant = "RefreshToken"
	// GrantClientCredentials gets tokens in the name of the client itself (RFC 6749 §4.4).
	GrantClientCredentials OAuth2Grant = "ClientCredentials"
)
