package controllers

import (
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/mailrelay-dev/mailrelay-operator/api/v1alpha1"
)

// queueInterval is how often status shows new numbers of the queue.
const queueInterval = time.Minute

// setReports sums up in status what the pods have told.
func setReports(s *scope) {
	ready := int32(0)
	for i := range s.facts.Pods {
		if s.facts.Pods[i].Ready {
			ready++
		}
	}
	s.relay.Status.ReadyReplicas = ready
	s.facts.Queue = queueOf(s)
	if s.facts.Queue == nil {
		return
	}
	s.memory.queued = s.facts.Queue.Messages
	s.relay.Status.Queue = shownQueue(s.before.Status.Queue, s.facts.Queue)
	// What a pod has not looked at since it changed will be there soon.
	if s.facts.Served = served(s); s.facts.Served != nil {
		s.relay.Status.Certificates = s.facts.Served
	}
	s.relay.Status.Upstreams = upstreamsOf(s)
}

// queueOf adds up the queues of all pods; nil when no pod has told.
func queueOf(s *scope) *v1alpha1.QueueStatus {
	var queue *v1alpha1.QueueStatus
	for i := range s.facts.Pods {
		report := s.facts.Pods[i].Report
		if report == nil {
			continue
		}
		if queue == nil {
			observed := metav1.NewTime(s.facts.Now)
			queue = &v1alpha1.QueueStatus{Observed: &observed}
		}
		queue.Messages += report.Queue.Messages
		if oldest := report.Queue.Oldest; !oldest.IsZero() && (queue.Oldest == nil || oldest.Before(queue.Oldest.Time)) {
			// Status keeps whole seconds; a finer one would differ from itself read back.
			at := metav1.NewTime(oldest.Truncate(time.Second))
			queue.Oldest = &at
		}
	}
	return queue
}

// shownQueue is what status shows: the old numbers while they are right or less than a minute
// old, so that a busy relay does not write all the time and an idle one never.
func shownQueue(shown, fresh *v1alpha1.QueueStatus) *v1alpha1.QueueStatus {
	if shown == nil || shown.Observed == nil {
		return fresh
	}
	same := shown.Messages == fresh.Messages && shown.Oldest.Equal(fresh.Oldest)
	if same || fresh.Observed.Sub(shown.Observed.Time) < queueInterval {
		return shown
	}
	return fresh
}
