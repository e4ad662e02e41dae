package v1alpha1

// Upstream is a mail provider (a smarthost) that messages are delivered to.
//
// +kubebuilder:validation:XValidation:rule="!has(self.tls) || self.tls != 'None' || (has(self.plaintextAcknowledgement) && self.plaintextAcknowledgement == 'mail and credentials travel unencrypted')",message="tls: None sends everything in the clear: use Implicit or StartTLS, or set plaintextAcknowledgement to 'mail and credentials travel unencrypted'"
type Upstream struct {
	// name of the upstream, unique within the relay.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=40
	// +kubebuilder:validation:Pattern=`^[a-z0-9]([-a-z0-9]*[a-z0-9])?$`
	Name string `json:"name"`
	// host name of the provider's submission server. Its certificate must carry this name.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	// +kubebuilder:validation:XValidation:rule="self.matches('^[A-Za-z0-9]([-A-Za-z0-9.]*[A-Za-z0-9])?$')",message="write a host name such as smtp.example.com, without scheme, port or brackets"
	Host string `json:"host"`
	// port of the provider's submission server: 465 for Implicit, 587 for StartTLS.
	// +required
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=65535
	Port int32 `json:"port"`
	// tls is how the connection to the upstream is encrypted.
	// +optional
	// +kubebuilder:default=Implicit
	TLS UpstreamTLSMode `json:"tls,omitempty"`
	// plaintextAcknowledgement must be the literal sentence that the API asks for when tls is None.
	// +optional
	// +kubebuilder:validation:MaxLength=80
	PlaintextAcknowledgement string `json:"plaintextAcknowledgement,omitempty"`
	// auth is how the relay logs in. Without it the relay does not log in.
	// +optional
	Auth *UpstreamAuth `json:"auth,omitempty"`
	// caSecretRef is a Secret with ca.crt: the CA of the upstream's certificate,
	// for servers that no public CA vouches for.
	// +optional
	CASecretRef *LocalSecretReference `json:"caSecretRef,omitempty"`
	// cidrs narrow the NetworkPolicy's egress to the upstream's addresses. A policy cannot
	// name a host; without cidrs the port is open to every address.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=64
	// +kubebuilder:validation:items:MaxLength=43
	// +kubebuilder:validation:items:XValidation:rule="isCIDR(self)",message="write an address block such as 192.0.2.0/24 or 2001:db8::/32"
	CIDRs []string `json:"cidrs,omitempty"`
	// limits bound what the relay asks of the upstream.
	// +optional
	Limits UpstreamLimits `json:"limits,omitempty,omitzero"`
	// unsignedHeaders are header fields that this upstream changes, such as Message-ID: they
	// are left out of DKIM signatures.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=32
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=76
	// +kubebuilder:validation:items:XValidation:rule="self.matches('^[!-9;-~]+$') && self.lowerAscii() != 'from'",message="write the name of a header field such as Message-ID, without a colon; From must be signed"
	UnsignedHeaders []string `json:"unsignedHeaders,omitempty"`
}

// UpstreamTLSMode is how the connection to an upstream is encrypted.
//
// +kubebuilder:validation:Enum=Implicit;StartTLS;None
type UpstreamTLSMode string

const (
	// UpstreamTLSImplicit is TLS from the first byte, usually on port 465.
	UpstreamTLSImplicit UpstreamTLSMode = "Implicit"
	// UpstreamTLSStartTLS is a mandatory STARTTLS, usually on port 587.
	UpstreamTLSStartTLS UpstreamTLSMode = "StartTLS"
	// UpstreamTLSNone is no encryption; it needs an acknowledgement.
	UpstreamTLSNone UpstreamTLSMode = "None"
)

// UpstreamAuth is how the relay logs in at an upstream.
type UpstreamAuth struct {
	// mechanism is the SASL mechanism. Without it the relay takes the best that the
	// upstream offers.
	// +optional
	// +kubebuilder:validation:Enum=PLAIN;LOGIN
	Mechanism string `json:"mechanism,omitempty"`
	// secretRef is a Secret with username and password.
	// +required
	SecretRef LocalSecretReference `json:"secretRef"`
}

// UpstreamLimits bound what the relay asks of an upstream.
type UpstreamLimits struct {
	// connections is how many connections a relay pod holds to the upstream at once.
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=100
	Connections *int32 `json:"connections,omitempty"`
	// messagesPerConnection is how many messages are sent before a connection is closed.
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=100000
	MessagesPerConnection *int32 `json:"messagesPerConnection,omitempty"`
	// recipientsPerMessage is how many recipients one transaction carries.
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=1000
	RecipientsPerMessage *int32 `json:"recipientsPerMessage,omitempty"`
}
