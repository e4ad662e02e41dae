package readiness

import (
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/mailrelay-dev/mailrelay-operator/api/v1alpha1"
)

// ReasonRetrying is that of conditions of which a pass that failed could not find out.
const ReasonRetrying = "Retrying"

// retrying is what is said of what a pass that failed could not find out.
func retrying(failure error) *finding {
	return &finding{reason: ReasonRetrying, message: "tried again with growing pauses: " + failure.Error(), unknown: true}
}

func passSucceeded(f *Facts) *finding {
	if f.Failure == nil {
		return nil
	}
	return retrying(f.Failure)
}

// Failed is what can be said of a RelayUser when a pass over it failed and will be repeated.
// What was known before stays; an object that nothing is known of yet gets the failure as its
// first Ready, so that it is not silent.
func Failed(before []metav1.Condition, generation int64, failure error) []metav1.Condition {
	f := *retrying(failure)
	conditions := []metav1.Condition{newCondition(v1alpha1.ConditionReconciling, metav1.ConditionTrue, f, generation)}
	old := meta.FindStatusCondition(before, v1alpha1.ConditionReady)
	if old == nil || old.Status == metav1.ConditionUnknown {
		conditions = append(conditions, newCondition(v1alpha1.ConditionReady, metav1.ConditionUnknown, f, generation))
	}
	return conditions
}
