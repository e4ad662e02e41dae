package readiness

import (
	"fmt"
	"slices"
	"strings"

	"github.com/mailrelay-dev/mailrelay-operator/api/v1alpha1"
	"github.com/mailrelay-dev/mailrelay-operator/controllers/resources"
)

// workloadAvailable is true when enough pods are ready and could use their configuration.
var workloadAvailable = condition[*Facts]{
	name: v1alpha1.ConditionWorkloadAvailable,
	predicates: []predicate[*Facts]{
		podsAreNotWithheld,      // A relay that is paused at once gets none
		policyIsInPlace,         // Pods that start without would be open to everyone
		podsAreAccepted,         // It is no use to wait for them
		workloadExists,          // They are made once there is a certificate to mount
		someReplicaIsWanted,     // Zero pods take no mail
		podsFindANode,           // The scheduler's word is the most useful one
		containersStart,         // then the kubelet's
		enoughPodsAreReady,      // One may be away, as the disruption budget allows
		configurationIsAccepted, // A pod that refuses the newest content runs on old content
	},
	holds: func(f *Facts) finding {
		return finding{reason: "PodsReady", message: fmt.Sprintf("%d of %d pods are ready", readyPods(f), f.Replicas)}
	},
}

func podsAreNotWithheld(f *Facts) *finding {
	if f.WorkloadExists {
		return nil
	}
	return isNotPaused(f)
}

func policyIsInPlace(f *Facts) *finding {
	if f.WorkloadExists || f.PolicyApplied || !resources.NetworkPolicyEnabled(f.Relay) {
		return nil
	}
	return &finding{reason: "WaitingForPolicy", message: "the pods are made once the NetworkPolicy is in place: see the conditions Stalled and NetworkRestricted"}
}

func podsAreAccepted(f *Facts) *finding {
	if f.WorkloadExists || !slices.ContainsFunc(f.Refused, func(r Refusal) bool { return r.Kind == "StatefulSet" }) {
		return nil
	}
	return childrenAreAccepted(f)
}

func workloadExists(f *Facts) *finding {
	if f.WorkloadExists {
		return nil
	}
	return &finding{reason: "WaitingForCertificate", message: "the pods are made once the certificate is issued: see the condition CertificateReady"}
}

func someReplicaIsWanted(f *Facts) *finding {
	if f.Replicas > 0 {
		return nil
	}
	return &finding{reason: "NoReplicas", message: "spec.replicas is 0, so no pod takes mail: set it to 1 or more"}
}

func podsFindANode(f *Facts) *finding {
	for _, p := range f.Pods {
		if p.Unschedulable != "" {
			return &finding{reason: "PodsUnschedulable", message: fmt.Sprintf(
				"no node takes pod %s: %s. Add a node or volume that fits, or change spec.scheduling, spec.resources or spec.queue.storageClassName", p.Name, p.Unschedulable)}
		}
	}
	return nil
}

func containersStart(f *Facts) *finding {
	for _, p := range f.Pods {
		if p.Waiting != "" {
			return &finding{reason: "ContainerNotStarting", message: fmt.Sprintf(
				"the relay does not start in pod %s: %s; see \"kubectl describe pod %s\" and \"kubectl logs %s\"", p.Name, p.Waiting, p.Name, p.Name)}
		}
	}
	return nil
}

func enoughPodsAreReady(f *Facts) *finding {
	if int32(readyPods(f)) >= max(1, f.Replicas-1) {
		return nil
	}
	return &finding{reason: "PodsNotReady", message: fmt.Sprintf("%d of %d pods are ready; if this lasts, see \"kubectl describe pod\"", readyPods(f), f.Replicas)}
}

// configurationIsAccepted passes over what a pod lacks because an upstream's Secret lacks it:
// the condition UpstreamReady says that better.
func configurationIsAccepted(f *Facts) *finding {
	if len(f.Upstreams) > 0 {
		return nil
	}
	for _, p := range f.Pods {
		if p.Report != nil && len(p.Report.Errors) > 0 {
			return &finding{reason: "ConfigurationRefused", message: fmt.Sprintf(
				"pod %s runs on its last good configuration: %s", p.Name, strings.Join(p.Report.Errors, "; "))}
		}
	}
	return nil
}

func allPodsAreReady(f *Facts) *finding {
	if f.WorkloadExists && readyPods(f) >= int(f.Replicas) {
		return nil
	}
	return &finding{reason: "PodsStarting", message: fmt.Sprintf("%d of %d pods are ready", readyPods(f), f.Replicas)}
}

func allPodsLoadedWhatIsThere(f *Facts) *finding {
	for _, p := range f.Pods {
		if p.Ready && len(p.Outdated) > 0 {
			return &finding{reason: "ConfigurationLoading", message: fmt.Sprintf(
				"pod %s has not loaded the newest content of %s yet", p.Name, strings.Join(p.Outdated, ", "))}
		}
	}
	return nil
}

func readyPods(f *Facts) int {
	n := 0
	for _, p := range f.Pods {
		if p.Ready {
			n++
		}
	}
	return n
}
