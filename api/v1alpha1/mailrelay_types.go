package v1alpha1

import (
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// MailRelay is a mail submission relay: it accepts messages from authenticated
// apps on 465 (implicit TLS) and 587 (STARTTLS), keeps them in a durable queue
// and delivers them to the organisation's mail provider.
//
// +kubebuilder:object:root=true
// +kubebuilder:resource:shortName=mr,categories=mail
// +kubebuilder:subresource:status
// +kubebuilder:subresource:scale:specpath=.spec.replicas,statuspath=.status.replicas,selectorpath=.status.selector
// +kubebuilder:printcolumn:name="Ready",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].status`
// +kubebuilder:printcolumn:name="Reason",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].reason`
// +kubebuilder:printcolumn:name="Replicas",type=integer,JSONPath=`.status.readyReplicas`
// +kubebuilder:printcolumn:name="Queue",type=integer,JSONPath=`.status.queue.messages`
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
// +kubebuilder:validation:XValidation:rule="self.metadata.name.size() <= 40 && self.metadata.name.matches('^[a-z]([-a-z0-9]*[a-z0-9])?$')",message="metadata.name becomes a Service name: use at most 40 characters, lower-case letters, digits and '-', starting with a letter"
type MailRelay struct {
	metav1.TypeMeta `json:",inline"`
	// +optional
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// spec is what the relay should be.
	// +required
	Spec MailRelaySpec `json:"spec"`
	// status is what the operator last saw of it.
	// +optional
	Status MailRelayStatus `json:"status,omitempty"`
}

// MailRelayList is a list of MailRelays.
//
// +kubebuilder:object:root=true
type MailRelayList struct {
	metav1.TypeMeta `json:",inline"`
	// +optional
	metav1.ListMeta `json:"metadata,omitempty"`
	// items are the MailRelays.
	Items []MailRelay `json:"items"`
}

// MailRelaySpec is what a platform engineer asks for.
//
// +kubebuilder:validation:XValidation:rule="(has(self.queue) && has(self.queue.storageClassName) ? self.queue.storageClassName : \"\") == (has(oldSelf.queue) && has(oldSelf.queue.storageClassName) ? oldSelf.queue.storageClassName : \"\")",message="queue.storageClassName cannot change while queued mail lives on the volumes: make a new MailRelay with the other class"
// +kubebuilder:validation:XValidation:rule="!has(self.routes) || self.routes.all(r, r.upstreams.all(name, self.upstreams.exists(u, u.name == name)))",message="a route names an upstream that is not in upstreams: write the name of one that is"
// +kubebuilder:validation:XValidation:rule="!has(self.routes) || self.routes.filter(r, !has(r.senders) && !has(r.recipients)).size() == 0 || (self.routes.filter(r, !has(r.senders) && !has(r.recipients)).size() == 1 && !has(self.routes[self.routes.size() - 1].senders) && !has(self.routes[self.routes.size() - 1].recipients))",message="a route without senders and recipients is for all mail, so that those after it are never used: make it the last one"
// +kubebuilder:validation:XValidation:rule="!has(self.routes) || self.routes.size() == 0 || (!has(self.routes[self.routes.size() - 1].senders) && !has(self.routes[self.routes.size() - 1].recipients)) || self.upstreams.exists(u, !self.routes.exists(r, u.name in r.upstreams))",message="mail that no route matches has nowhere to go, since all upstreams are named in routes: add a last route without senders and recipients, or an upstream for the rest"
type MailRelaySpec struct {
	// replicas is the number of relay pods. Each owns a volume with its part of the queue.
	// +optional
	// +kubebuilder:default=1
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=100
	Replicas *int32 `json:"replicas,omitempty"`

	// listeners turns the two ports on and off. Both are on by default.
	// +optional
	Listeners Listeners `json:"listeners,omitempty,omitzero"`

	// tls sets the protocol floor and adds a certificate for names outside the cluster.
	// The certificate for the in-cluster names always comes from the relay's own CA.
	// +optional
	TLS *RelayTLS `json:"tls,omitempty"`

	// upstreams are the mail providers that messages are delivered to.
	// +required
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=16
	Upstreams []Upstream `json:"upstreams"`

	// routes send some of the mail to some of the upstreams. The first that matches a recipient
	// decides; recipients of one message that take different routes are delivered apart. Mail that
	// none matches goes to the upstreams that no route names.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=32
	Routes []Route `json:"routes,omitempty"`

	// access says who may use the relay. Without it: RelayUsers of the relay's own
	// namespace, with the sender domains of message.senderDomains.
	// +optional
	Access *Access `json:"access,omitempty"`

	// defaultUser controls the RelayUser "<relay>-default" that comes with every relay.
	// +optional
	DefaultUser *DefaultUser `json:"defaultUser,omitempty"`

	// queue sets the storage of accepted messages and how long delivery is tried.
	// +optional
	Queue Queue `json:"queue,omitempty,omitzero"`

	// message sets what a message may be.
	// +optional
	Message MessagePolicy `json:"message,omitempty,omitzero"`

	// dkim are the keys to sign messages with. All keys of a domain sign.
	// +optional
	// +listType=map
	// +listMapKey=domain
	// +listMapKey=selector
	// +kubebuilder:validation:MaxItems=32
	DKIM []DKIMKey `json:"dkim,omitempty"`

	// logging sets how much the relay writes to its log.
	// +optional
	Logging Logging `json:"logging,omitempty,omitzero"`

	// service sets how clients reach the relay.
	// +optional
	Service RelayService `json:"service,omitempty,omitzero"`

	// networkPolicy sets what the generated NetworkPolicy allows besides mail.
	// +optional
	NetworkPolicy RelayNetworkPolicy `json:"networkPolicy,omitempty,omitzero"`

	// resources are the compute resources of the relay container.
	// +optional
	Resources corev1.ResourceRequirements `json:"resources,omitempty,omitzero"`

	// scheduling places the relay pods.
	// +optional
	Scheduling Scheduling `json:"scheduling,omitempty,omitzero"`

	// paused stops the operator from changing anything of this relay. Mail goes on.
	// +optional
	Paused bool `json:"paused,omitempty"`
}

// Listeners are the two ways in.
//
// +kubebuilder:validation:XValidation:rule="(!has(self.submissions) || !has(self.submissions.enabled) || self.submissions.enabled) || (!has(self.submission) || !has(self.submission.enabled) || self.submission.enabled)",message="both listeners are off, so no app could submit mail: set submissions.enabled or submission.enabled to true"
type Listeners struct {
	// submissions is port 465: TLS from the first byte (RFC 8314 §3.3).
	// +optional
	Submissions Listener `json:"submissions,omitempty,omitzero"`
	// submission is port 587: STARTTLS, required before anything else (RFC 3207).
	// +optional
	Submission Listener `json:"submission,omitempty,omitzero"`
}

// Listener is one port.
type Listener struct {
	// enabled opens the port.
	// +optional
	// +kubebuilder:default=true
	Enabled *bool `json:"enabled,omitempty"`
}

// RelayTLS sets the TLS of both listeners.
//
// +kubebuilder:validation:XValidation:rule="!(has(self.issuerRef) && has(self.secretRef))",message="issuerRef and secretRef are two sources of the same certificate: keep one"
// +kubebuilder:validation:XValidation:rule="!has(self.issuerRef) || (has(self.names) && self.names.size() > 0)",message="issuerRef needs names: list the external host names that the certificate is for"
type RelayTLS struct {
	// minVersion is the lowest TLS version that clients may use.
	// +optional
	// +kubebuilder:default="1.2"
	// +kubebuilder:validation:Enum="1.2";"1.3"
	MinVersion string `json:"minVersion,omitempty"`
	// names are the external host names, served to clients that ask for them by SNI; one such as
	// "*.example.com" stands for all names of that depth.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=16
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=253
	// +kubebuilder:validation:items:XValidation:rule="self.matches('^([*][.])?[A-Za-z0-9]([-A-Za-z0-9]{0,61}[A-Za-z0-9])?([.][A-Za-z0-9]([-A-Za-z0-9]{0,61}[A-Za-z0-9])?)*$')",message="write a host name such as mail.example.com, or '*.example.com', without a port, an underscore or a dot at the end"
	Names []string `json:"names,omitempty"`
	// issuerRef is the cert-manager issuer of the certificate for names.
	// +optional
	IssuerRef *IssuerReference `json:"issuerRef,omitempty"`
	// secretRef is a Secret with tls.crt and tls.key for external names.
	// +optional
	SecretRef *LocalSecretReference `json:"secretRef,omitempty"`
	// caOverlap is how long apps may take to read the CAs that they trust anew: a generation of
	// the relay's internal CA is published for this long before it signs. It matters only when
	// the CA rotates twice within this time.
	// +optional
	// +kubebuilder:default="24h"
	// +kubebuilder:validation:XValidation:rule="duration(self) >= duration('0s') && duration(self) <= duration('8760h')",message="caOverlap is how long apps may take to read the CA anew: between 0s and 8760h, a year"
	CAOverlap *metav1.Duration `json:"caOverlap,omitempty"`
}

// IssuerReference names a cert-manager issuer.
type IssuerReference struct {
	// name of the issuer.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	// +kubebuilder:validation:XValidation:rule="self.matches('^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$')",message="write the name of an issuer: lower-case letters, digits, '-' and '.', such as provider"
	Name string `json:"name"`
	// kind of the issuer.
	// +optional
	// +kubebuilder:default=Issuer
	// +kubebuilder:validation:MaxLength=63
	Kind string `json:"kind,omitempty"`
	// group of the issuer.
	// +optional
	// +kubebuilder:default="cert-manager.io"
	// +kubebuilder:validation:MaxLength=253
	Group string `json:"group,omitempty"`
}

// LocalSecretReference names a Secret in the namespace of the object that holds it.
type LocalSecretReference struct {
	// name of the Secret.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	// +kubebuilder:validation:XValidation:rule="self.matches('^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$')",message="write the name of a Secret: lower-case letters, digits, '-' and '.', such as provider"
	Name string `json:"name"`
}

// Access says who may use the relay.
type Access struct {
	// rules let RelayUsers and their pods in. A RelayUser only narrows what rules grant. Of those
	// about its namespace the ones count that grant each kind of authentication that it asks for:
	// the senders of all these come together. The limits hold of all that grant any of the kinds.
	// +required
	// +listType=atomic
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=64
	Rules []AccessRule `json:"rules"`
}

// AccessRule lets the RelayUsers and pods of some namespaces in.
type AccessRule struct {
	// namespaces that the rule is about. Without it: the relay's own namespace.
	// +optional
	Namespaces *NamespaceRule `json:"namespaces,omitempty"`
	// senders are what RelayUsers let in by this rule may send as: addresses
	// ("app@example.com"), domains ("example.com"), all sub-domains of one ("*.example.com"),
	// any address ("*") and the null sender ("<>"). Without it: message.senderDomains.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=64
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=254
	// +kubebuilder:validation:items:XValidation:rule="self == '*' || self == '<>' || self.matches('^([^@* ]+@|[*][.])?[A-Za-z0-9][-A-Za-z0-9.]*$')",message="write an address such as app@example.com, a domain such as example.com, '*.example.com' for its sub-domains, '*' for any or '<>' for the null sender"
	Senders []string `json:"senders,omitempty"`
	// authentication are the kinds that RelayUsers let in by this rule may log in with.
	// Without it: all of them.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=3
	Authentication []AuthenticationKind `json:"authentication,omitempty"`
	// requireAll lets in only RelayUsers with two factors (authentication.require: All).
	// +optional
	RequireAll bool `json:"requireAll,omitempty"`
	// The limits are of each RelayUser of these namespaces that asks for a kind of authentication
	// that this rule grants, also where another rule lets it in.
	SendingLimits `json:",inline"`
	// podSelector narrows which pods of the namespaces may connect. Without it: all of them.
	// +optional
	PodSelector *LabelSelector `json:"podSelector,omitempty"`
	// cidrs are addresses outside the cluster that may connect.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=64
	// +kubebuilder:validation:items:MaxLength=43
	// +kubebuilder:validation:items:XValidation:rule="isCIDR(self)",message="write an address block such as 192.0.2.0/24 or 2001:db8::/32"
	CIDRs []string `json:"cidrs,omitempty"`
}

// NamespaceRule chooses namespaces by name or by label.
//
// +kubebuilder:validation:XValidation:rule="(has(self.names) && self.names.size() > 0) || has(self.selector)",message="choose namespaces by names or by selector; an empty selector {} means all namespaces"
type NamespaceRule struct {
	// names of the namespaces.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=256
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=63
	Names []string `json:"names,omitempty"`
	// selector chooses namespaces by their labels; the empty selector {} chooses all.
	// +optional
	Selector *LabelSelector `json:"selector,omitempty"`
}

// LabelSelector chooses objects by their labels, as a metav1.LabelSelector does. Its operators
// are checked when it is written; the condition Stalled tells of keys and values that are none.
type LabelSelector struct {
	// matchLabels are labels that an object must have.
	// +optional
	// +kubebuilder:validation:MaxProperties=32
	MatchLabels map[string]string `json:"matchLabels,omitempty"`
	// matchExpressions must all hold.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=16
	// +kubebuilder:validation:items:XValidation:rule="self.operator in ['In', 'NotIn', 'Exists', 'DoesNotExist']",message="write the operator In, NotIn, Exists or DoesNotExist"
	// +kubebuilder:validation:items:XValidation:rule="(self.operator in ['In', 'NotIn']) == (has(self.values) && self.values.size() > 0)",message="In and NotIn need values, Exists and DoesNotExist take none"
	MatchExpressions []metav1.LabelSelectorRequirement `json:"matchExpressions,omitempty"`
}

// DefaultUser controls the RelayUser that comes with a relay.
type DefaultUser struct {
	// enabled makes the RelayUser "<relay>-default" in the relay's namespace.
	// +optional
	// +kubebuilder:default=true
	Enabled *bool `json:"enabled,omitempty"`
}

// RelayService sets how clients reach the relay.
//
// +kubebuilder:validation:XValidation:rule="!has(self.type) || self.type != 'LoadBalancer' || (has(self.loadBalancerSourceRanges) && self.loadBalancerSourceRanges.size() > 0)",message="a LoadBalancer without loadBalancerSourceRanges opens the relay to the world: list the address blocks of your clients"
type RelayService struct {
	// type of the client Service.
	// +optional
	// +kubebuilder:default=ClusterIP
	// +kubebuilder:validation:Enum=ClusterIP;LoadBalancer
	Type corev1.ServiceType `json:"type,omitempty"`
	// annotations are added to the client Service.
	// +optional
	// +kubebuilder:validation:MaxProperties=32
	// +kubebuilder:validation:XValidation:rule="self.all(k, k.matches('^([a-z0-9][-a-z0-9.]*/)?[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?$'))",message="write each key as a name or domain/name, such as example.com/load-balancer"
	Annotations map[string]string `json:"annotations,omitempty"`
	// loadBalancerSourceRanges are the address blocks that may reach a LoadBalancer.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=64
	// +kubebuilder:validation:items:MaxLength=43
	// +kubebuilder:validation:items:XValidation:rule="isCIDR(self)",message="write an address block such as 192.0.2.0/24 or 2001:db8::/32"
	LoadBalancerSourceRanges []string `json:"loadBalancerSourceRanges,omitempty"`
}

// RelayNetworkPolicy sets what the generated NetworkPolicy allows besides mail.
type RelayNetworkPolicy struct {
	// enabled makes the NetworkPolicy. Turn it off only where something else does its work.
	// +optional
	// +kubebuilder:default=true
	Enabled *bool `json:"enabled,omitempty"`
	// metricsFrom chooses the namespaces whose pods may read the metrics port.
	// Without it: none.
	// +optional
	MetricsFrom *LabelSelector `json:"metricsFrom,omitempty"`
}

// Scheduling places the relay pods.
type Scheduling struct {
	// nodeSelector chooses nodes by label.
	// +optional
	// +kubebuilder:validation:MaxProperties=32
	NodeSelector map[string]string `json:"nodeSelector,omitempty"`
	// tolerations let the pods onto tainted nodes.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=32
	Tolerations []corev1.Toleration `json:"tolerations,omitempty"`
	// priorityClassName of the pods.
	// +optional
	// +kubebuilder:validation:MaxLength=253
	PriorityClassName string `json:"priorityClassName,omitempty"`
}
