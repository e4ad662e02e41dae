package controllers

import (
	"context"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/mailrelay-dev/mailrelay-operator/controllers/resources"
)

// applyWorkload runs the pods. The StatefulSet is first made when the pods have all that they
// must mount: a pod that waits for a Secret is tried again by the kubelet only every two
// minutes.
func (r *MailRelayReconciler) applyWorkload(ctx context.Context, s *scope) error {
	existing := &appsv1.StatefulSet{ObjectMeta: named(s.relay, s.relay.Name)}
	err := r.Client.Get(ctx, client.ObjectKeyFromObject(existing), existing)
	if client.IgnoreNotFound(err) != nil {
		return err
	}
	ours := err == nil && metav1.IsControlledBy(existing, s.relay)
	if !ours && !canMount(s) {
		return nil
	}
	workload := resources.Workload{
		Image:     r.Settings.RelayImage,
		StartHash: resources.StartHash(resources.RelayConfig(s.relay, r.Settings.ClusterDomain)),
		Replicas:  max(resources.Replicas(s.relay), s.minReplicas),
		QueueSize: resources.QueueSize(s.relay),
	}
	if ours {
		keepWhatCannotChange(s, existing, &workload)
	}
	live, err := r.applier().Apply(ctx, s.relay, resources.StatefulSet(s.relay, workload))
	if err != nil {
		return err
	}
	s.facts.WorkloadExists = true
	s.facts.Replicas = workload.Replicas
	s.relay.Status.Replicas = live.(*appsv1.StatefulSet).Status.Replicas
	s.relay.Status.Selector = labels.SelectorFromSet(resources.PodSelector(s.relay)).String()
	return nil
}

// canMount reports whether the Secrets that a pod cannot start without are there.
func canMount(s *scope) bool {
	_, config := s.hashes[resources.ConfigDir]
	_, upstreams := s.hashes[resources.UpstreamsDir]
	return config && upstreams && s.facts.CertificateLoaded
}

// keepWhatCannotChange: fewer pods would leave queued mail behind on their volumes, and the
// volumes of a StatefulSet keep their size.
func keepWhatCannotChange(s *scope, existing *appsv1.StatefulSet, workload *resources.Workload) {
	if existing.Spec.Replicas != nil {
		workload.Replicas = max(workload.Replicas, *existing.Spec.Replicas)
	}
	if size, ok := spoolSize(existing); ok && size.Cmp(workload.QueueSize) != 0 {
		workload.QueueSize = size
		s.facts.QueueSize = size.String()
	}
}

func spoolSize(set *appsv1.StatefulSet) (resource.Quantity, bool) {
	for i := range set.Spec.VolumeClaimTemplates {
		if claim := &set.Spec.VolumeClaimTemplates[i]; claim.Name == resources.SpoolVolume {
			size, ok := claim.Spec.Resources.Requests[corev1.ResourceStorage]
			return size, ok
		}
	}
	return resource.Quantity{}, false
}
