package resources

import (
	"time"

	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/utils/ptr"

	"github.com/mailrelay-dev/mailrelay-operator/api/v1alpha1"
)

// The API server fills in the default of a field only when the struct around it was
// written, so each reader here knows the default too.

// Replicas is the number of pods that a relay asks for.
func Replicas(relay *v1alpha1.MailRelay) int32 { return ptr.Deref(relay.Spec.Replicas, 1) }

// SharingPods is the number of pods that limits of the whole relay are shared out to: those
// asked for, or those there are while more are left, which hold mail. Not those that are ready:
// the configuration of all would be written anew whenever one becomes unready or ready again,
// and until every pod has read it, one that is back could send beside others that still have its
// share. So while a pod is away its share is not used.
func SharingPods(relay *v1alpha1.MailRelay) int32 {
	return max(Replicas(relay), relay.Status.Replicas)
}

// SubmissionsEnabled reports whether port 465 is open.
func SubmissionsEnabled(relay *v1alpha1.MailRelay) bool {
	return ptr.Deref(relay.Spec.Listeners.Submissions.Enabled, true)
}

// SubmissionEnabled reports whether port 587 is open.
func SubmissionEnabled(relay *v1alpha1.MailRelay) bool {
	return ptr.Deref(relay.Spec.Listeners.Submission.Enabled, true)
}

// NetworkPolicyEnabled reports whether the relay gets a NetworkPolicy.
func NetworkPolicyEnabled(relay *v1alpha1.MailRelay) bool {
	return ptr.Deref(relay.Spec.NetworkPolicy.Enabled, true)
}

// DefaultUserEnabled reports whether the relay gets the RelayUser "<relay>-default".
func DefaultUserEnabled(relay *v1alpha1.MailRelay) bool {
	return relay.Spec.DefaultUser == nil || ptr.Deref(relay.Spec.DefaultUser.Enabled, true)
}

// CAOverlap is how long a generation of the internal CA is published before it signs.
func CAOverlap(relay *v1alpha1.MailRelay) time.Duration {
	if relay.Spec.TLS == nil || relay.Spec.TLS.CAOverlap == nil {
		return 24 * time.Hour
	}
	return relay.Spec.TLS.CAOverlap.Duration
}

// QueueSize is the size of a pod's volume.
func QueueSize(relay *v1alpha1.MailRelay) resource.Quantity {
	if relay.Spec.Queue.Size != nil {
		return *relay.Spec.Queue.Size
	}
	return resource.MustParse("1Gi")
}
