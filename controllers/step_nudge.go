package controllers

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/mailrelay-dev/mailrelay-operator/controllers/resources"
)

const (
	// firstLook is how soon after a change a pod is asked whether it has loaded it.
	firstLook = 200 * time.Millisecond
	// lastLook and lastNudge bound the back-off of a pod that does not load a change.
	lastLook  = 5 * time.Second
	lastNudge = time.Minute
)

// nudge is how a pod was last told of a change.
type nudge struct {
	// wanted is the content that it was told of.
	wanted string
	// first and last are when; count is how often.
	first, last time.Time
	count       int
}

// nudgePods makes the kubelet refresh the volumes of the pods that have not loaded what their
// Secrets hold: it does so when it sees a change of the pod, and otherwise only every minute
// or so. A nudge can come too early, since the kubelet learns of pods and Secrets on separate
// watches, so it is repeated with a growing pause.
func (r *MailRelayReconciler) nudgePods(ctx context.Context, s *scope) error {
	wanted := combine(s.hashes)
	living := map[types.UID]bool{}
	var failures []error
	for i := range s.pods {
		pod, fact := &s.pods[i], &s.facts.Pods[i]
		living[pod.UID] = true
		if !running(pod) || !needsNudge(pod, len(fact.Outdated) > 0, wanted, !s.failed) {
			delete(s.memory.nudges, pod.UID)
			continue
		}
		due, look := nextNudge(s.memory.nudges[pod.UID], wanted, s.facts.Now)
		s.again(look)
		if !due {
			continue
		}
		n := s.memory.nudges[pod.UID].next(wanted, s.facts.Now)
		s.memory.nudges[pod.UID] = n
		failures = append(failures, r.annotate(ctx, pod, fmt.Sprintf("%s-%d", wanted, n.count)))
	}
	maps.DeleteFunc(s.memory.nudges, func(uid types.UID, _ nudge) bool { return !living[uid] })
	return errors.Join(failures...)
}

// needsNudge: one that is behind, again and again; any other that was told of older content,
// once. That one may not answer, since the CA that it knows the operator by is what it has
// not loaded, or may lack something that it cannot report. What is older cannot be told while
// not all of the wanted content is known.
func needsNudge(pod *corev1.Pod, behind bool, wanted string, known bool) bool {
	told, _, _ := strings.Cut(pod.Annotations[resources.NudgeAnnotation], "-")
	return behind || known && told != "" && told != wanted
}

// nextNudge tells whether a nudge is due and when to look next. Both pauses are half of the
// time since the first nudge, within bounds: quick at first, seldom in the end.
func nextNudge(last nudge, wanted string, now time.Time) (due bool, look time.Duration) {
	if last.wanted != wanted {
		return true, firstLook
	}
	half := now.Sub(last.first) / 2
	return now.Sub(last.last) >= min(max(half, 2*firstLook), lastNudge), min(max(half, firstLook), lastLook)
}

func (n nudge) next(wanted string, now time.Time) nudge {
	if n.wanted != wanted {
		return nudge{wanted: wanted, first: now, last: now, count: 1}
	}
	n.last = now
	n.count++
	return n
}

// annotate writes through the status subresource: the permission for it cannot be used to
// change what the pod runs.
func (r *MailRelayReconciler) annotate(ctx context.Context, pod *corev1.Pod, value string) error {
	patch, err := json.Marshal(map[string]any{
		"metadata": map[string]any{
			"uid":         pod.UID,
			"annotations": map[string]string{resources.NudgeAnnotation: value},
		},
	})
	if err != nil {
		return fmt.Errorf("annotate pod %s: %w", pod.Name, err)
	}
	err = r.Client.Status().Patch(ctx, pod.DeepCopy(), client.RawPatch(types.MergePatchType, patch))
	if client.IgnoreNotFound(err) != nil {
		return fmt.Errorf("annotate pod %s: %w", pod.Name, err)
	}
	return nil
}

// combine makes one short hash of the hashes of all directories.
func combine(hashes map[string]string) string {
	h := sha256.New()
	for _, directory := range slices.Sorted(maps.Keys(hashes)) {
		fmt.Fprintf(h, "%s %s\n", directory, hashes[directory])
	}
	return hex.EncodeToString(h.Sum(nil))[:16]
}
