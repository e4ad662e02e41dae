package v1alpha1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// DKIMKey signs the messages of a domain (RFC 6376): with a key of your own, or with one that the
// operator makes.
//
// +kubebuilder:validation:XValidation:rule="has(self.secretRef) != has(self.generate)",message="set one of secretRef, for a key of your own, and generate, for one that the operator makes"
// +kubebuilder:validation:XValidation:rule="!has(self.generate) || self.selector.size() <= 24 && !self.selector.contains('.')",message="with generate, selector is what the selectors of all keys begin with: at most 24 characters without a dot, such as mail"
type DKIMKey struct {
	// domain of the From field, or one above it.
	// +required
	// +kubebuilder:validation:MinLength=3
	// +kubebuilder:validation:MaxLength=178
	// +kubebuilder:validation:XValidation:rule="self.matches('^[a-z0-9]([-a-z0-9]*[a-z0-9])?([.][a-z0-9]([-a-z0-9]*[a-z0-9])?)+$')",message="write a domain in lower case, such as example.com"
	Domain string `json:"domain"`
	// selector says where in the DNS the public key is: SELECTOR._domainkey.DOMAIN. With
	// generate it is what the selectors of all keys begin with, "mail" of "mail-0a1b2c3d": each
	// key has a selector of its own, which status.dkim shows.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	// +kubebuilder:validation:XValidation:rule="self.matches('^[a-z0-9]([-a-z0-9]*[a-z0-9])?([.][a-z0-9]([-a-z0-9]*[a-z0-9])?)*$')",message="write what is in front of ._domainkey in the DNS, in lower case, such as s1 or s1.mail"
	Selector string `json:"selector"`
	// secretRef is a Secret with dkim.key: an RSA key (PKCS#1 or PKCS#8, better 2048 bits) or
	// an Ed25519 key (PKCS#8), in PEM. Until it is there, mail of the domain waits.
	// +optional
	SecretRef *LocalSecretReference `json:"secretRef,omitempty"`
	// generate has the operator make the key, in a Secret that status.dkim names. Mail of the
	// domain goes out without its signature until the DNS shows the record in status.dkim.
	// +optional
	Generate *DKIMGenerate `json:"generate,omitempty"`
}

// DKIM algorithms.
const (
	// DKIMAlgorithmRSA2048 is RSA with 2048 bits, which every receiver can verify (RFC 8301).
	DKIMAlgorithmRSA2048 = "RSA2048"
	// DKIMAlgorithmEd25519 is Ed25519 (RFC 8463). Not every receiver can verify it.
	DKIMAlgorithmEd25519 = "Ed25519"
)

// DKIMGenerate says what key the operator makes, and when another one takes its place.
type DKIMGenerate struct {
	// algorithm of the key. Not every receiver can verify Ed25519 (RFC 8463): use it beside an
	// RSA key of the domain. A change makes a new key.
	// +optional
	// +kubebuilder:default=RSA2048
	// +kubebuilder:validation:Enum=RSA2048;Ed25519
	Algorithm string `json:"algorithm,omitempty"`
	// rotation replaces the key from time to time. Each new key is used only once the DNS shows
	// its record; the annotation mailrelay.dev/rotate-dkim asks for one at any time.
	// +optional
	Rotation DKIMRotation `json:"rotation,omitempty,omitzero"`
}

// DKIMRotation says when a key is replaced.
type DKIMRotation struct {
	// interval is for how long a key signs before the next one is made. Without it: until you
	// ask for another.
	// +optional
	// +kubebuilder:validation:XValidation:rule="duration(self) >= duration('24h') && duration(self) <= duration('26280h')",message="set an interval between 24h and 26280h (three years), such as 4380h"
	Interval *metav1.Duration `json:"interval,omitempty"`
	// overlap is for how long the record of a replaced key has to stay in the DNS: messages
	// signed with it are still on their way, in the queues of servers behind this relay.
	// +optional
	// +kubebuilder:default="120h"
	// +kubebuilder:validation:XValidation:rule="duration(self) >= duration('1h') && duration(self) <= duration('720h')",message="set an overlap between 1h and 720h, such as 120h"
	Overlap *metav1.Duration `json:"overlap,omitempty"`
}

// States of a DKIM key.
const (
	// DKIMWaiting is the state of a new key whose record the DNS does not show yet.
	DKIMWaiting = "Waiting"
	// DKIMPublished is the state of the key in use, whose record the DNS shows.
	DKIMPublished = "Published"
	// DKIMMissing is the state of the key in use when the DNS does not show its record any more.
	DKIMMissing = "Missing"
	// DKIMDiffers is the state of a key under whose selector the DNS shows something else.
	DKIMDiffers = "Differs"
	// DKIMRetired is the state of a replaced key whose record has to stay.
	DKIMRetired = "Retired"
	// DKIMObsolete is the state of a key that is gone, whose record can be removed.
	DKIMObsolete = "Obsolete"
)

// DKIMStatus is a key that the operator made.
type DKIMStatus struct {
	// domain whose messages it signs.
	Domain string `json:"domain"`
	// selector of the key.
	Selector string `json:"selector"`
	// algorithm is RSA2048 or Ed25519; empty once the key is gone.
	// +optional
	Algorithm string `json:"algorithm,omitempty"`
	// secretName is the Secret that holds the key; empty once the key is gone.
	// +optional
	SecretName string `json:"secretName,omitempty"`
	// record to publish in the DNS, or to remove from it.
	Record DKIMRecord `json:"record"`
	// state is Waiting until the DNS shows the record of a new key, then Published; Missing when
	// the DNS shows it no more, Differs when it shows something else there. A replaced key is
	// Retired as long as its record has to stay, and then Obsolete until the record is gone.
	State string `json:"state"`
	// signing is true for the key that signs.
	Signing bool `json:"signing"`
	// message says what to do; empty when there is nothing to do.
	// +optional
	Message string `json:"message,omitempty"`
	// keepRecordUntil is how long the record of a replaced key has to stay.
	// +optional
	KeepRecordUntil *metav1.Time `json:"keepRecordUntil,omitempty"`
	// observed is since when the DNS has shown what it shows; missing while it was not asked.
	// +optional
	Observed *metav1.Time `json:"observed,omitempty"`
}

// DKIMRecord is a record in the DNS.
type DKIMRecord struct {
	// name of the record, without a dot at its end.
	Name string `json:"name"`
	// type is TXT.
	Type string `json:"type"`
	// value is the whole text, as the web pages of DNS providers take it.
	// +optional
	Value string `json:"value,omitempty"`
	// quoted is value as zone files have it: strings of at most 255 octets (RFC 1035 §3.3.14).
	// +optional
	Quoted string `json:"quoted,omitempty"`
}
