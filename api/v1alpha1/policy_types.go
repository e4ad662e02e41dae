package v1alpha1

import (
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Queue sets the storage of accepted messages and how long delivery is tried.
//
// +kubebuilder:validation:XValidation:rule="!has(self.bounceSender) || has(self.postmaster)",message="bounceSender sends to the postmaster only: set queue.postmaster too"
type Queue struct {
	// size of each pod's volume. It can only grow.
	// +optional
	// +kubebuilder:default="1Gi"
	// +kubebuilder:validation:XValidation:rule="quantity(string(self)).compareTo(quantity(string(oldSelf))) >= 0",message="a volume cannot shrink: set queue.size to its present value or more"
	Size *resource.Quantity `json:"size,omitempty"`
	// storageClassName of the volumes. Without it: the cluster's default class. It cannot change.
	// +optional
	// +kubebuilder:validation:MaxLength=253
	StorageClassName *string `json:"storageClassName,omitempty"`
	// lifetime is how long delivery is tried before the sender gets a bounce (RFC 5321 §4.5.4.1).
	// +optional
	// +kubebuilder:default="120h"
	// +kubebuilder:validation:XValidation:rule="duration(self) >= duration('1m') && duration(self) <= duration('720h')",message="set a lifetime between 1m and 720h, such as 120h"
	Lifetime *metav1.Duration `json:"lifetime,omitempty"`
	// retry sets the pause between two attempts at one message.
	// +optional
	Retry Retry `json:"retry,omitempty,omitzero"`
	// delayNotice is after how long the sender is told, once, that a message is still being tried
	// (RFC 3461 §5.2.5). That of lifetime or more tells of no delays.
	// +optional
	// +kubebuilder:default="4h"
	// +kubebuilder:validation:XValidation:rule="duration(self) >= duration('1m') && duration(self) <= duration('720h')",message="set a delay between 1m and 720h, such as 4h; that of queue.lifetime or more tells of none"
	DelayNotice *metav1.Duration `json:"delayNotice,omitempty"`
	// postmaster gets the bounces that the sender cannot get.
	// +optional
	// +kubebuilder:validation:MaxLength=254
	// +kubebuilder:validation:XValidation:rule="self.matches('^[^@ ]+@[^@ ]+$')",message="write an address such as postmaster@example.com"
	Postmaster string `json:"postmaster,omitempty"`
	// bounceSender is the sender of bounces to the postmaster that an upstream refused with the
	// null sender, as SES and Microsoft 365 do: an address that the upstream lets the relay send
	// as. Without it: the postmaster's.
	// +optional
	// +kubebuilder:validation:MaxLength=254
	// +kubebuilder:validation:XValidation:rule="self.matches('^[^@ ]+@[^@ ]+$')",message="write an address that the upstreams let the relay send as, such as bounces@example.com"
	BounceSender string `json:"bounceSender,omitempty"`
}

// Retry is an exponential back-off.
//
// +kubebuilder:validation:XValidation:rule="!has(self.initial) || !has(self.max) || duration(self.initial) <= duration(self.max)",message="retry.initial is longer than retry.max: write at most retry.max"
type Retry struct {
	// initial is the pause after the first failed attempt; it doubles with each further one.
	// +optional
	// +kubebuilder:default="1m"
	// +kubebuilder:validation:XValidation:rule="duration(self) >= duration('1s') && duration(self) <= duration('24h')",message="set a pause between 1s and 24h, such as 1m"
	Initial *metav1.Duration `json:"initial,omitempty"`
	// max is the longest pause.
	// +optional
	// +kubebuilder:default="30m"
	// +kubebuilder:validation:XValidation:rule="duration(self) >= duration('1s') && duration(self) <= duration('24h')",message="set a pause between 1s and 24h, such as 30m"
	Max *metav1.Duration `json:"max,omitempty"`
}

// MessagePolicy sets what a message may be.
type MessagePolicy struct {
	// maxSize is the largest message that is accepted, announced by SIZE (RFC 1870).
	// +optional
	// +kubebuilder:default="25Mi"
	// +kubebuilder:validation:XValidation:rule="quantity(string(self)).compareTo(quantity('64Ki')) >= 0 && quantity(string(self)).compareTo(quantity('256Mi')) <= 0",message="set maxSize between 64Ki and 256Mi"
	MaxSize *resource.Quantity `json:"maxSize,omitempty"`
	// maxRecipients is the largest number of recipients of one message (RFC 5321 §4.5.3.1.8).
	// +optional
	// +kubebuilder:default=100
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=10000
	MaxRecipients *int32 `json:"maxRecipients,omitempty"`
	// recipients says to whom users may send. Without it: everybody.
	// +optional
	Recipients RecipientLists `json:"recipients,omitempty,omitzero"`
	// bareLF is what becomes of a message with line ends of LF alone (RFC 5321 §2.3.8):
	// Normalize makes them CRLF, Refuse refuses the message with 554. Neither ever takes them
	// for the end of the message. A bare CR is refused in any case.
	// +optional
	// +kubebuilder:default=Normalize
	// +kubebuilder:validation:Enum=Normalize;Refuse
	BareLF string `json:"bareLF,omitempty"`
	// missingFrom is what becomes of a message without a From field: Add makes one of the
	// envelope's sender, Refuse refuses the message with 554.
	// +optional
	// +kubebuilder:default=Add
	// +kubebuilder:validation:Enum=Add;Refuse
	MissingFrom string `json:"missingFrom,omitempty"`
	// dropHeaders are names of header fields to take out, such as X-Mailer.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=32
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=76
	// +kubebuilder:validation:items:XValidation:rule="self.matches('^[!-9;-~]+$') && !(self.lowerAscii() in ['from', 'date', 'message-id', 'received', 'mime-version', 'content-type', 'content-transfer-encoding'])",message="write the name of a header field such as X-Mailer, without a colon; From, Date, Message-ID, Received and those of MIME cannot be dropped"
	DropHeaders []string `json:"dropHeaders,omitempty"`
	// receivedUser shows the user's name in the Received field.
	// +optional
	ReceivedUser bool `json:"receivedUser,omitempty"`
	// qualifyDomain is the domain for senders that have none or only the name of a host, such
	// as www-data@pod-abc. Without it they are refused.
	// +optional
	// +kubebuilder:validation:MaxLength=253
	// +kubebuilder:validation:XValidation:rule="self.matches('^[A-Za-z0-9][-A-Za-z0-9]*[.][A-Za-z0-9][-A-Za-z0-9.]*$')",message="write a domain such as example.com"
	QualifyDomain string `json:"qualifyDomain,omitempty"`
	// rewrite changes sender addresses, by the first rule that matches. As whom a user may send
	// is checked after it.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=64
	Rewrite []Rewrite `json:"rewrite,omitempty"`
	// senderDomains are the domains that the organisation sends as; "*.example.com" are all
	// sub-domains of one. Without them and without access rules that name senders, any sender
	// is accepted, and status warns of it.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=64
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=253
	// +kubebuilder:validation:items:XValidation:rule="self.matches('^([*][.])?[A-Za-z0-9]([-A-Za-z0-9]{0,61}[A-Za-z0-9])?([.][A-Za-z0-9]([-A-Za-z0-9]{0,61}[A-Za-z0-9])?)*$')",message="write a domain such as example.com, or '*.example.com' for its sub-domains"
	SenderDomains []string `json:"senderDomains,omitempty"`
}

// Logging sets how much the relay writes to its log.
type Logging struct {
	// level of the log.
	// +optional
	// +kubebuilder:default=Info
	// +kubebuilder:validation:Enum=Debug;Info;Warn;Error
	Level string `json:"level,omitempty"`
	// recipients is how much of a recipient's address the log shows.
	// +optional
	// +kubebuilder:default=Full
	// +kubebuilder:validation:Enum=Full;Domain;Hash
	Recipients string `json:"recipients,omitempty"`
}
