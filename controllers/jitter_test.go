package controllers

import (
	"errors"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

func TestNext(t *testing.T) {
	t.Parallel()
	broken := errors.New("broken")
	conflict := apierrors.NewConflict(schema.GroupResource{Resource: "secrets"}, "x", errors.New("modified"))
	for _, tc := range []struct {
		name   string
		err    error
		failed bool
		least  time.Duration
		most   time.Duration
	}{
		{"all is well", nil, false, time.Minute, time.Minute},
		{"a conflict is looked at again soon", errors.Join(nil, conflict), false, conflictPause / 2, 2 * conflictPause},
		{"an error is left to the back-off", broken, true, 0, 0},
	} {
		result, err := next(time.Minute, tc.err)
		if (err != nil) != tc.failed || result.RequeueAfter < tc.least || result.RequeueAfter > tc.most {
			t.Errorf("%s: next = %v, %v", tc.name, result.RequeueAfter, err)
		}
	}
}

func TestJitterStaysNear(t *testing.T) {
	t.Parallel()
	seen := map[time.Duration]bool{}
	for range 100 {
		d := jitter(time.Minute)
		seen[d] = true
		if d < 54*time.Second || d > 66*time.Second {
			t.Fatalf("jitter(1m) = %v", d)
		}
	}
	if len(seen) < 50 {
		t.Errorf("only %d different values of 100", len(seen))
	}
}
