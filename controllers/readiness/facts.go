package readiness

import (
	"time"

	"github.com/mailrelay-dev/mailrelay-operator/api/v1alpha1"
	"github.com/mailrelay-dev/mailrelay-operator/relay/config"
)

// Facts are what one pass over a MailRelay has found. Nothing in them comes from the
// conditions of an earlier pass.
type Facts struct {
	Relay *v1alpha1.MailRelay
	Now   time.Time

	// Failure is what failed in the pass, which is repeated; nil when nothing did.
	Failure error
	// Undecided are the conditions whose facts the pass could not find because of it.
	Undecided []string

	// NotOurs are sentences about objects that have a name we need and are someone else's.
	NotOurs []string
	// Refused are the children that the API server does not take as spec makes them.
	Refused []Refusal
	// Invalid says what is wrong with spec where CEL could not see it; empty when nothing is.
	Invalid string

	// CertManagerInstalled is set when the kinds of cert-manager are there and watched.
	CertManagerInstalled bool
	// CertManagerMissing is set when they are not there.
	CertManagerMissing bool
	// Certificates of the relay that cert-manager issues.
	Certificates []Certificate
	// ExternalProblem says what keeps the certificate for external names from being issued
	// or copied, and ExternalInvalid what is wrong with one that is there; empty when nothing
	// does.
	ExternalProblem, ExternalInvalid string
	// Served are the certificates that clients of the pods are shown; nil when no pod has looked.
	Served []v1alpha1.CertificateStatus
	// CertificateLoaded is set when the Secret for the in-cluster names is complete.
	CertificateLoaded bool

	// Upstreams that lack something.
	Upstreams []UpstreamProblem

	// DKIM are the keys that cannot be used.
	DKIM []DKIMProblem
	// DKIMKeys are those that the operator makes, without what is left of old ones.
	DKIMKeys []MadeDKIMKey

	// WorkloadExists is set when the StatefulSet is there.
	WorkloadExists bool
	// Replicas that the StatefulSet is set to, more than spec asks for while a scale-down
	// is refused.
	Replicas int32
	// QueueSize is the size of the volumes where it is not what spec asks for.
	QueueSize string
	// Pods of the relay.
	Pods []Pod
	// Queue over all pods, nil when no pod has told.
	Queue *v1alpha1.QueueStatus

	// PolicyApplied is set when the NetworkPolicy is there as we want it.
	PolicyApplied bool
	// AnySender are the users that may send as anybody.
	AnySender []string

	// Deletion is set while the relay is being deleted.
	Deletion *Deletion
}

// Refusal is a child that the API server does not take.
type Refusal struct {
	// Kind of the child.
	Kind string
	// Message is what the API server says: which field of the child is wrong, and how.
	Message string
}

// Certificate is one that cert-manager issues.
type Certificate struct {
	Name  string
	Ready bool
	// Spare is set when the relay has a certificate that does well meanwhile.
	Spare bool
	// Message is what cert-manager says of it.
	Message string
}

// UpstreamProblem is a Secret of an upstream that is missing or incomplete.
type UpstreamProblem struct {
	Upstream string
	Secret   string
	// MissingKeys of the Secret; none when the Secret itself is missing.
	MissingKeys []string
	// Invalid says what is wrong with a key that is there.
	Invalid string
}

// DKIMProblem is a DKIM key that cannot be used.
type DKIMProblem struct {
	// Name of the key in the DNS.
	Name   string
	Secret string
	// Message says what is wrong with the Secret, and what to do.
	Message string
}

// Pod is one relay pod.
type Pod struct {
	Name  string
	Ready bool
	// Starting is set for one that is not ready, but may well be at any moment.
	Starting bool
	// Unschedulable is what the scheduler says when it finds no node.
	Unschedulable string
	// Waiting is why the container does not run: the kubelet's reason and message.
	Waiting string
	// Report is what the relay said, nil when it could not be asked.
	Report *config.Report
	// Outdated are the directories of which it has not loaded the newest content.
	Outdated []string
}

// Deletion is how far the deletion of a relay is.
type Deletion struct {
	// Queued is the number of messages that wait for delivery.
	Queued int64
	// Quarantined is the number of messages that were damaged on disk and put aside.
	Quarantined int64
	// Silent are volumes whose content no pod has told.
	Silent []string
	// NamespaceEnds is set when the namespace is being deleted, which takes the volumes
	// with it.
	NamespaceEnds bool
	// Removing is set once nothing is queued and the children go.
	Removing bool
}
