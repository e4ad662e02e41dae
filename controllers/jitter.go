package controllers

import (
	"math/rand/v2"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	ctrl "sigs.k8s.io/controller-runtime"
)

// pollInterval is how often a relay is looked at when nothing changes.
const pollInterval = 30 * time.Second

// conflictPause is how soon to look again at what someone else has just written.
const conflictPause = 200 * time.Millisecond

// next is when to look again after a pass. A conflict means that the pass worked on old data,
// which is part of the game and no error to be logged.
func next(after time.Duration, err error) (ctrl.Result, error) {
	switch {
	case apierrors.IsConflict(err):
		return ctrl.Result{RequeueAfter: jitter(conflictPause)}, nil
	case err != nil:
		return ctrl.Result{}, err
	default:
		return ctrl.Result{RequeueAfter: after}, nil
	}
}

// jitter spreads a duration by a fifth, so that relays created together are not polled
// together for ever.
func jitter(d time.Duration) time.Duration {
	return time.Duration(float64(d) * (0.9 + 0.2*rand.Float64()))
}
