package controllers

import (
	"context"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"

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
	if !ours && !mayStart(s) {
		return nil
	}
	claims, err := r.claims(ctx, s)
	if err != nil {
		return err
	}
	workload := resources.Workload{
		Image:     r.Settings.RelayImage,
		StartHash: resources.StartHash(resources.RelayConfig(s.relay, r.Settings.ClusterDomain)),
		Replicas:  max(resources.Replicas(s.relay), replicasFor(s, claims)),
		QueueSize: resources.QueueSize(s.relay),
	}
	if ours {
		keepWhatCannotChange(s, existing, claims, &workload)
		noteWorkload(s, existing, workload.Replicas)
	}
	live, err := r.applier().Apply(ctx, s.relay, resources.StatefulSet(s.relay, workload))
	if err != nil {
		return err
	}
	noteWorkload(s, live.(*appsv1.StatefulSet), workload.Replicas)
	return nil
}

func noteWorkload(s *scope, live *appsv1.StatefulSet, replicas int32) {
	s.facts.WorkloadExists = true
	s.facts.Replicas = replicas
	s.relay.Status.Replicas = live.Status.Replicas
	s.relay.Status.Selector = labels.SelectorFromSet(resources.PodSelector(s.relay)).String()
}

// mayStart reports whether the pods can mount what they need, are not open to everyone when
// they start, and cannot be deleted with mail. Those that run already are left to run.
func mayStart(s *scope) bool {
	_, config := s.hashes[resources.ConfigDir]
	_, upstreams := s.hashes[resources.UpstreamsDir]
	guarded := s.facts.PolicyApplied || !resources.NetworkPolicyEnabled(s.relay)
	held := controllerutil.ContainsFinalizer(s.relay, QueueFinalizer)
	return config && upstreams && s.facts.CertificateLoaded && guarded && held
}

// keepWhatCannotChange: fewer pods would leave queued mail behind on their volumes, and the
// claim template of a StatefulSet cannot change. Volumes that someone enlarged are as good.
func keepWhatCannotChange(s *scope, existing *appsv1.StatefulSet, claims []corev1.PersistentVolumeClaim, workload *resources.Workload) {
	if existing.Spec.Replicas != nil {
		workload.Replicas = max(workload.Replicas, *existing.Spec.Replicas)
	}
	wanted := workload.QueueSize
	size, ok := spoolSize(existing)
	if !ok || size.Cmp(wanted) == 0 {
		return
	}
	workload.QueueSize = size
	if smallest := smallestClaim(claims); len(claims) >= int(workload.Replicas) && smallest.Cmp(wanted) >= 0 {
		return
	}
	s.facts.QueueSize = size.String()
}

// smallestClaim is the size of the smallest volume: what it has, or what is asked for while
// that is not known.
func smallestClaim(claims []corev1.PersistentVolumeClaim) resource.Quantity {
	var smallest resource.Quantity
	for i := range claims {
		size, ok := claims[i].Status.Capacity[corev1.ResourceStorage]
		if !ok {
			size = claims[i].Spec.Resources.Requests[corev1.ResourceStorage]
		}
		if i == 0 || size.Cmp(smallest) < 0 {
			smallest = size
		}
	}
	return smallest
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
