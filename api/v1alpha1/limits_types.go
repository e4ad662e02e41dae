package v1alpha1

import (
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// RecipientLists says to whom users may send. Entries are addresses ("bob@example.net"),
// domains ("example.net") and all sub-domains of one ("*.example.net").
type RecipientLists struct {
	// allow has all that may be sent to. Without it: everybody.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=256
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=254
	// +kubebuilder:validation:items:XValidation:rule="self.matches(\"^(([-!#-'+./-9=?A-Z^-~]|[^[:ascii:]]){1,64}@|[*][.])?[A-Za-z0-9]([-A-Za-z0-9]{0,61}[A-Za-z0-9])?([.][A-Za-z0-9]([-A-Za-z0-9]{0,61}[A-Za-z0-9])?)*$\")",message="write an address such as bob@example.net, a domain such as example.net, or '*.example.net' for its sub-domains"
	Allow []string `json:"allow,omitempty"`
	// deny has what may not be sent to, also where allow has it.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=256
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=254
	// +kubebuilder:validation:items:XValidation:rule="self.matches(\"^(([-!#-'+./-9=?A-Z^-~]|[^[:ascii:]]){1,64}@|[*][.])?[A-Za-z0-9]([-A-Za-z0-9]{0,61}[A-Za-z0-9])?([.][A-Za-z0-9]([-A-Za-z0-9]{0,61}[A-Za-z0-9])?)*$\")",message="write an address such as bob@example.net, a domain such as example.net, or '*.example.net' for its sub-domains"
	Deny []string `json:"deny,omitempty"`
}

// UserRecipients says to whom a user may send. Entries are addresses ("bob@example.net"),
// domains ("example.net") and all sub-domains of one ("*.example.net").
type UserRecipients struct {
	// allow has all that may be sent to. Without it: everybody.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=32
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=254
	// +kubebuilder:validation:items:XValidation:rule="self.matches('^([^@* ]+@|[*][.])?[A-Za-z0-9][-A-Za-z0-9.]*$')",message="write an address such as bob@example.net, a domain such as example.net, or '*.example.net' for its sub-domains"
	Allow []string `json:"allow,omitempty"`
	// deny has what may not be sent to, also where allow has it.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=32
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=254
	// +kubebuilder:validation:items:XValidation:rule="self.matches('^([^@* ]+@|[*][.])?[A-Za-z0-9][-A-Za-z0-9.]*$')",message="write an address such as bob@example.net, a domain such as example.net, or '*.example.net' for its sub-domains"
	Deny []string `json:"deny,omitempty"`
}

// SendingLimits bound what a user sends. Where several apply, all of them hold.
type SendingLimits struct {
	// recipients says to whom the user may send, besides message.recipients of the relay.
	// +optional
	Recipients UserRecipients `json:"recipients,omitempty,omitzero"`
	// rate bounds how fast the user's mail is delivered. Without it: 10000 messages of the user
	// may wait for delivery in each pod before more are refused with 450.
	// +optional
	Rate *Rate `json:"rate,omitempty"`
	// maxSize is the largest message, when it is less than message.maxSize of the relay. It is
	// at least 1Ki.
	// +optional
	MaxSize *resource.Quantity `json:"maxSize,omitempty"`
	// maxRecipients is the largest number of recipients of one message, when it is less than
	// message.maxRecipients of the relay.
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=10000
	MaxRecipients *int32 `json:"maxRecipients,omitempty"`
}

// Rate is how many messages, recipients or both there may be in a period, whenever it begins.
// It is that of the relay: each pod gets an equal share.
//
// +kubebuilder:validation:XValidation:rule="has(self.messages) || has(self.recipients)",message="set messages, recipients or both"
type Rate struct {
	// messages in a period.
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=1000000
	Messages *int32 `json:"messages,omitempty"`
	// recipients in a period, over all messages.
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=1000000
	Recipients *int32 `json:"recipients,omitempty"`
	// period of the rate.
	// +optional
	// +kubebuilder:default="1m"
	// +kubebuilder:validation:XValidation:rule="duration(self) >= duration('1s') && duration(self) <= duration('24h')",message="set a period between 1s and 24h, such as 1m"
	Period *metav1.Duration `json:"period,omitempty"`
	// onExceed is what becomes of messages that come faster: Pace accepts them and delivers
	// them at the rate, since most apps never try again; Refuse refuses them with 450.
	// +optional
	// +kubebuilder:default=Pace
	// +kubebuilder:validation:Enum=Pace;Refuse
	OnExceed string `json:"onExceed,omitempty"`
	// maxQueued is how many messages may wait for delivery, for whatever reason, before more
	// are refused with 450. Without it: 10000 in each pod.
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=1000000
	MaxQueued *int32 `json:"maxQueued,omitempty"`
}
