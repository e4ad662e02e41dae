package controllers

import (
	"context"
	"errors"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/mailrelay-dev/mailrelay-operator/api/v1alpha1"
	"github.com/mailrelay-dev/mailrelay-operator/controllers/apply"
	"github.com/mailrelay-dev/mailrelay-operator/controllers/readiness"
	"github.com/mailrelay-dev/mailrelay-operator/controllers/trust"
)

// scope is everything that one pass over a MailRelay reads and finds.
type scope struct {
	relay *v1alpha1.MailRelay
	// before is the relay as the pass found it, to see what of status has changed.
	before *v1alpha1.MailRelay
	// memory is kept from pass to pass.
	memory *memory
	// namespaceEnds is set when the namespace is being deleted: nothing can be made in it.
	namespaceEnds bool
	// facts decide the conditions.
	facts readiness.Facts

	// trust are the generations of the relay's internal CA; all of them when trustKnown is set.
	trust      trust.Generations
	trustKnown bool
	// bundle are the CAs that apps trust, as PEM; empty while there are none. Known with trust.
	bundle []byte
	// dkim are the keys that the operator makes.
	dkim madeKeys
	// hashes of what the pods mount, by directory.
	hashes map[string]string
	// asked are all RelayUsers that name the relay, nil until they are listed. They belong to the
	// cache and must not be changed.
	asked []v1alpha1.RelayUser
	// users who are let in and have credentials; all of them when usersKnown is set.
	users      []relayUser
	usersKnown bool
	// namespaces whose labels were looked up, by name.
	namespaces map[string]map[string]string
	// pods of the relay; all of them when podsKnown is set.
	pods      []corev1.Pod
	podsKnown bool
	// failed is set when a step has failed: hashes may lack what pods mount.
	failed bool

	requeueAfter time.Duration
}

func newScope(relay *v1alpha1.MailRelay, memory *memory, now time.Time) *scope {
	return &scope{
		relay:        relay,
		before:       relay.DeepCopy(),
		memory:       memory,
		facts:        readiness.Facts{Relay: relay, Now: now},
		hashes:       map[string]string{},
		namespaces:   map[string]map[string]string{},
		requeueAfter: jitter(pollInterval),
	}
}

func (s *scope) deleting() bool { return !s.relay.DeletionTimestamp.IsZero() }

// perform runs all steps and returns what failed.
func (s *scope) perform(ctx context.Context, steps []step) error {
	var failures []error
	for _, step := range steps {
		err := s.note(step.run(ctx, s))
		if err != nil {
			s.failed = true
			s.facts.Undecided = append(s.facts.Undecided, step.tells...)
		}
		failures = append(failures, err)
	}
	return errors.Join(failures...)
}

// note takes a step's error as a fact where it is one: an object that is not ours is for a
// person to mend, not for a repetition, and so is one that the API server does not take as spec
// makes it; nor is a namespace that ends.
func (s *scope) note(err error) error {
	if apierrors.HasStatusCause(err, corev1.NamespaceTerminatingCause) {
		return nil
	}
	if notOurs := (*apply.NotOursError)(nil); errors.As(err, &notOurs) {
		s.facts.NotOurs = append(s.facts.NotOurs, notOurs.Error())
		return nil
	}
	if answer := apierrors.APIStatus(nil); apierrors.IsInvalid(err) && errors.As(err, &answer) {
		s.facts.Refused = append(s.facts.Refused, refusal(answer.Status()))
		return nil
	}
	return err
}

func refusal(status metav1.Status) readiness.Refusal {
	r := readiness.Refusal{Message: status.Message}
	if status.Details != nil {
		r.Kind = status.Details.Kind
	}
	return r
}

// again asks for another pass within the given time.
func (s *scope) again(after time.Duration) { s.requeueAfter = min(s.requeueAfter, after) }
