package v1alpha1

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
