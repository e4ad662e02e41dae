package controllers

import (
	"time"

	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/mailrelay-dev/mailrelay-operator/api/v1alpha1"
	"github.com/mailrelay-dev/mailrelay-operator/controllers/readiness"
	"github.com/mailrelay-dev/mailrelay-operator/relay/config"
)

// upstreamInterval is how often status shows new details of an upstream.
const upstreamInterval = time.Minute

// upstreamsOf are the upstreams of spec that something is known of. What was known of one stays
// until pods that started, or took up a change, have had another look.
func upstreamsOf(s *scope) []v1alpha1.UpstreamStatus {
	var upstreams []v1alpha1.UpstreamStatus
	for i := range s.relay.Spec.Upstreams {
		name := s.relay.Spec.Upstreams[i].Name
		shown := upstreamNamed(s.before.Status.Upstreams, name)
		if found := readiness.FoundOf(s.facts.Pods, name); found != nil {
			shown = shownUpstream(shown, upstreamStatus(s, name, found))
		}
		if shown != nil {
			upstreams = append(upstreams, *shown)
		}
	}
	return upstreams
}

func upstreamNamed(upstreams []v1alpha1.UpstreamStatus, name string) *v1alpha1.UpstreamStatus {
	for i := range upstreams {
		if upstreams[i].Name == name {
			return &upstreams[i]
		}
	}
	return nil
}

func upstreamStatus(s *scope, name string, found *readiness.Found) *v1alpha1.UpstreamStatus {
	fault, sentence := found.Fault()
	observed := metav1.NewTime(s.facts.Now)
	status := &v1alpha1.UpstreamStatus{
		Name:                name,
		Reachable:           found.Probe.Reachable,
		Reason:              string(fault),
		LastError:           sentence,
		TLSVersion:          found.Probe.TLSVersion,
		CertificateNotAfter: earliestCertificate(s.facts.Pods, name),
		Mechanisms:          found.Probe.Mechanisms,
		Capabilities:        found.Probe.Capabilities,
		MaxSize:             found.Probe.MaxSize,
		Observed:            &observed,
	}
	if found.Login != nil {
		status.Authenticated = &found.Login.Authenticated
	}
	return status
}

// earliestCertificate is when the first of the certificates ends that pods saw of an upstream.
func earliestCertificate(pods []readiness.Pod, upstream string) *metav1.Time {
	var earliest *config.PeerCertificate
	for i := range pods {
		probe := readiness.ProbeOf(pods[i].Report, upstream)
		if probe != nil && probe.Certificate != nil && (earliest == nil || probe.Certificate.NotAfter.Before(earliest.NotAfter)) {
			earliest = probe.Certificate
		}
	}
	if earliest == nil {
		return nil
	}
	// Status keeps whole seconds; a finer one would differ from itself read back.
	notAfter := metav1.NewTime(earliest.NotAfter.Truncate(time.Second))
	return &notAfter
}

// shownUpstream is what status shows: what it showed while that is right, so that a probe that
// finds the same writes nothing. News of whether the upstream can be used come at once, details
// at most once a minute.
func shownUpstream(shown, fresh *v1alpha1.UpstreamStatus) *v1alpha1.UpstreamStatus {
	if shown == nil || shown.Observed == nil {
		return fresh
	}
	unchanged := *fresh
	unchanged.Observed = shown.Observed
	if equality.Semantic.DeepEqual(shown, &unchanged) {
		return shown
	}
	sameUse := shown.Reachable == fresh.Reachable && shown.Reason == fresh.Reason &&
		equality.Semantic.DeepEqual(shown.Authenticated, fresh.Authenticated)
	if sameUse && fresh.Observed.Sub(shown.Observed.Time) < upstreamInterval {
		return shown
	}
	return fresh
}
