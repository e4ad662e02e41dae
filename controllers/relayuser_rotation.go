package controllers

import (
	"fmt"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/mailrelay-dev/mailrelay-operator/api/v1alpha1"
	"github.com/mailrelay-dev/mailrelay-operator/controllers/resources"
)

// lateUse is how shortly before its end the use of an old password is a reason to worry.
const lateUse = time.Hour

// showRotation puts into status when the credentials were made and what is left of the old ones.
// While that is not known, it is what it was.
func (r *RelayUserReconciler) showRotation(s *userScope, password heldPassword, key heldKey) {
	old, known := r.Board.previous(relayRef(s.user), client.ObjectKeyFromObject(s.user))
	status := v1alpha1.RotationStatus{}
	if len(password.password) > 0 {
		status.Issued, status.Next = timeOf(password.issued), timeOf(password.next(s.user))
		switch {
		case !known:
			status.Previous = previousOf(s.before)
		case !old.until.IsZero():
			status.Previous = &v1alpha1.PreviousCredentials{Until: metav1.NewTime(old.until), LastUsed: lastUse(s, password, old.used)}
		}
	}
	switch before := certificateOf(s.before); {
	case key.pair != nil:
		status.Certificate = &v1alpha1.CertificateRotation{
			Issued:        metav1.NewTime(key.issued),
			Next:          metav1.NewTime(key.next(s.user, r.Board.signer(relayRef(s.user)))),
			NotAfter:      metav1.NewTime(key.pair.leaf.NotAfter),
			PreviousUntil: timeOf(old.keyUntil),
		}
		if before != nil && !known {
			status.Certificate.PreviousUntil = before.PreviousUntil
		}
	case s.facts.Client != nil && before != nil:
		// The one that is under way takes its place.
		status.Certificate = before.DeepCopy()
		if known {
			status.Certificate.PreviousUntil = timeOf(old.keyUntil)
		}
	}
	s.user.Status.Rotation = nil
	if status != (v1alpha1.RotationStatus{}) {
		s.user.Status.Rotation = &status
	}
}

// timeOf is nil for the zero time.
func timeOf(at time.Time) *metav1.Time {
	if at.IsZero() {
		return nil
	}
	return &metav1.Time{Time: at}
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

func certificateOf(user *v1alpha1.RelayUser) *v1alpha1.CertificateRotation {
	if user.Status.Rotation == nil {
		return nil
	}
	return user.Status.Rotation.Certificate
}

func hadPassword(user *v1alpha1.RelayUser) bool {
	return user.Status.Rotation != nil && user.Status.Rotation.Issued != nil
}

// isNews reports whether status does not tell of what the Secret held before this pass, and the
// pods may not know it: the pass that wrote it could not say so.
func (r *RelayUserReconciler) isNews(s *userScope, live *corev1.Secret, password heldPassword, key heldKey) bool {
	if live == nil || versionOf(live) != versionOf(s.secret) {
		return false
	}
	relay, user := relayRef(s.user), client.ObjectKeyFromObject(s.user)
	if hadPassword(s.before) && len(password.password) > 0 && !s.before.Status.Rotation.Issued.Time.Equal(password.issued) {
		if next := r.Board.preparation(user); next == nil || next.password != string(password.password) {
			return true
		}
	}
	was := certificateOf(s.before)
	return was != nil && key.pair != nil && needsCertificate(s.user) && !was.Issued.Time.Equal(key.issued) &&
		!r.Board.accepts(relay, user, resources.ClientName(s.user, key.pair.name))
}

// replaced is what became of one kind of credentials.
type replaced struct {
	what string
	replacement
	// until is when the one before ends.
	until time.Time
}

// old tells of the one before.
func (r *replaced) old() string {
	if r.atOnce {
		return "the one before has ended, and so do the sessions that logged in with it"
	}
	return "the one before works until " + r.until.Format(time.RFC3339)
}

// tellOfCredentials records that the Secret was put right, or has new credentials. The first ones
// that a user gets are no news.
func (r *RelayUserReconciler) tellOfCredentials(s *userScope, e edit, done ...replaced) {
	var fresh []string
	for i := range done {
		one := &done[i]
		switch {
		case !one.due:
		case len(e.what) > 0 && one.first:
			fresh = append(fresh, fmt.Sprintf("; there is a new %s in it", one.what))
		case len(e.what) > 0:
			fresh = append(fresh, fmt.Sprintf("; there is a new %s in it, and %s", one.what, one.old()))
		case !one.first:
			r.Events.Eventf(s.user, nil, corev1.EventTypeNormal, "Rotated", "Rotate",
				"the %s in Secret %s was replaced, %s; %s", one.what, s.secret.Name, one.why, one.old())
		}
	}
	if len(e.what) > 0 {
		r.Events.Eventf(s.user, nil, corev1.EventTypeWarning, "CredentialsRestored", "Restore",
			"%s%s", e.sentence(s.secret.Name), strings.Join(fresh, ""))
	}
}

// recordEnd tells when old credentials have ended, and whether an app may be left without them.
func (r *RelayUserReconciler) recordEnd(s *userScope) {
	was, is := certificateOf(s.before), certificateOf(s.user)
	if was != nil && was.PreviousUntil != nil && (is == nil || is.PreviousUntil == nil) {
		r.Events.Eventf(s.user, nil, corev1.EventTypeNormal, "PreviousEnded", "Rotate", "the old client certificate has ended")
	}
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
