package controllers

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"net"
	"slices"
	"strconv"
	"sync"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/mailrelay-dev/mailrelay-operator/controllers/poll"
	"github.com/mailrelay-dev/mailrelay-operator/controllers/readiness"
	"github.com/mailrelay-dev/mailrelay-operator/controllers/resources"
	"github.com/mailrelay-dev/mailrelay-operator/relay/config"
)

// observePods reads the pods and asks each for its state.
func (r *MailRelayReconciler) observePods(ctx context.Context, s *scope) error {
	list := &corev1.PodList{}
	if err := r.Client.List(ctx, list, client.InNamespace(s.relay.Namespace),
		client.MatchingLabels(resources.PodSelector(s.relay))); err != nil {
		return fmt.Errorf("list pods: %w", err)
	}
	s.pods = slices.DeleteFunc(list.Items, func(pod corev1.Pod) bool { return !ofWorkload(s, &pod) })
	slices.SortFunc(s.pods, func(a, b corev1.Pod) int { return cmp.Compare(a.Name, b.Name) })
	reports := r.ask(ctx, s)
	s.facts.Pods = make([]readiness.Pod, len(s.pods))
	for i := range s.pods {
		s.facts.Pods[i] = podFact(&s.pods[i], reports[i])
		s.facts.Pods[i].Starting = !s.facts.Pods[i].Ready && mayBeReadySoon(&s.pods[i], s.facts.Now)
		s.facts.Pods[i].Outdated = outdated(reports[i], s.loadable())
	}
	s.podsKnown = true
	setReports(s)
	r.askForKeys(s)
	return nil
}

// ofWorkload reports whether a pod is one of the relay's own: labels anyone can write, and a
// stranger's pod would keep users from being ready.
func ofWorkload(s *scope, pod *corev1.Pod) bool {
	owner := metav1.GetControllerOf(pod)
	return owner != nil && owner.Kind == "StatefulSet" && owner.Name == s.relay.Name
}

// ask polls all pods that can answer, at the same time: one that does not answer must not
// keep the others waiting. Without the CAs that they are known by none can.
func (r *MailRelayReconciler) ask(ctx context.Context, s *scope) []*config.Report {
	reports := make([]*config.Report, len(s.pods))
	ca := s.clientCAs()
	if !s.trustKnown || len(ca) == 0 {
		return reports
	}
	var wait sync.WaitGroup
	for i := range s.pods {
		pod := &s.pods[i]
		if !running(pod) {
			continue
		}
		wait.Go(func() {
			report, err := r.Poller.Poll(ctx, poll.Target{
				Address:    net.JoinHostPort(pod.Status.PodIP, strconv.Itoa(int(resources.StatusPort))),
				ServerName: resources.Host(s.relay),
				CA:         ca,
			})
			if err != nil {
				log.FromContext(ctx).V(1).Info("a relay pod does not tell its state", "pod", pod.Name, "cause", err.Error())
			}
			reports[i] = report
		})
	}
	wait.Wait()
	return reports
}

// running reports whether the relay's process runs in the pod.
func running(pod *corev1.Pod) bool {
	if pod.Status.PodIP == "" {
		return false
	}
	for i := range pod.Status.ContainerStatuses {
		status := &pod.Status.ContainerStatuses[i]
		if status.Name == resources.RelayContainer && status.State.Running != nil {
			return true
		}
	}
	return false
}

// podFact reads what scheduler and kubelet say of a pod.
func podFact(pod *corev1.Pod, report *config.Report) readiness.Pod {
	fact := readiness.Pod{Name: pod.Name, Report: report}
	for i := range pod.Status.Conditions {
		switch c := &pod.Status.Conditions[i]; {
		case c.Type == corev1.PodReady:
			fact.Ready = c.Status == corev1.ConditionTrue && pod.DeletionTimestamp.IsZero()
		case c.Type == corev1.PodScheduled && c.Reason == corev1.PodReasonUnschedulable:
			fact.Unschedulable = c.Message
		}
	}
	for i := range pod.Status.ContainerStatuses {
		waiting := pod.Status.ContainerStatuses[i].State.Waiting
		// The first start takes this reason, and there is nothing wrong with it.
		if waiting != nil && waiting.Reason != "ContainerCreating" && waiting.Reason != "PodInitializing" {
			fact.Waiting = waiting.Reason
			if waiting.Message != "" {
				fact.Waiting += ": " + waiting.Message
			}
		}
	}
	return fact
}

// loadable are the hashes that pods can come to report: not that of the upstreams while one of
// them lacks something, as a relay does not call such content loaded.
func (s *scope) loadable() map[string]string {
	if len(s.facts.Upstreams) == 0 {
		return s.hashes
	}
	loadable := maps.Clone(s.hashes)
	delete(loadable, resources.UpstreamsDir)
	return loadable
}

// outdated are the directories of which a pod has not loaded the newest content, sorted.
func outdated(report *config.Report, hashes map[string]string) []string {
	if report == nil {
		return nil
	}
	var directories []string
	for directory, hash := range hashes {
		if report.Loaded[directory] != hash {
			directories = append(directories, directory)
		}
	}
	slices.Sort(directories)
	return directories
}
