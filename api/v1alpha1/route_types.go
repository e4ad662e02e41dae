package v1alpha1

// Route sends some of the mail to some of the upstreams.
type Route struct {
	// senders are the envelope senders that the route is for: addresses ("app@example.com"),
	// domains ("example.com"), all sub-domains of one ("*.example.com") and the null sender
	// ("<>"), which bounces have. Without them: all.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=32
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=254
	// +kubebuilder:validation:items:XValidation:rule="self == '<>' || self.matches('^([^@* ]+@|[*][.])?[A-Za-z0-9][-A-Za-z0-9.]*$')",message="write an address such as app@example.com, a domain such as example.com, '*.example.com' for its sub-domains or '<>' for the null sender; leave senders out for all"
	Senders []string `json:"senders,omitempty"`
	// recipients are those that the route is for, written in the same way. Without them: all.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=32
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=254
	// +kubebuilder:validation:items:XValidation:rule="self.matches('^([^@* ]+@|[*][.])?[A-Za-z0-9][-A-Za-z0-9.]*$')",message="write an address such as bob@example.net, a domain such as example.net or '*.example.net' for its sub-domains; leave recipients out for all"
	Recipients []string `json:"recipients,omitempty"`
	// upstreams are the names of those that the mail goes to, by their order and weight.
	// +required
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=16
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=40
	Upstreams []string `json:"upstreams"`
}
