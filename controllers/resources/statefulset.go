package resources

import (
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	appsv1ac "k8s.io/client-go/applyconfigurations/apps/v1"
	corev1ac "k8s.io/client-go/applyconfigurations/core/v1"
	metav1ac "k8s.io/client-go/applyconfigurations/meta/v1"

	"github.com/mailrelay-dev/mailrelay-operator/api/v1alpha1"
)

// SpoolVolume is the name of the volume claim template; a pod's claim is called
// "<SpoolVolume>-<pod>".
const SpoolVolume = "spool"

// Workload is what a StatefulSet depends on besides its MailRelay.
type Workload struct {
	// Image of the relay.
	Image string
	// Replicas is the number of pods to run, which is more than spec asks for while a
	// scale-down is refused.
	Replicas int32
	// StartHash is the StartHash of the configuration.
	StartHash string
	// QueueSize of each pod's volume; that of the existing StatefulSet, which cannot change.
	QueueSize resource.Quantity
}

// StatefulSet runs the relay pods. Nothing in it depends on upstreams, keys, users or
// certificates: those reach the pods through a fixed set of mounted Secrets, and pods never
// restart for them.
func StatefulSet(relay *v1alpha1.MailRelay, workload Workload) *appsv1ac.StatefulSetApplyConfiguration {
	return appsv1ac.StatefulSet(relay.Name, relay.Namespace).
		WithLabels(Labels(relay)).
		WithSpec(appsv1ac.StatefulSetSpec().
			WithReplicas(workload.Replicas).
			WithServiceName(PodsServiceName(relay)).
			WithPodManagementPolicy(appsv1.ParallelPodManagement).
			WithSelector(metav1ac.LabelSelector().WithMatchLabels(PodSelector(relay))).
			// Volumes may hold accepted mail: only the operator deletes one, when it is empty.
			WithPersistentVolumeClaimRetentionPolicy(appsv1ac.StatefulSetPersistentVolumeClaimRetentionPolicy().
				WithWhenDeleted(appsv1.RetainPersistentVolumeClaimRetentionPolicyType).
				WithWhenScaled(appsv1.RetainPersistentVolumeClaimRetentionPolicyType)).
			WithTemplate(corev1ac.PodTemplateSpec().
				WithLabels(Labels(relay)).
				WithAnnotations(map[string]string{startAnnotation: workload.StartHash}).
				WithSpec(podSpec(relay, workload.Image))).
			WithVolumeClaimTemplates(spoolClaim(relay, workload.QueueSize)))
}

func spoolClaim(relay *v1alpha1.MailRelay, size resource.Quantity) *corev1ac.PersistentVolumeClaimApplyConfiguration {
	spec := corev1ac.PersistentVolumeClaimSpec().
		WithAccessModes(corev1.ReadWriteOnce).
		WithResources(corev1ac.VolumeResourceRequirements().
			WithRequests(corev1.ResourceList{corev1.ResourceStorage: size}))
	if class := relay.Spec.Queue.StorageClassName; class != nil {
		spec.WithStorageClassName(*class)
	}
	claim := corev1ac.PersistentVolumeClaim(SpoolVolume, "").WithLabels(PodSelector(relay)).WithSpec(spec)
	// A template has neither namespace nor kind.
	claim.Namespace, claim.Kind, claim.APIVersion = nil, nil, nil
	return claim
}
