package v1alpha1

// Rewrite changes a sender address: the envelope's and those in From, Sender, Resent-From and
// Resent-Sender.
type Rewrite struct {
	// match is an address ("www-data@old.example"), a domain ("old.example"), everything below
	// one ("*.old.example"), or "*" for any sender.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=254
	// +kubebuilder:validation:XValidation:rule="self == '*' || self.matches('^([^@* ]+@|[*][.])?[A-Za-z0-9][-A-Za-z0-9.]*$')",message="write an address such as app@example.com, a domain such as example.com, '*.example.com' for what is below it, or '*'"
	Match string `json:"match"`
	// to is the new address, or the domain that takes the place of the old one.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=254
	// +kubebuilder:validation:XValidation:rule="self.matches('^([^@* ]+@)?[A-Za-z0-9][-A-Za-z0-9]*[.][A-Za-z0-9][-A-Za-z0-9.]*$')",message="write an address such as noreply@example.com, or a domain such as example.com"
	To string `json:"to"`
}
