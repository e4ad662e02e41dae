package resources

import (
	"path"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	corev1ac "k8s.io/client-go/applyconfigurations/core/v1"
	metav1ac "k8s.io/client-go/applyconfigurations/meta/v1"

	"github.com/mailrelay-dev/mailrelay-operator/api/v1alpha1"
)

// relayID is the user and group that the relay runs as and its volume belongs to.
const relayID = 65532

// RelayContainer is the name of the relay's container.
const RelayContainer = "relay"

const (
	// Nodes and load balancers learn only after a while that a pod is going, and send it new
	// clients until then. So the relay goes on as if nothing were, for this long, and only
	// then is told to stop. It stays ready in this time: where no other pod is, a Service
	// still leads to one that is going and ready.
	endpointsFollowSeconds = 5
	// A relay that is told to stop finishes the transactions and deliveries it is in, which
	// it ends itself before half a minute is over; what is queued stays on its volume. The
	// pause is a part of the grace period.
	terminationGraceSeconds = 60
)

// podSpec meets the Pod Security Standard "restricted".
func podSpec(relay *v1alpha1.MailRelay, image string) *corev1ac.PodSpecApplyConfiguration {
	spec := corev1ac.PodSpec().
		WithServiceAccountName(relay.Name).
		WithAutomountServiceAccountToken(false).
		WithEnableServiceLinks(false).
		WithTerminationGracePeriodSeconds(terminationGraceSeconds).
		WithSecurityContext(podSecurity()).
		WithContainers(container(relay, image)).
		WithVolumes(volumes(relay)...).
		WithTopologySpreadConstraints(spread(relay, corev1.LabelHostname), spread(relay, corev1.LabelTopologyZone)).
		WithNodeSelector(relay.Spec.Scheduling.NodeSelector)
	for i := range relay.Spec.Scheduling.Tolerations {
		spec.WithTolerations(toleration(&relay.Spec.Scheduling.Tolerations[i]))
	}
	if class := relay.Spec.Scheduling.PriorityClassName; class != "" {
		spec.WithPriorityClassName(class)
	}
	return spec
}

func podSecurity() *corev1ac.PodSecurityContextApplyConfiguration {
	return corev1ac.PodSecurityContext().
		WithRunAsNonRoot(true).
		WithRunAsUser(relayID).
		WithRunAsGroup(relayID).
		WithFSGroup(relayID).
		WithFSGroupChangePolicy(corev1.FSGroupChangeOnRootMismatch).
		WithSeccompProfile(corev1ac.SeccompProfile().WithType(corev1.SeccompProfileTypeRuntimeDefault)).
		// Ports under 1024 without root; one of the sysctls that "restricted" allows.
		WithSysctls(corev1ac.Sysctl().WithName("net.ipv4.ip_unprivileged_port_start").WithValue("0"))
}

func container(relay *v1alpha1.MailRelay, image string) *corev1ac.ContainerApplyConfiguration {
	return corev1ac.Container().
		WithName(RelayContainer).
		WithImage(image).
		WithArgs("serve", "--config", path.Join(ConfigDir, ConfigKey)).
		WithPorts(
			containerPort("submissions", SubmissionsPort),
			containerPort("submission", SubmissionPort),
			containerPort("probes", ProbesPort),
			containerPort("status", StatusPort),
			containerPort("metrics", MetricsPort)).
		WithSecurityContext(corev1ac.SecurityContext().
			WithAllowPrivilegeEscalation(false).
			WithReadOnlyRootFilesystem(true).
			WithCapabilities(corev1ac.Capabilities().WithDrop("ALL"))).
		WithResources(corev1ac.ResourceRequirements().
			WithLimits(relay.Spec.Resources.Limits).
			WithRequests(relay.Spec.Resources.Requests)).
		WithStartupProbe(probe("/livez", 1).WithFailureThreshold(300)).
		WithLivenessProbe(probe("/livez", 10).WithFailureThreshold(3)).
		WithReadinessProbe(probe("/readyz", 2).WithFailureThreshold(2)).
		WithLifecycle(corev1ac.Lifecycle().WithPreStop(corev1ac.LifecycleHandler().
			// The kubelet's own sleep: the image has no program for one.
			WithSleep(corev1ac.SleepAction().WithSeconds(endpointsFollowSeconds)))).
		WithVolumeMounts(mounts()...)
}

func containerPort(name string, port int32) *corev1ac.ContainerPortApplyConfiguration {
	return corev1ac.ContainerPort().WithName(name).WithContainerPort(port).WithProtocol(corev1.ProtocolTCP)
}

func probe(path string, periodSeconds int32) *corev1ac.ProbeApplyConfiguration {
	return corev1ac.Probe().
		WithHTTPGet(corev1ac.HTTPGetAction().WithPath(path).WithPort(intstr.FromString("probes"))).
		WithPeriodSeconds(periodSeconds).
		WithTimeoutSeconds(5)
}

// spread asks for pods on different nodes and zones, and accepts less.
func spread(relay *v1alpha1.MailRelay, topologyKey string) *corev1ac.TopologySpreadConstraintApplyConfiguration {
	return corev1ac.TopologySpreadConstraint().
		WithMaxSkew(1).
		WithTopologyKey(topologyKey).
		WithWhenUnsatisfiable(corev1.ScheduleAnyway).
		WithLabelSelector(metav1ac.LabelSelector().WithMatchLabels(PodSelector(relay)))
}

func toleration(t *corev1.Toleration) *corev1ac.TolerationApplyConfiguration {
	out := corev1ac.Toleration()
	if t.Key != "" {
		out.WithKey(t.Key)
	}
	if t.Operator != "" {
		out.WithOperator(t.Operator)
	}
	if t.Value != "" {
		out.WithValue(t.Value)
	}
	if t.Effect != "" {
		out.WithEffect(t.Effect)
	}
	if t.TolerationSeconds != nil {
		out.WithTolerationSeconds(*t.TolerationSeconds)
	}
	return out
}
