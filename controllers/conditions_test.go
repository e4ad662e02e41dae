package controllers

import (
	"slices"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/events"

	"github.com/mailrelay-dev/mailrelay-operator/api/v1alpha1"
)

func TestEventsTellOfChangesOnce(t *testing.T) {
	t.Parallel()
	condition := func(name string, status metav1.ConditionStatus, reason, message string) metav1.Condition {
		return metav1.Condition{Type: name, Status: status, Reason: reason, Message: message}
	}
	const yes, no = metav1.ConditionTrue, metav1.ConditionFalse
	missing := condition("UpstreamReady", no, "UpstreamSecretMissing", "create it")
	for _, tc := range []struct {
		name          string
		before, after []metav1.Condition
		want          []string
	}{
		{"good at first sight", nil, []metav1.Condition{condition("Ready", yes, "Serving", "a")}, nil},
		{"not stalled at first sight", nil, []metav1.Condition{condition("Stalled", no, "NotStalled", "a")}, nil},
		{"bad at first sight", nil, []metav1.Condition{missing}, []string{"Warning UpstreamSecretMissing create it"}},
		{"work in progress is no warning", nil, []metav1.Condition{condition("CertificateReady", no, "Issuing", "a")}, []string{"Normal Issuing a"}},
		{"signing is no warning", nil, []metav1.Condition{condition("Ready", no, "SigningCertificate", "a")}, []string{"Normal SigningCertificate a"}},
		{"said once", nil, []metav1.Condition{missing, condition("Ready", no, "UpstreamSecretMissing", "create it")}, []string{"Warning UpstreamSecretMissing create it"}},
		{"the same again", []metav1.Condition{missing}, []metav1.Condition{condition("UpstreamReady", no, "UpstreamSecretMissing", "other words")}, nil},
		{"not ready for what was told",
			[]metav1.Condition{missing, condition("Ready", no, "Issuing", "a")},
			[]metav1.Condition{missing, condition("Ready", no, "UpstreamSecretMissing", "create it")}, nil},
		{"not ready any more for what was told",
			[]metav1.Condition{missing, condition("Ready", yes, "Serving", "a")},
			[]metav1.Condition{missing, condition("Ready", no, "UpstreamSecretMissing", "create it")},
			[]string{"Warning UpstreamSecretMissing create it"}},
		{"another reason", []metav1.Condition{missing}, []metav1.Condition{condition("UpstreamReady", no, "UpstreamSecretIncomplete", "b")}, []string{"Warning UpstreamSecretIncomplete b"}},
		{"mended", []metav1.Condition{missing}, []metav1.Condition{condition("UpstreamReady", yes, "Configured", "c")}, []string{"Normal Configured c"}},
		{"stalled", []metav1.Condition{condition("Stalled", no, "NotStalled", "a")}, []metav1.Condition{condition("Stalled", yes, "NameTaken", "d")}, []string{"Warning NameTaken d"}},
		{"reconciling", []metav1.Condition{condition("Reconciling", no, "UpToDate", "a")}, []metav1.Condition{condition("Reconciling", yes, "PodsStarting", "e")}, nil},
	} {
		recorder := events.NewFakeRecorder(10)
		recordChanges(recorder, &v1alpha1.MailRelay{}, tc.before, tc.after)
		var got []string
		for len(recorder.Events) > 0 {
			got = append(got, <-recorder.Events)
		}
		if !slices.Equal(got, tc.want) {
			t.Errorf("%s: events are %q, want %q", tc.name, got, tc.want)
		}
	}
}

func TestFailureThatPassesTellsNothingAgain(t *testing.T) {
	t.Parallel()
	starting := metav1.Condition{Type: "WorkloadAvailable", Status: metav1.ConditionFalse, Reason: "PodsNotReady", Message: "0 of 1"}
	retrying := metav1.Condition{Type: "WorkloadAvailable", Status: metav1.ConditionUnknown, Reason: "Retrying", Message: "it failed"}
	ready := metav1.Condition{Type: "WorkloadAvailable", Status: metav1.ConditionTrue, Reason: "PodsReady", Message: "1 of 1"}
	recorder := events.NewFakeRecorder(10)
	m := &memory{}
	var status []metav1.Condition
	for _, c := range []metav1.Condition{starting, retrying, starting, retrying, ready} {
		after := []metav1.Condition{c}
		recordChanges(recorder, &v1alpha1.MailRelay{}, m.told(status), after)
		m.decide(after)
		setConditions(&status, after)
	}
	var got []string
	for len(recorder.Events) > 0 {
		got = append(got, <-recorder.Events)
	}
	want := []string{"Normal PodsNotReady 0 of 1", "Normal Retrying it failed", "Normal Retrying it failed", "Normal PodsReady 1 of 1"}
	if !slices.Equal(got, want) {
		t.Errorf("events are %q, want %q", got, want)
	}
}
