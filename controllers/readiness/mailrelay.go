package readiness

import (
	"slices"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/mailrelay-dev/mailrelay-operator/api/v1alpha1"
)

// MailRelay decides all conditions of a MailRelay.
func MailRelay(facts *Facts) []metav1.Condition {
	generation := facts.Relay.Generation
	var conditions []metav1.Condition
	for _, c := range []condition[*Facts]{
		certificateReady, workloadAvailable, upstreamReady, queueHealthy, networkRestricted, sendersRestricted, dkimPublished,
	} {
		if (c.name == v1alpha1.ConditionSendersRestricted || c.name == v1alpha1.ConditionDKIMPublished) && paused(facts) {
			// Its users and keys are not looked at: what was said of them stays.
			continue
		}
		if slices.Contains(facts.Undecided, c.name) {
			conditions = append(conditions, newCondition(c.name, metav1.ConditionUnknown, *retrying(facts.Failure), generation))
			continue
		}
		conditions = append(conditions, c.evaluate(facts, generation))
	}
	return append(conditions,
		ready(facts, conditions),
		reconciling.abnormal(facts, generation),
		stalled.abnormal(facts, generation))
}

// ready sums up: what stands above all conditions first, then the first condition that mail
// depends on and that does not hold.
func ready(facts *Facts, conditions []metav1.Condition) metav1.Condition {
	summary := condition[*Facts]{
		name: v1alpha1.ConditionReady,
		predicates: []predicate[*Facts]{
			isNotBeingDeleted, // The deletion is the news, whatever else is true
			namesAreFree,      // No foreign object is in the way of a child
			specIsValid,       // The relay can read the configuration made of spec
			childrenAreAccepted,
		},
		holds: always[*Facts]("Serving", "apps can submit mail and it is delivered"),
	}
	for _, name := range []string{
		v1alpha1.ConditionCertificateReady, v1alpha1.ConditionWorkloadAvailable,
		v1alpha1.ConditionUpstreamReady, v1alpha1.ConditionQueueHealthy,
	} {
		c := meta.FindStatusCondition(conditions, name)
		summary.predicates = append(summary.predicates, func(*Facts) *finding {
			if c.Status == metav1.ConditionTrue || onlySingleMessagesWait(facts, c) || othersTakeOver(facts, c) {
				return nil
			}
			return &finding{reason: c.Reason, message: c.Message, unknown: c.Status == metav1.ConditionUnknown}
		})
	}
	// Mail may well be flowing after a failure, but not by all that spec says
	summary.predicates = append(summary.predicates, passSucceeded)
	return summary.evaluate(facts, facts.Relay.Generation)
}

// onlySingleMessagesWait reports whether what is wrong with the queue says nothing of the relay:
// messages are damaged, are held for their sender, or wait while the upstreams take what can be
// delivered. An idle relay may hold one message for days.
func onlySingleMessagesWait(f *Facts, c *metav1.Condition) bool {
	if c.Type != v1alpha1.ConditionQueueHealthy || c.Status != metav1.ConditionFalse {
		return false
	}
	takesMail := func(name string) bool { return newestFailure(f, name) == nil }
	stuck := func(way []string) bool { return !slices.ContainsFunc(way, takesMail) }
	return c.Reason == reasonQuarantined || c.Reason == reasonSenderRefused && mailIsLeaving(f) == nil ||
		!slices.ContainsFunc(ways(f.Relay), stuck)
}

// othersTakeOver reports whether an upstream cannot be used and others take its mail: a fault to
// mend by day. Ready is what wakes people up, and what apps and rollouts wait for; with mail that
// flows it stays true. Mail that waits for a DKIM key waits for every upstream.
func othersTakeOver(f *Facts, c *metav1.Condition) bool {
	return c.Type == v1alpha1.ConditionUpstreamReady && c.Status == metav1.ConditionFalse && len(f.DKIM) == 0 && mailFlows(f)
}
