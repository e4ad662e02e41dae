package controllers

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/mailrelay-dev/mailrelay-operator/api/v1alpha1"
	"github.com/mailrelay-dev/mailrelay-operator/controllers/readiness"
	"github.com/mailrelay-dev/mailrelay-operator/relay/config"
)

var noon = time.Date(2030, 1, 1, 12, 0, 0, 0, time.UTC)

func TestReportsAreSummedUp(t *testing.T) {
	t.Parallel()
	s := newScope(&v1alpha1.MailRelay{}, &memory{}, noon)
	s.facts.Pods = []readiness.Pod{
		{Ready: true, Report: &config.Report{
			Queue:        config.QueueReport{Messages: 2, Oldest: noon.Add(-time.Minute)},
			Certificates: []config.CertificateReport{{Name: "internal", Served: showed("relay", "aa", 2*time.Hour, 465, 587)}},
		}},
		{Ready: true, Report: &config.Report{
			Queue: config.QueueReport{Messages: 3, Oldest: noon.Add(-time.Hour + 300*time.Millisecond)},
			Certificates: []config.CertificateReport{
				{Name: "external", Served: showed("mail.example.com", "cc", time.Hour, 587, 465)},
				{Name: "internal", Served: showed("relay", "bb", time.Hour, 465)},
				{Name: "internal", Served: showed("relay", "aa", 2*time.Hour, 465)},
			},
		}},
		{Name: "silent"},
	}
	setReports(s)
	status := s.relay.Status
	if status.ReadyReplicas != 2 || status.Queue.Messages != 5 || !status.Queue.Oldest.Time.Equal(noon.Add(-time.Hour)) || !status.Queue.Observed.Time.Equal(noon) {
		t.Errorf("ready %d, queue %+v", status.ReadyReplicas, status.Queue)
	}
	var lines []string
	for _, c := range status.Certificates {
		lines = append(lines, fmt.Sprint(c.Name, " ", c.Host, " ", c.Ports, " ", c.Fingerprint, " ", c.NotAfter.Sub(noon)))
	}
	want := []string{"internal relay [465 587] aa 2h0m0s", "internal relay [465] bb 1h0m0s", "external mail.example.com [465 587] cc 1h0m0s"}
	if !slices.Equal(lines, want) {
		t.Errorf("certificates are\n%s\nwant\n%s", strings.Join(lines, "\n"), strings.Join(want, "\n"))
	}
	if s.memory.queued != 5 {
		t.Errorf("remembered %d messages", s.memory.queued)
	}
}

// showed is what a pod saw of its ports.
func showed(host, fingerprint string, ends time.Duration, ports ...int) []config.ServedReport {
	var reports []config.ServedReport
	for _, port := range ports {
		reports = append(reports, config.ServedReport{Host: host, Port: port, Fingerprint: fingerprint, NotAfter: noon.Add(ends)})
	}
	return reports
}

func TestNoReportLeavesTheOldNumbers(t *testing.T) {
	t.Parallel()
	relay := &v1alpha1.MailRelay{}
	relay.Status.Queue = &v1alpha1.QueueStatus{Messages: 4}
	relay.Status.Certificates = []v1alpha1.CertificateStatus{{Name: "internal"}}
	s := newScope(relay, &memory{}, noon)
	s.facts.Pods = []readiness.Pod{{Name: "silent"}}
	setReports(s)
	if s.facts.Queue != nil || relay.Status.Queue.Messages != 4 || len(relay.Status.Certificates) != 1 {
		t.Errorf("fact %+v, status %+v", s.facts.Queue, relay.Status.Queue)
	}
}

func TestQueueIsShownAtMostOnceAMinute(t *testing.T) {
	t.Parallel()
	queue := func(messages int64, observed time.Time) *v1alpha1.QueueStatus {
		at := metav1.NewTime(observed)
		return &v1alpha1.QueueStatus{Messages: messages, Observed: &at}
	}
	for _, tc := range []struct {
		name         string
		shown, fresh *v1alpha1.QueueStatus
		want         int64
		written      bool
	}{
		{"first", nil, queue(1, noon), 1, true},
		{"changed at once", queue(1, noon), queue(2, noon.Add(59*time.Second)), 1, false},
		{"changed after a minute", queue(1, noon), queue(2, noon.Add(time.Minute)), 2, true},
		{"never changed", queue(1, noon), queue(1, noon.Add(time.Hour)), 1, false},
	} {
		got := shownQueue(tc.shown, tc.fresh)
		if got.Messages != tc.want || (got == tc.fresh) != tc.written {
			t.Errorf("%s: shows %d, new %v", tc.name, got.Messages, got == tc.fresh)
		}
	}
}

func TestOutdated(t *testing.T) {
	t.Parallel()
	hashes := map[string]string{"/b": "2", "/a": "1", "/c": "3"}
	report := &config.Report{Loaded: map[string]string{"/a": "1", "/b": "old", "/d": "4"}}
	if got := outdated(report, hashes); len(got) != 2 || got[0] != "/b" || got[1] != "/c" {
		t.Errorf("outdated = %v", got)
	}
	if outdated(nil, hashes) != nil {
		t.Error("a pod that tells nothing is not outdated but unknown")
	}
}

func TestPodFact(t *testing.T) {
	t.Parallel()
	waiting := func(reason, message string) corev1.PodStatus {
		return corev1.PodStatus{ContainerStatuses: []corev1.ContainerStatus{{
			Name: "relay", State: corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: reason, Message: message}}}}}
	}
	gone := metav1.NewTime(noon)
	for _, tc := range []struct {
		name string
		pod  corev1.Pod
		want readiness.Pod
	}{
		{"ready", corev1.Pod{Status: runningStatus("10.0.0.1")}, readiness.Pod{Ready: true}},
		{"going", corev1.Pod{ObjectMeta: metav1.ObjectMeta{DeletionTimestamp: &gone}, Status: runningStatus("10.0.0.1")}, readiness.Pod{}},
		{"starting", corev1.Pod{Status: waiting("ContainerCreating", "")}, readiness.Pod{}},
		{"no image", corev1.Pod{Status: waiting("ErrImagePull", "not found")}, readiness.Pod{Waiting: "ErrImagePull: not found"}},
	} {
		if got := podFact(&tc.pod, nil); got.Ready != tc.want.Ready || got.Waiting != tc.want.Waiting {
			t.Errorf("%s: %+v, want %+v", tc.name, got, tc.want)
		}
	}
}
