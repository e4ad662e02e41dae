package readiness

import (
	"cmp"
	"fmt"
	"strings"

	"github.com/mailrelay-dev/mailrelay-operator/api/v1alpha1"
	"github.com/mailrelay-dev/mailrelay-operator/controllers/resources"
)

// reconciling is true while the operator works towards spec.
var reconciling = condition[*Facts]{
	name: v1alpha1.ConditionReconciling,
	predicates: []predicate[*Facts]{
		isNotBeingDeleted,        // Draining and removing take their time
		passSucceeded,            // What failed is tried again
		allPodsAreReady,          // Pods are on their way
		allPodsLoadedWhatIsThere, // A change has not reached every pod yet
	},
	holds: always[*Facts]("UpToDate", "the relay is what spec asks for"),
}

// stalled is true when only a change by a person helps.
var stalled = condition[*Facts]{
	name: v1alpha1.ConditionStalled,
	predicates: []predicate[*Facts]{
		namesAreFree,
		specIsValid,
		childrenAreAccepted,
		isNotPaused,          // Before what is changed only later
		scaleIsReachable,     // Fewer replicas would leave mail behind on a volume
		queueSizeIsReachable, // A StatefulSet's volumes keep their size
	},
	holds: always[*Facts]("NotStalled", "nothing waits for a person"),
}

func isNotBeingDeleted(f *Facts) *finding {
	d := f.Deletion
	switch {
	case d == nil:
		return nil
	case d.NamespaceEnds:
		return &finding{reason: "NamespaceEnds", message: fmt.Sprintf(
			"the namespace is being deleted and takes the volumes with it: %d queued messages are delivered only as long as the pods still run", d.Queued)}
	case d.Removing:
		return &finding{reason: "Removing", message: "the queue is empty; the relay is being removed"}
	case len(d.Silent) > 0:
		return &finding{reason: "QueueUnknown", message: fmt.Sprintf(
			"deletion waits until the queue on %s is known to be empty: get the pods of these volumes to run, or annotate the MailRelay with %s=true to lose what is queued",
			strings.Join(d.Silent, ", "), resources.DiscardQueueAnnotation)}
	case d.Queued == 0 && d.Quarantined > 0:
		return &finding{reason: reasonQuarantined, message: fmt.Sprintf(
			"deletion waits since %d messages were damaged on disk and put aside: keep what you need of the quarantine directory of the volumes, then annotate the MailRelay with %s=true",
			d.Quarantined, resources.DiscardQueueAnnotation)}
	case d.Queued == 0 && f.Failure != nil:
		return retrying(f.Failure)
	default:
		return &finding{reason: "QueueNotEmpty", message: fmt.Sprintf(
			"deletion waits until %d queued messages are delivered or bounced: see that the upstream takes them, or annotate the MailRelay with %s=true to lose them",
			d.Queued, resources.DiscardQueueAnnotation)}
	}
}

func isNotPaused(f *Facts) *finding {
	if !paused(f) {
		return nil
	}
	return &finding{reason: "Paused", message: "nothing is changed while spec.paused is true: set it to false to go on"}
}

// paused: a relay that is being deleted is drained all the same.
func paused(f *Facts) bool { return f.Relay.Spec.Paused && f.Deletion == nil }

func namesAreFree(f *Facts) *finding {
	if len(f.NotOurs) == 0 {
		return nil
	}
	return &finding{reason: "NameTaken", message: strings.Join(f.NotOurs, "; ")}
}

func specIsValid(f *Facts) *finding {
	if f.Invalid == "" {
		return nil
	}
	return &finding{reason: "InvalidSpec", message: f.Invalid}
}

// madeOf names the parts of spec that a child is made of, where a wrong field of it comes from.
var madeOf = map[string]string{
	"NetworkPolicy": "spec.access, spec.networkPolicy or cidrs",
	"StatefulSet":   "spec.scheduling, spec.resources or spec.queue",
	"Service":       "spec.service",
	"Certificate":   "spec.tls",
}

func childrenAreAccepted(f *Facts) *finding {
	if len(f.Refused) == 0 {
		return nil
	}
	var all []string
	for _, r := range f.Refused {
		all = append(all, fmt.Sprintf("Kubernetes refuses what is made of %s: %s; change it there", cmp.Or(madeOf[r.Kind], "spec"), r.Message))
	}
	return &finding{reason: "ChildRefused", message: strings.Join(all, "; ")}
}

func scaleIsReachable(f *Facts) *finding {
	wanted := resources.Replicas(f.Relay)
	if !f.WorkloadExists || f.Deletion != nil || f.Replicas <= wanted {
		return nil
	}
	return &finding{reason: "ScaleDownRefused", message: fmt.Sprintf(
		"spec.replicas is %d, but the relay keeps its %d pods, since each holds a part of the queue on its volume: set spec.replicas to %d",
		wanted, f.Replicas, f.Replicas)}
}

func queueSizeIsReachable(f *Facts) *finding {
	if f.QueueSize == "" {
		return nil
	}
	size := resources.QueueSize(f.Relay)
	return &finding{reason: "QueueSizeKept", message: fmt.Sprintf(
		"spec.queue.size is %s, but the volumes were made with %s and keep that: enlarge the PersistentVolumeClaim of each pod to it, or make a new MailRelay", size.String(), f.QueueSize)}
}
