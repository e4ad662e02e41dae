package controllers

import (
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/types"
	ctrl "sigs.k8s.io/controller-runtime"
)

// A relay whose passes fail is still polled, and its pods are told of changes.
func TestFailedPassIsRepeatedWithinWhatItAskedFor(t *testing.T) {
	t.Parallel()
	p := (&pace{}).start()
	failing := ctrl.Request{NamespacedName: types.NamespacedName{Name: "failing"}}
	other := ctrl.Request{NamespacedName: types.NamespacedName{Name: "other"}}
	p.ask(failing, time.Second)
	var pauses []time.Duration
	for range 30 {
		pauses = append(pauses, p.When(failing))
		p.When(other)
	}
	if pauses[0] >= pauses[3] || pauses[0] > 100*time.Millisecond {
		t.Errorf("pauses begin with %v: they should be short and grow", pauses[:4])
	}
	if last := pauses[len(pauses)-1]; last != time.Second {
		t.Errorf("the last pause is %v, want the second that was asked for", last)
	}
	if got := p.When(other); got <= pollInterval {
		t.Errorf("what asked for nothing is repeated after %v", got)
	}
	p.Forget(failing)
	if got := p.When(failing); got > 100*time.Millisecond || len(p.asked) != 0 {
		t.Errorf("after a success it begins with %v, remembering %v", got, p.asked)
	}
}
