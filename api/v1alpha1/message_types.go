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

// DKIMKey signs the messages of a domain (RFC 6376).
type DKIMKey struct {
	// domain of the From field, or one above it.
	// +required
	// +kubebuilder:validation:MinLength=3
	// +kubebuilder:validation:MaxLength=178
	// +kubebuilder:validation:XValidation:rule="self.matches('^[a-z0-9]([-a-z0-9]*[a-z0-9])?([.][a-z0-9]([-a-z0-9]*[a-z0-9])?)+$')",message="write a domain in lower case, such as example.com"
	Domain string `json:"domain"`
	// selector says where in the DNS the public key is: SELECTOR._domainkey.DOMAIN.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	// +kubebuilder:validation:XValidation:rule="self.matches('^[a-z0-9]([-a-z0-9]*[a-z0-9])?([.][a-z0-9]([-a-z0-9]*[a-z0-9])?)*$')",message="write what is in front of ._domainkey in the DNS, in lower case, such as s1 or s1.mail"
	Selector string `json:"selector"`
	// secretRef is a Secret with dkim.key: an RSA key (PKCS#1 or PKCS#8, better 2048 bits) or
	// an Ed25519 key (PKCS#8), in PEM.
	// +required
	SecretRef LocalSecretReference `json:"secretRef"`
}
