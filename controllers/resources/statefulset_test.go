package resources

import (
	"slices"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/mailrelay-dev/mailrelay-operator/api/v1alpha1"
)

func testRelay() *v1alpha1.MailRelay {
	return &v1alpha1.MailRelay{
		ObjectMeta: metav1.ObjectMeta{Namespace: "mail", Name: "relay"},
		Spec: v1alpha1.MailRelaySpec{
			Upstreams: []v1alpha1.Upstream{{Name: "provider", Host: "smtp.example.net", Port: 587, TLS: "StartTLS",
				Auth: &v1alpha1.UpstreamAuth{SecretRef: &v1alpha1.LocalSecretReference{Name: "provider"}}}},
		},
	}
}

// render turns an apply configuration into the typed object it describes.
func render[T any](t *testing.T, configuration any) *T {
	t.Helper()
	content, err := runtime.DefaultUnstructuredConverter.ToUnstructured(configuration)
	if err != nil {
		t.Fatal(err)
	}
	object := new(T)
	if err := runtime.DefaultUnstructuredConverter.FromUnstructuredWithValidation(content, object, true); err != nil {
		t.Fatal(err)
	}
	return object
}

func testSet(t *testing.T, relay *v1alpha1.MailRelay) *appsv1.StatefulSet {
	t.Helper()
	return render[appsv1.StatefulSet](t, StatefulSet(relay, Workload{
		Image: "relay:1", Replicas: 3, StartHash: "abc", QueueSize: resource.MustParse("5Gi"),
	}))
}

func TestPodsMeetTheRestrictedStandard(t *testing.T) {
	t.Parallel()
	pod := testSet(t, testRelay()).Spec.Template.Spec
	p, c := pod.SecurityContext, pod.Containers[0].SecurityContext
	if !*p.RunAsNonRoot || *p.RunAsUser == 0 || p.SeccompProfile.Type != corev1.SeccompProfileTypeRuntimeDefault {
		t.Errorf("pod security context = %+v", p)
	}
	if *c.AllowPrivilegeEscalation || !*c.ReadOnlyRootFilesystem || !slices.Equal(c.Capabilities.Drop, []corev1.Capability{"ALL"}) {
		t.Errorf("container security context = %+v", c)
	}
	if len(p.Sysctls) != 1 || p.Sysctls[0].Name != "net.ipv4.ip_unprivileged_port_start" || p.Sysctls[0].Value != "0" {
		t.Errorf("sysctls = %v", p.Sysctls)
	}
	if *pod.AutomountServiceAccountToken {
		t.Error("the pods get a token")
	}
	for _, v := range pod.Volumes {
		if v.Secret == nil {
			t.Errorf("volume %s is not a Secret", v.Name)
		}
	}
}

func TestStatefulSetKeepsItsVolumes(t *testing.T) {
	t.Parallel()
	relay := testRelay()
	class := "fast"
	relay.Spec.Queue.StorageClassName = &class
	set := testSet(t, relay)
	policy := set.Spec.PersistentVolumeClaimRetentionPolicy
	if policy.WhenDeleted != appsv1.RetainPersistentVolumeClaimRetentionPolicyType || policy.WhenScaled != appsv1.RetainPersistentVolumeClaimRetentionPolicyType {
		t.Errorf("retention = %+v", policy)
	}
	claim := set.Spec.VolumeClaimTemplates[0]
	if size := claim.Spec.Resources.Requests[corev1.ResourceStorage]; size.String() != "5Gi" || *claim.Spec.StorageClassName != class {
		t.Errorf("claim = %+v", claim.Spec)
	}
	if set.Spec.PodManagementPolicy != appsv1.ParallelPodManagement || *set.Spec.Replicas != 3 {
		t.Errorf("policy %s, replicas %d", set.Spec.PodManagementPolicy, *set.Spec.Replicas)
	}
}

func TestMountsAreTheFixedSet(t *testing.T) {
	t.Parallel()
	relay := testRelay()
	pod := testSet(t, relay).Spec.Template.Spec
	volumes := map[string]corev1.Volume{}
	for _, v := range pod.Volumes {
		volumes[v.Name] = v
	}
	directories := MountedSecrets(relay)
	seen := 0
	for _, m := range pod.Containers[0].VolumeMounts {
		if m.SubPath != "" {
			t.Errorf("%s is a subPath, which is never refreshed", m.MountPath)
		}
		if m.Name == SpoolVolume {
			continue
		}
		seen++
		secret := volumes[m.Name].Secret
		if secret == nil || directories[secret.SecretName] != m.MountPath || !m.ReadOnly {
			t.Errorf("mount %+v does not fit its volume", m)
			continue
		}
		optional := secret.Optional != nil && *secret.Optional
		if want := strings.Contains(m.MountPath, "users") || m.MountPath == ExternalDir; optional != want {
			t.Errorf("%s is optional: %v, want %v", secret.SecretName, optional, want)
		}
	}
	if want := 4 + UserShards; seen != want || len(directories) != want {
		t.Errorf("%d mounts of %d Secrets, want %d", seen, len(directories), want)
	}
}

func TestPodsServeUntilEndpointsHaveFollowed(t *testing.T) {
	t.Parallel()
	pod := testSet(t, testRelay()).Spec.Template.Spec
	lifecycle := pod.Containers[0].Lifecycle
	if lifecycle == nil || lifecycle.PreStop == nil || lifecycle.PreStop.Sleep == nil {
		t.Fatalf("the listeners close at once: lifecycle = %+v", lifecycle)
	}
	pause := lifecycle.PreStop.Sleep.Seconds
	if pause < 3 || pause > 10 {
		t.Errorf("the pause is %d s: endpoints take a few seconds, and every restart takes the pause", pause)
	}
	// A relay takes less to stop, as relay.Serve promises.
	const stop = 30
	if left := *pod.TerminationGracePeriodSeconds - pause; left < stop {
		t.Errorf("the relay has %d s to stop after the pause, want %d", left, stop)
	}
}

func TestSchedulingReachesThePods(t *testing.T) {
	t.Parallel()
	relay := testRelay()
	seconds := int64(30)
	relay.Spec.Scheduling = v1alpha1.Scheduling{
		NodeSelector: map[string]string{"disk": "ssd"}, PriorityClassName: "high",
		Tolerations: []corev1.Toleration{{Key: "a", Operator: "Equal", Value: "b", Effect: "NoExecute", TolerationSeconds: &seconds}},
	}
	relay.Spec.Resources = corev1.ResourceRequirements{
		Limits: corev1.ResourceList{"memory": resource.MustParse("1Gi")}, Requests: corev1.ResourceList{"cpu": resource.MustParse("0.1")},
	}
	pod := testSet(t, relay).Spec.Template.Spec
	if pod.NodeSelector["disk"] != "ssd" || pod.PriorityClassName != "high" || len(pod.Tolerations) != 1 || *pod.Tolerations[0].TolerationSeconds != 30 {
		t.Errorf("pod = %+v", pod)
	}
	r := pod.Containers[0].Resources
	if r.Limits.Memory().String() != "1Gi" || r.Requests.Cpu().String() != "100m" {
		t.Errorf("resources = %+v", r)
	}
	if len(pod.TopologySpreadConstraints) != 2 || pod.TopologySpreadConstraints[0].WhenUnsatisfiable != corev1.ScheduleAnyway {
		t.Errorf("spread = %+v", pod.TopologySpreadConstraints)
	}
}
