package v1alpha1

import (
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// SecretTypeSMTP is the type of the Secret that a RelayUser's credentials are written to
// (Service Binding Specification for Kubernetes 1.1).
const SecretTypeSMTP = "servicebinding.io/smtp"

// RelayUser is an app's identity on a relay. It lives in the app's namespace; its
// credentials are written to a Secret there. The SASL user name is "<name>.<namespace>".
//
// +kubebuilder:object:root=true
// +kubebuilder:resource:shortName=ru,categories=mail
// +kubebuilder:metadata:labels="servicebinding.io/provisioned-service=true"
// +kubebuilder:subresource:status
// +kubebuilder:printcolumn:name="Relay",type=string,JSONPath=`.spec.relayRef.name`
// +kubebuilder:printcolumn:name="Ready",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].status`
// +kubebuilder:printcolumn:name="Reason",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].reason`
// +kubebuilder:printcolumn:name="Secret",type=string,JSONPath=`.status.binding.name`
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
// +kubebuilder:validation:XValidation:rule="self.metadata.name.size() <= 63 && self.metadata.name.matches('^[a-z0-9]([-a-z0-9]*[a-z0-9])?$')",message="metadata.name becomes part of the user name: use at most 63 characters, lower-case letters, digits and '-'"
type RelayUser struct {
	metav1.TypeMeta `json:",inline"`
	// +optional
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// spec is what the app asks for.
	// +required
	Spec RelayUserSpec `json:"spec"`
	// status is what the app got.
	// +optional
	Status RelayUserStatus `json:"status,omitempty"`
}

// RelayUserList is a list of RelayUsers.
//
// +kubebuilder:object:root=true
type RelayUserList struct {
	metav1.TypeMeta `json:",inline"`
	// +optional
	metav1.ListMeta `json:"metadata,omitempty"`
	// items are the RelayUsers.
	Items []RelayUser `json:"items"`
}

// RelayUserSpec is what an app asks for.
//
// +kubebuilder:validation:XValidation:rule="(has(self.secretName) ? self.secretName : \"\") == (has(oldSelf.secretName) ? oldSelf.secretName : \"\")",message="secretName cannot change, since apps read the Secret by this name: make a new RelayUser"
type RelayUserSpec struct {
	// relayRef is the relay to use. It cannot change: a user of another relay is another user.
	// +required
	// +kubebuilder:validation:XValidation:rule="self == oldSelf",message="relayRef cannot change: make a new RelayUser for the other relay"
	RelayRef RelayReference `json:"relayRef"`
	// authentication is how the app proves who it is. Without it: a generated password.
	// +optional
	Authentication *UserAuthentication `json:"authentication,omitempty"`
	// allowedSenders narrow what the relay's access rules grant: addresses
	// ("app@example.com"), domains ("example.com"), all sub-domains of one ("*.example.com"),
	// all that is granted ("*") and the null sender ("<>"), which only those have who list it.
	// Without them: all that is granted.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=64
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=254
	// +kubebuilder:validation:items:XValidation:rule="self == '*' || self == '<>' || self.matches(\"^(([-!#-'+./-9=?A-Z^-~]|[^[:ascii:]]){1,64}@|[*][.])?[A-Za-z0-9]([-A-Za-z0-9]{0,61}[A-Za-z0-9])?([.][A-Za-z0-9]([-A-Za-z0-9]{0,61}[A-Za-z0-9])?)*$\")",message="write an address such as app@example.com, a domain such as example.com, '*.example.com' for its sub-domains, '*' for any or '<>' for the null sender"
	AllowedSenders []string `json:"allowedSenders,omitempty"`
	// The limits hold besides those of the relay's access rules.
	SendingLimits `json:",inline"`
	// rotation replaces the password and the key of the client certificate. Without it they are
	// replaced when an annotation asks for it (mailrelay.dev/rotate, mailrelay.dev/leaked).
	// +optional
	Rotation *Rotation `json:"rotation,omitempty"`
	// secretName is the Secret that the credentials are written to. Without it: the
	// RelayUser's name. It cannot change.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	// +kubebuilder:validation:XValidation:rule="self.matches('^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$')",message="write the name of a Secret: lower-case letters, digits, '-' and '.', such as provider"
	SecretName string `json:"secretName,omitempty"`
}

// RelayReference names a MailRelay.
type RelayReference struct {
	// name of the MailRelay.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=40
	Name string `json:"name"`
	// namespace of the MailRelay. Without it: the RelayUser's own.
	// +optional
	// +kubebuilder:validation:MaxLength=63
	Namespace string `json:"namespace,omitempty"`
}

// RelayUserStatus is what an app got.
type RelayUserStatus struct {
	// observedGeneration is the generation of the spec that the status is about.
	// +optional
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`
	// conditions say whether the app can log in, and what to do where it cannot.
	// +optional
	// +listType=map
	// +listMapKey=type
	Conditions []metav1.Condition `json:"conditions,omitempty"`
	// binding names the Secret with the credentials (Service Binding Specification).
	// +optional
	Binding *Binding `json:"binding,omitempty"`
	// username is the SASL user name.
	// +optional
	Username string `json:"username,omitempty"`
	// senders are the addresses, domains and sub-domains that the user may really send as.
	// +optional
	// +listType=atomic
	Senders []string `json:"senders,omitempty"`
	// authentication are the kinds that the user may really log in with: all that spec asks for
	// where the access rules let the user in, none where they do not.
	// +optional
	// +listType=atomic
	Authentication []AuthenticationKind `json:"authentication,omitempty"`
	// limits are all that hold for the user, put together: those of the relay, of the access
	// rules about a kind of authentication that it uses, and of its own spec.
	// +optional
	Limits *GrantedLimits `json:"limits,omitempty"`
	// rotation is what the credentials are at.
	// +optional
	Rotation *RotationStatus `json:"rotation,omitempty"`
}

// GrantedLimits are what a user may send at most.
type GrantedLimits struct {
	// maxSize is the largest message.
	// +optional
	MaxSize *resource.Quantity `json:"maxSize,omitempty"`
	// maxRecipients is the largest number of recipients of one message.
	// +optional
	MaxRecipients int32 `json:"maxRecipients,omitempty"`
	// rates are as "100 messages in 1m", for the whole relay. All of them hold.
	// +optional
	// +listType=atomic
	Rates []string `json:"rates,omitempty"`
	// onExceed is what becomes of messages that come faster: Pace or Refuse.
	// +optional
	OnExceed string `json:"onExceed,omitempty"`
	// maxQueued is how many messages may wait for delivery. Without it: 10000 in each pod.
	// +optional
	MaxQueued int32 `json:"maxQueued,omitempty"`
	// recipients are as "only example.net, *.example.net" and "not bob@example.net"; of a long
	// list the first entries and how many more there are. All of them hold. In another namespace
	// than the relay's, those of message.recipients are only counted.
	// +optional
	// +listType=atomic
	Recipients []string `json:"recipients,omitempty"`
}

// Binding names a Secret.
type Binding struct {
	// name of the Secret.
	Name string `json:"name"`
}
