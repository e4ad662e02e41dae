package controllers

import (
	"context"
	"errors"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/mailrelay-dev/mailrelay-operator/api/v1alpha1"
	"github.com/mailrelay-dev/mailrelay-operator/controllers/apply"
	"github.com/mailrelay-dev/mailrelay-operator/controllers/readiness"
)

// userScope is everything that one pass over a RelayUser reads and finds.
type userScope struct {
	user   *v1alpha1.RelayUser
	before *v1alpha1.RelayUser
	// namespace of the user.
	namespace *metav1.PartialObjectMetadata
	// relay is the MailRelay that spec names, nil when there is none.
	relay *v1alpha1.MailRelay
	facts readiness.UserFacts
	// undecided is set while the relay was not looked at since the operator started: nothing
	// is said until it is.
	undecided bool
	// secret holds the credentials.
	secret *corev1.Secret
	// fresh is set when a password, or a certificate that the user cannot log in without, was made
	// in this pass, or in one that could not say so in status, and the pods do not know it yet.
	fresh bool

	requeueAfter time.Duration
}

func newUserScope(user *v1alpha1.RelayUser, namespace *metav1.PartialObjectMetadata) *userScope {
	relay := relayRef(user)
	return &userScope{
		user:      user,
		before:    user.DeepCopy(),
		namespace: namespace,
		facts:     readiness.UserFacts{User: user, Relay: relayKey(relay.Namespace, relay.Name)},
	}
}

// nameTakenInterval is how often to look whether a foreign Secret is gone: Secrets of others
// wake nobody.
const nameTakenInterval = 15 * time.Second

// again asks for another pass within the given time.
func (s *userScope) again(after time.Duration) {
	if s.requeueAfter == 0 || after < s.requeueAfter {
		s.requeueAfter = max(after, time.Millisecond)
	}
}

// wakeAt asks for another pass at each of these times that is to come. What is due already is
// being worked on.
func (s *userScope) wakeAt(now time.Time, times ...time.Time) {
	for _, at := range times {
		if at.After(now) {
			s.again(at.Sub(now))
		}
	}
}

// note takes a step's error as a fact where a repetition does not help, as that of a relay.
func (s *userScope) note(err error) error {
	if apierrors.HasStatusCause(err, corev1.NamespaceTerminatingCause) {
		return nil
	}
	if notOurs := (*apply.NotOursError)(nil); errors.As(err, &notOurs) {
		s.facts.NotOurs = append(s.facts.NotOurs, notOurs.Error())
		s.again(jitter(nameTakenInterval))
		return nil
	}
	return err
}

// wasReady reports whether the relay had loaded the user for this generation of its spec.
// From then on a pod that starts does not take the user's readiness away.
func (s *userScope) wasReady() bool {
	c := meta.FindStatusCondition(s.before.Status.Conditions, v1alpha1.ConditionReady)
	return c != nil && c.Status == metav1.ConditionTrue && c.ObservedGeneration == s.user.Generation
}

// summarise ends a pass: conditions, status if it changed, events.
func (r *RelayUserReconciler) summarise(ctx context.Context, s *userScope, failure error) error {
	if s.undecided || apierrors.IsConflict(failure) {
		return nil
	}
	var conditions []metav1.Condition
	if failure != nil {
		conditions = readiness.Failed(s.before.Status.Conditions, s.user.Generation, failure)
	} else {
		conditions = readiness.RelayUser(&s.facts)
		s.user.Status.ObservedGeneration = s.user.Generation
	}
	setConditions(&s.user.Status.Conditions, conditions)
	if equality.Semantic.DeepEqual(s.before.Status, s.user.Status) {
		return nil
	}
	if err := r.Client.Status().Patch(ctx, s.user, fromThePresent(s.before)); err != nil {
		return client.IgnoreNotFound(err)
	}
	recordChanges(r.Events, s.user, s.before.Status.Conditions, conditions)
	r.recordEnd(s)
	return nil
}
