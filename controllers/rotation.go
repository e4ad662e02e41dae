package controllers

import (
	"fmt"
	"hash/fnv"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/mailrelay-dev/mailrelay-operator/api/v1alpha1"
	"github.com/mailrelay-dev/mailrelay-operator/controllers/apply"
	"github.com/mailrelay-dev/mailrelay-operator/controllers/resources"
)

// defaultOverlap is that of a RelayUser without spec.rotation.
const defaultOverlap = 24 * time.Hour

// record is what a user's Secret says of one kind of credentials in it, besides these. What
// somebody else has written there counts for nothing.
type record struct {
	// issued is when they were made.
	issued time.Time
	// previousUntil is when those before them end.
	previousUntil time.Time
	// rotate and leaked are the requests, by annotation of the RelayUser, that they answer.
	rotate, leaked string
}

// heldPassword is the password in a user's Secret.
type heldPassword struct {
	record
	// password is empty when there is none that the operator made.
	password []byte
}

// passwordIn reads a user's Secret, nil when there is none.
func passwordIn(secret *corev1.Secret) heldPassword {
	if secret == nil {
		return heldPassword{}
	}
	h := heldPassword{record: record{
		issued:        timeIn(secret, resources.IssuedAnnotation),
		previousUntil: timeIn(secret, resources.PreviousUntilAnnotation),
		rotate:        annotationOf(secret, v1alpha1.AnnotationRotate),
		leaked:        annotationOf(secret, v1alpha1.AnnotationLeaked),
	}}
	if h.issued.IsZero() {
		h.issued = secret.CreationTimestamp.UTC()
	}
	if apply.Owns(secret, "data", resources.PasswordKey) {
		h.password = secret.Data[resources.PasswordKey]
	}
	return h
}

func annotationOf(secret *corev1.Secret, name string) string {
	if !apply.Owns(secret, "metadata", "annotations", name) {
		return ""
	}
	return secret.Annotations[name]
}

// timeIn is zero when there is none that can be read.
func timeIn(secret *corev1.Secret, annotation string) time.Time {
	at, err := time.Parse(time.RFC3339, annotationOf(secret, annotation))
	if err != nil {
		return time.Time{}
	}
	return at.UTC()
}

// replacement is what is to become of a user's credentials. The zero one leaves them.
type replacement struct {
	due bool
	// atOnce ends the old ones now; otherwise they work during the overlap.
	atOnce bool
	// unhurried lets the pods learn of the new ones before apps can read them.
	unhurried bool
	// renewal lets the old ones work until they end by themselves.
	renewal bool
	// first is set when there were none before, as far as is known.
	first bool
	// why is the rest of a sentence that begins with "it was replaced".
	why string
}

// judge decides whether a user's credentials of one kind are replaced now. It depends on nothing
// but what the RelayUser asks for and what its Secret holds, so that an operator that restarts
// neither replaces them twice nor forgets to.
func judge(user *v1alpha1.RelayUser, h record, present bool, now time.Time) replacement {
	rotate, leaked := user.Annotations[v1alpha1.AnnotationRotate], user.Annotations[v1alpha1.AnnotationLeaked]
	switch {
	case leaked != h.leaked && leaked != "":
		// Also where the Secret is gone, and with it the knowledge which leak it answers.
		return replacement{due: true, atOnce: true, why: "since annotation " + v1alpha1.AnnotationLeaked + " says that it has leaked"}
	case !present:
		return replacement{due: true, why: "since there was none in the Secret that the operator made"}
	case rotate != h.rotate && rotate != "":
		return replacement{due: true, unhurried: true, why: "since annotation " + v1alpha1.AnnotationRotate + " asks for it"}
	case h.due(user, now):
		return replacement{due: true, unhurried: true, why: fmt.Sprintf("since spec.rotation.interval is %s", user.Spec.Rotation.Interval.Duration)}
	}
	return replacement{}
}

func (h record) due(user *v1alpha1.RelayUser, now time.Time) bool {
	next := h.next(user)
	return !next.IsZero() && !now.Before(next)
}

// next is when the interval replaces the credentials, zero for never. Users who were made
// together are spread over the last tenth of the interval, but never so far that the overlap with
// those before, which end with it, is cut.
func (h record) next(user *v1alpha1.RelayUser) time.Time {
	if user.Spec.Rotation == nil || user.Spec.Rotation.Interval == nil {
		return time.Time{}
	}
	interval := user.Spec.Rotation.Interval.Duration
	early := h.spread(user, max(0, min(interval/10, interval-overlap(user))))
	return h.issued.Add(interval - early).Truncate(time.Second)
}

// spread is a part of a time, always the same for what was issued to one user.
func (h record) spread(user *v1alpha1.RelayUser, over time.Duration) time.Duration {
	hash := fnv.New32a()
	fmt.Fprintf(hash, "%s %d", user.UID, h.issued.Unix())
	return time.Duration(float64(over) * float64(hash.Sum32()) / (1 << 32))
}

// replacedBy is what the Secret says once the credentials were replaced.
func replacedBy(user *v1alpha1.RelayUser, r replacement, now time.Time) record {
	fresh := record{
		issued: now.UTC().Truncate(time.Second),
		rotate: user.Annotations[v1alpha1.AnnotationRotate],
		leaked: user.Annotations[v1alpha1.AnnotationLeaked],
	}
	fresh.previousUntil = fresh.issued
	if !r.atOnce {
		fresh.previousUntil = fresh.issued.Add(overlap(user)).Truncate(time.Second)
	}
	return fresh
}

// kept is what it says while they stay: spec may have another overlap meanwhile. What has
// ended at once has ended for good.
func (h record) kept(user *v1alpha1.RelayUser) record {
	if !h.previousUntil.Equal(h.issued) {
		h.previousUntil = h.issued.Add(overlap(user)).Truncate(time.Second)
	}
	return h
}

func overlap(user *v1alpha1.RelayUser) time.Duration {
	if user.Spec.Rotation == nil || user.Spec.Rotation.Overlap == nil {
		return defaultOverlap
	}
	return user.Spec.Rotation.Overlap.Duration
}

// annotations are how the Secret keeps the record of a password.
func (h heldPassword) annotations() map[string]string {
	if len(h.password) == 0 {
		return nil
	}
	kept := map[string]string{
		resources.IssuedAnnotation:        h.issued.Format(time.RFC3339),
		resources.PreviousUntilAnnotation: h.previousUntil.Format(time.RFC3339),
	}
	for name, value := range map[string]string{v1alpha1.AnnotationRotate: h.rotate, v1alpha1.AnnotationLeaked: h.leaked} {
		if value != "" {
			kept[name] = value
		}
	}
	return kept
}
