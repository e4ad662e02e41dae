package readiness

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// finding is what a predicate has to say when it does not hold: a reason that programs
// match and a sentence that says what to do.
type finding struct {
	reason, message string
	// unknown is set when it cannot be told whether the predicate holds.
	unknown bool
}

// predicate returns nil when it holds.
type predicate[F any] func(F) *finding

// condition is true when all its predicates hold.
type condition[F any] struct {
	name       string
	predicates []predicate[F]
	// holds is the reason and message when it is true.
	holds func(F) finding
}

func (c condition[F]) evaluate(facts F, generation int64) metav1.Condition {
	for _, p := range c.predicates {
		if f := p(facts); f != nil {
			status := metav1.ConditionFalse
			if f.unknown {
				status = metav1.ConditionUnknown
			}
			return newCondition(c.name, status, *f, generation)
		}
	}
	return newCondition(c.name, metav1.ConditionTrue, c.holds(facts), generation)
}

// abnormal is true when one of its predicates does not hold: the polarity of kstatus'
// Reconciling and Stalled.
func (c condition[F]) abnormal(facts F, generation int64) metav1.Condition {
	for _, p := range c.predicates {
		if f := p(facts); f != nil {
			return newCondition(c.name, metav1.ConditionTrue, *f, generation)
		}
	}
	return newCondition(c.name, metav1.ConditionFalse, c.holds(facts), generation)
}

func newCondition(name string, status metav1.ConditionStatus, f finding, generation int64) metav1.Condition {
	return metav1.Condition{
		Type: name, Status: status, Reason: f.reason, Message: clip(f.message), ObservedGeneration: generation,
	}
}

// clip keeps a message within what the API allows.
func clip(message string) string {
	const most = 4096
	if len(message) <= most {
		return message
	}
	return message[:most-3] + "..."
}

// always makes what a condition says when it holds and there is nothing to add.
func always[F any](reason, message string) func(F) finding {
	return func(F) finding { return finding{reason: reason, message: message} }
}
