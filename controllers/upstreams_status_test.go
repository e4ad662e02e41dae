package controllers

import (
	"slices"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/mailrelay-dev/mailrelay-operator/api/v1alpha1"
	"github.com/mailrelay-dev/mailrelay-operator/controllers/readiness"
	"github.com/mailrelay-dev/mailrelay-operator/relay/config"
)

// finds makes a pod report this of the upstream "provider".
func finds(report *config.Report, probe config.ProbeReport) {
	report.Upstreams = []config.UpstreamReport{{Name: "provider", Probe: &probe}}
}

func goodProbe(at time.Time) config.ProbeReport {
	return config.ProbeReport{
		Time: at, Reachable: true, TLSVersion: "1.3", CipherSuite: "TLS_AES_128_GCM_SHA256",
		Login:       &config.LoginReport{Time: at, Authenticated: true},
		Certificate: &config.PeerCertificate{NotAfter: noon.Add(24*time.Hour + time.Nanosecond)},
		Mechanisms:  []string{"LOGIN", "PLAIN"}, Capabilities: []string{"PIPELINING", "SIZE"}, MaxSize: 1000,
	}
}

func TestUpstreamsOfStatusComeFromAllPods(t *testing.T) {
	t.Parallel()
	relay := newRelay("mail")
	relay.Spec.Upstreams = append(relay.Spec.Upstreams, v1alpha1.Upstream{Name: "never-seen"})
	relay.Status.Upstreams = []v1alpha1.UpstreamStatus{{Name: "removed"}}
	s := newScope(relay, &memory{}, noon)
	s.facts.Pods = []readiness.Pod{{Name: "relay-0", Report: &config.Report{}}, {Name: "relay-1", Report: &config.Report{}}, {Name: "silent"}}
	finds(s.facts.Pods[0].Report, goodProbe(noon))
	worse := goodProbe(noon.Add(-time.Minute))
	worse.Reachable, worse.Fault, worse.Error, worse.Login = false, config.FaultUntrusted, "it has ended", nil
	worse.Certificate = &config.PeerCertificate{NotAfter: noon.Add(-time.Hour)}
	finds(s.facts.Pods[1].Report, worse)

	got := upstreamsOf(s)
	if len(got) != 1 || got[0].Name != "provider" {
		t.Fatalf("upstreams %+v", got)
	}
	u := got[0]
	if u.Reachable || u.Reason != "CertificateUntrusted" || u.LastError != "it has ended" || !u.CertificateNotAfter.Time.Equal(noon.Add(-time.Hour)) {
		t.Errorf("not the worst of all pods: %+v", u)
	}
	if u.Authenticated == nil || !*u.Authenticated || u.TLSVersion != "1.3" || u.MaxSize != 1000 || !u.Observed.Time.Equal(noon) ||
		!slices.Equal(u.Mechanisms, []string{"LOGIN", "PLAIN"}) || !slices.Equal(u.Capabilities, []string{"PIPELINING", "SIZE"}) {
		t.Errorf("details %+v", u)
	}

	// Pods that start have found nothing yet.
	s.before.Status.Upstreams = got
	s.facts.Pods = []readiness.Pod{{Name: "relay-0", Report: &config.Report{}}}
	if again := upstreamsOf(s); len(again) != 1 || again[0].Reason != "CertificateUntrusted" {
		t.Errorf("what was known is gone: %+v", again)
	}
}

func TestUpstreamIsWrittenOnlyWhenThereIsNews(t *testing.T) {
	t.Parallel()
	yes, no := true, false
	base := func(observed time.Time) *v1alpha1.UpstreamStatus {
		at := metav1.NewTime(observed)
		return &v1alpha1.UpstreamStatus{Name: "provider", Reachable: true, Authenticated: &yes, TLSVersion: "1.3", Observed: &at}
	}
	for _, tc := range []struct {
		name    string
		after   time.Duration
		change  func(*v1alpha1.UpstreamStatus)
		written bool
	}{
		{"the same", 24 * time.Hour, func(*v1alpha1.UpstreamStatus) {}, false},
		{"no list and an empty one", time.Hour, func(u *v1alpha1.UpstreamStatus) { u.Mechanisms = []string{} }, false},
		{"a detail at once", 59 * time.Second, func(u *v1alpha1.UpstreamStatus) { u.TLSVersion = "1.2" }, false},
		{"a detail after a minute", time.Minute, func(u *v1alpha1.UpstreamStatus) { u.TLSVersion = "1.2" }, true},
		{"other words at once", time.Second, func(u *v1alpha1.UpstreamStatus) { u.LastError = "other" }, false},
		{"another reason", time.Second, func(u *v1alpha1.UpstreamStatus) { u.Reason = "Silent" }, true},
		{"not reachable", time.Second, func(u *v1alpha1.UpstreamStatus) { u.Reachable = false }, true},
		{"refused", time.Second, func(u *v1alpha1.UpstreamStatus) { u.Authenticated = &no }, true},
		{"login not tried", time.Second, func(u *v1alpha1.UpstreamStatus) { u.Authenticated = nil }, true},
	} {
		shown, fresh := base(noon), base(noon.Add(tc.after))
		tc.change(fresh)
		if got := shownUpstream(shown, fresh); (got == fresh) != tc.written {
			t.Errorf("%s: written is %v, want %v", tc.name, got == fresh, tc.written)
		}
	}
	if fresh := base(noon); shownUpstream(nil, fresh) != fresh {
		t.Error("the first finding is not shown")
	}
}
