package controllers

import (
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/mailrelay-dev/mailrelay-operator/api/v1alpha1"
)

// lateUse is how shortly before its end the use of an old password is a reason to worry.
const lateUse = time.Hour

// showRotation puts into status when the credentials were made and what is left of the old ones.
func (r *RelayUserReconciler) showRotation(s *userScope, h heldPassword) {
	if h.issued.IsZero() {
		s.user.Status.Rotation = nil
		return
	}
	status := &v1alpha1.RotationStatus{Issued: &metav1.Time{Time: h.issued}}
	if next := h.next(s.user); !next.IsZero() {
		status.Next = &metav1.Time{Time: next}
		if !s.facts.Rotating {
			s.again(next.Sub(r.Now()))
		}
	}
	if previous := r.Board.previous(relayRef(s.user), client.ObjectKeyFromObject(s.user)); !previous.until.IsZero() {
		status.Previous = &v1alpha1.PreviousCredentials{Until: metav1.NewTime(previous.until), LastUsed: lastUse(s, h, previous.used)}
	}
	s.user.Status.Rotation = status
}

// lastUse is the newest that is known: pods forget when they restart, and status does not. A pod
// may still tell of the password before the one before.
func lastUse(s *userScope, h heldPassword, used time.Time) *metav1.Time {
	if before := previousOf(s.before); before != nil && before.LastUsed != nil && before.LastUsed.After(used) {
		used = before.LastUsed.Time
	}
	if used.Before(h.issued.Truncate(time.Minute)) {
		return nil
	}
	return &metav1.Time{Time: used}
}

func previousOf(user *v1alpha1.RelayUser) *v1alpha1.PreviousCredentials {
	if user.Status.Rotation == nil {
		return nil
	}
	return user.Status.Rotation.Previous
}

// tellOfCredentials records that the Secret was put right, or has a new password. The first one
// that a user gets is no news.
func (r *RelayUserReconciler) tellOfCredentials(s *userScope, h heldPassword, done replacement, e edit) {
	old := "the one before works until " + h.previousUntil.Format(time.RFC3339)
	if done.atOnce {
		old = "the one before has ended, and so do the sessions that logged in with it"
	}
	switch {
	case len(e.what) > 0 && done.due:
		r.Events.Eventf(s.user, nil, corev1.EventTypeWarning, "CredentialsRestored", "Restore",
			"%s; there is a new password in it, and %s", e.sentence(s.secret.Name), old)
	case len(e.what) > 0:
		r.Events.Eventf(s.user, nil, corev1.EventTypeWarning, "CredentialsRestored", "Restore", "%s", e.sentence(s.secret.Name))
	case done.due && s.before.Status.Binding != nil:
		r.Events.Eventf(s.user, nil, corev1.EventTypeNormal, "Rotated", "Rotate",
			"the password in Secret %s was replaced, %s; %s", s.secret.Name, done.why, old)
	}
}

// recordEnd tells when the old password has ended, and whether an app may be left without one.
func (r *RelayUserReconciler) recordEnd(s *userScope) {
	ended := previousOf(s.before)
	if ended == nil || previousOf(s.user) != nil {
		return
	}
	kind, note := corev1.EventTypeNormal, "the old password has ended; no app logged in with it since it was replaced"
	if ended.LastUsed != nil {
		note = "the old password has ended; an app last logged in with it at " + ended.LastUsed.UTC().Format(time.RFC3339)
		if ended.Until.Sub(ended.LastUsed.Time) < lateUse {
			kind = corev1.EventTypeWarning
			note += fmt.Sprintf(": let it read Secret %s again, or restart it", s.user.Status.Binding.Name)
		}
	}
	r.Events.Eventf(s.user, nil, kind, "PreviousEnded", "Rotate", "%s", note)
}
