package controllers

import (
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/mailrelay-dev/mailrelay-operator/api/v1alpha1"
	"github.com/mailrelay-dev/mailrelay-operator/controllers/dkim"
	"github.com/mailrelay-dev/mailrelay-operator/controllers/readiness"
	"github.com/mailrelay-dev/mailrelay-operator/controllers/resources"
)

// tellOf is what status says of the keys of an entry. Those that are in use or wait for it are
// facts for the conditions too.
func (r *MailRelayReconciler) tellOf(s *scope, entry *v1alpha1.DKIMKey, ring *dkim.Ring) []v1alpha1.DKIMStatus {
	signing := ring.Signing()
	var all []v1alpha1.DKIMStatus
	for i := range ring.Keys {
		k := &ring.Keys[i]
		told := statusOf(s.relay, entry, k)
		told.Signing = k == signing
		problem := r.answerOn(s, entry, k).Problem
		told.Message = readiness.DKIMMessage(&told, k.Detail, signing != nil, problem)
		switch told.State {
		case v1alpha1.DKIMRetired, v1alpha1.DKIMObsolete:
		default:
			s.facts.DKIMKeys = append(s.facts.DKIMKeys, readiness.MadeDKIMKey{DKIMStatus: told, Problem: problem})
		}
		all = append(all, told)
	}
	return all
}

func statusOf(relay *v1alpha1.MailRelay, entry *v1alpha1.DKIMKey, k *dkim.Key) v1alpha1.DKIMStatus {
	told := v1alpha1.DKIMStatus{
		Domain: entry.Domain, Selector: k.Selector, Algorithm: k.Algorithm(), State: stateOf(k),
		Record: v1alpha1.DKIMRecord{Name: resources.DKIMFile(k.Selector, entry.Domain), Type: "TXT"},
	}
	if k.PEM != nil {
		told.SecretName = resources.DKIMName(relay, entry)
		if value, err := dkim.Value(k.Public); err == nil {
			told.Record.Value, told.Record.Quoted = value, dkim.Quoted(value)
		}
	}
	if told.State == v1alpha1.DKIMRetired {
		until := metav1.NewTime(k.Retired.Add(resources.WantedDKIM(relay, entry).Overlap))
		told.KeepRecordUntil = &until
	}
	if !k.Since.IsZero() {
		since := metav1.NewTime(k.Since)
		told.Observed = &since
	}
	return told
}

func stateOf(k *dkim.Key) string {
	switch {
	case !k.Removed.IsZero():
		return v1alpha1.DKIMObsolete
	case !k.Retired.IsZero():
		return v1alpha1.DKIMRetired
	case k.Found == dkim.Differs:
		return v1alpha1.DKIMDiffers
	case k.Signs.IsZero():
		return v1alpha1.DKIMWaiting
	case k.Found == dkim.Missing:
		return v1alpha1.DKIMMissing
	default:
		return v1alpha1.DKIMPublished
	}
}

// tellRepairs says what became of a Secret that somebody deleted or changed.
func (r *MailRelayReconciler) tellRepairs(s *scope, entry *v1alpha1.DKIMKey, loaded dkim.Loaded, ring *dkim.Ring) {
	name := resources.DKIMName(s.relay, entry)
	if len(loaded.Restored) > 0 {
		r.Events.Eventf(s.relay, nil, corev1.EventTypeWarning, "DKIMKeyRestored", v1alpha1.ConditionDKIMPublished,
			"Secret %s was deleted or changed; the key of %s was put back from the relay's copy, since its record is for no other. To have another key, change the annotation %s",
			name, strings.Join(loaded.Restored, ", "), resources.RotateDKIMAnnotation)
	}
	lost := loaded.Lost
	for _, told := range s.before.Status.DKIM {
		if told.SecretName == name && len(loaded.Keys) == 0 && len(lost) == 0 {
			lost = append(lost, told.Selector)
		}
	}
	if len(lost) > 0 {
		next := ""
		if k := ring.Next(); k != nil {
			next = fmt.Sprintf("; publish that of %s, as status.dkim shows it", resources.DKIMFile(k.Selector, entry.Domain))
		}
		r.Events.Eventf(s.relay, nil, corev1.EventTypeWarning, "DKIMKeyLost", v1alpha1.ConditionDKIMPublished,
			"Secret %s was deleted or changed, and the key of %s is nowhere: its record cannot be used any more%s", name, strings.Join(lost, ", "), next)
	}
}
