package v1alpha1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// Upstream is a mail provider (a smarthost) that messages are delivered to.
//
// +kubebuilder:validation:XValidation:rule="!has(self.tls) || self.tls != 'None' || (has(self.plaintextAcknowledgement) && self.plaintextAcknowledgement == 'mail and credentials travel unencrypted')",message="tls: None sends everything in the clear: use Implicit or StartTLS, or set plaintextAcknowledgement to 'mail and credentials travel unencrypted'"
// +kubebuilder:validation:XValidation:rule="has(self.host) || has(self.provider)",message="set host, such as smtp.example.com, or provider, such as sendgrid"
// +kubebuilder:validation:XValidation:rule="has(self.host) || !has(self.provider) || !(self.provider in ['sakura', 'ses', 'xserver', 'zoho'])",message="this provider has a host for each customer: set host to yours, such as email-smtp.eu-west-1.amazonaws.com"
// +kubebuilder:validation:XValidation:rule="has(self.port) || has(self.provider)",message="set port, usually 465 with tls Implicit and 587 with StartTLS, or provider, such as sendgrid"
// +kubebuilder:validation:XValidation:rule="has(self.port) || !has(self.provider) || !has(self.tls) || self.tls != 'Implicit' || !(self.provider in ['icloud', 'microsoft-365', 'postmark', 'sakura', 'sparkpost', 'sparkpost-eu'])",message="this provider takes mail with tls StartTLS: leave tls out, or set port as well"
// +kubebuilder:validation:XValidation:rule="has(self.port) || !has(self.provider) || !has(self.tls) || self.tls != 'None'",message="providers want TLS: leave tls out, or set port as well"
// +kubebuilder:validation:XValidation:rule="!has(self.tls) || self.tls != 'None' || !has(self.auth) || !(has(self.auth.oauth2) || has(self.auth.certificateSecretRef))",message="tokens and certificates need TLS: set tls to Implicit or StartTLS"
type Upstream struct {
	// name of the upstream, unique within the relay.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=40
	// +kubebuilder:validation:Pattern=`^[a-z0-9]([-a-z0-9]*[a-z0-9])?$`
	Name string `json:"name"`
	// provider is a known mail provider. It gives host, port, limits and unsignedHeaders where
	// these are not set, and says what its replies mean. The reference page of providers says
	// what is known of each.
	// +optional
	// +kubebuilder:validation:Enum=brevo;fastmail;gmail;icloud;mailgun;mailgun-eu;mailjet;microsoft-365;postmark;sakura;sendgrid;ses;sparkpost;sparkpost-eu;workspace-relay;xserver;yahoo;zoho
	Provider string `json:"provider,omitempty"`
	// host name of the upstream's submission server. Its certificate must carry this name.
	// Without it: that of the provider.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	// +kubebuilder:validation:XValidation:rule="self.matches('^[A-Za-z0-9]([-A-Za-z0-9.]*[A-Za-z0-9])?$')",message="write a host name such as smtp.example.com, without scheme, port or brackets"
	Host string `json:"host,omitempty"`
	// port of the upstream's submission server: usually 465 for Implicit, 587 for StartTLS.
	// Without it: that of the provider.
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=65535
	Port int32 `json:"port,omitempty"`
	// tls is how the connection to the upstream is encrypted. Without it: Implicit, or StartTLS
	// for a provider that has no port for Implicit.
	// +optional
	TLS UpstreamTLSMode `json:"tls,omitempty"`
	// order says when the upstream is used: those of the lowest order take all mail, the next
	// ones only while none of those can be used.
	// +optional
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=100
	Order int32 `json:"order,omitempty"`
	// weight is the upstream's share of the mail among those of the same order.
	// +optional
	// +kubebuilder:default=1
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=1000
	Weight *int32 `json:"weight,omitempty"`
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
	// chunking sends content with BDAT (RFC 3030) to an upstream that offers it: one round trip
	// a message less. The content then leaves before the recipients are accepted.
	// +optional
	Chunking bool `json:"chunking,omitempty"`
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

// UpstreamLimits bound what the relay asks of the upstream. Those that are not set are those of
// the provider, where it is known to have them.
type UpstreamLimits struct {
	// connections is how many connections the relay holds to the upstream at once. Each pod gets
	// an equal share, at least one: a relay of more pods than connections holds one for each pod.
	// Without it: those of the provider, or 8 for each pod.
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=1000
	Connections *int32 `json:"connections,omitempty"`
	// messagesPerConnection is how many messages are sent before a connection is closed. Without
	// it: those of the provider, or 100.
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=100000
	MessagesPerConnection *int32 `json:"messagesPerConnection,omitempty"`
	// recipientsPerMessage is how many recipients one transaction carries. Without it: those of
	// the provider, or 100.
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=1000
	RecipientsPerMessage *int32 `json:"recipientsPerMessage,omitempty"`
	// rates bound how fast mail is delivered. All of them hold, and they take the place of those
	// of the provider. One of a period of up to ten seconds is spread evenly over it.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=8
	Rates []UpstreamRate `json:"rates,omitempty"`
}

// UpstreamRate is how many messages, recipients or both there may be in a period, whenever it
// begins. It is that of the relay: each pod gets an equal share.
//
// +kubebuilder:validation:XValidation:rule="has(self.messages) || has(self.recipients)",message="set messages, recipients or both"
type UpstreamRate struct {
	// messages in a period.
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=10000000
	Messages *int32 `json:"messages,omitempty"`
	// recipients in a period, over all messages.
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=10000000
	Recipients *int32 `json:"recipients,omitempty"`
	// period of the rate.
	// +optional
	// +kubebuilder:default="1m"
	// +kubebuilder:validation:XValidation:rule="duration(self) >= duration('1s') && duration(self) <= duration('24h')",message="set a period between 1s and 24h, such as 1m"
	Period *metav1.Duration `json:"period,omitempty"`
}
