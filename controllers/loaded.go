package controllers

import (
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/mailrelay-dev/mailrelay-operator/controllers/readiness"
	"github.com/mailrelay-dev/mailrelay-operator/controllers/resources"
	"github.com/mailrelay-dev/mailrelay-operator/controllers/users"
)

// patience is how long a pod that is not ready is waited for: the kubelet of one that lives has
// by then refreshed its volumes by itself.
const patience = 2 * time.Minute

// mayBeReadySoon reports whether a pod that is not ready has not been so for long. One that has
// may never be, and must not keep all rotations from going on.
func mayBeReadySoon(pod *corev1.Pod, now time.Time) bool {
	if phase := pod.Status.Phase; phase == corev1.PodSucceeded || phase == corev1.PodFailed || !pod.DeletionTimestamp.IsZero() {
		return false
	}
	since := pod.CreationTimestamp.Time
	for i := range pod.Status.Conditions {
		if c := &pod.Status.Conditions[i]; c.Type == corev1.PodReady {
			since = c.LastTransitionTime.Time
		}
	}
	return now.Sub(since) < patience
}

// loadedUsers are the users whose shard every ready pod has loaded as it now is. One whom all
// had loaded stays so while neither its credentials nor its spec change: a pod that starts, and
// another user in the shard, make no difference to it. What apps must not be given before all
// pods know it waits for the pods that start as well: one of them may turn ready with what it
// found when it started.
func loadedUsers(s *scope) map[types.NamespacedName]loadedUser {
	var current, everywhere [resources.UserShards]bool
	for number := range current {
		current[number] = directoryLoaded(s, resources.UsersDir(number), ready)
		everywhere[number] = current[number] && directoryLoaded(s, resources.UsersDir(number), readyOrStarting)
	}
	configured := directoryLoaded(s, resources.ConfigDir, ready)
	configuredEverywhere := configured && directoryLoaded(s, resources.ConfigDir, readyOrStarting)
	loaded := make(map[types.NamespacedName]loadedUser, len(s.users))
	for i := range s.users {
		user := &s.users[i]
		number := users.Shard(user.user.Name)
		if slices.Contains(s.memory.shards[number].leftOut, user.user.Name) {
			continue
		}
		key := client.ObjectKeyFromObject(user.object)
		now := loadedUser{secret: user.secret, generation: user.object.Generation}
		was, known := s.memory.posting.loaded[key]
		if everywhere[number] && s.configuredFor(user, configuredEverywhere) {
			now.prepared, now.certificates = user.prepared, user.user.Certificates
		} else {
			now.prepared, now.certificates = was.prepared, was.certificates
		}
		switch {
		case current[number] && s.configuredFor(user, configured):
			loaded[key] = now
		case known && was.secret == now.secret && was.generation == now.generation:
			loaded[key] = was
		}
	}
	return loaded
}

// configuredFor reports whether pods have what they verify a user's tokens and certificates with:
// that is in the configuration and not in its shard.
func (s *scope) configuredFor(user *relayUser, loaded bool) bool {
	if len(user.user.Subjects) > 0 && !s.memory.secrets[resources.ConfigName(s.relay)].keys[resources.TokenKeysKey] {
		return false
	}
	return loaded || len(user.user.Subjects)+len(user.user.Certificates) == 0
}

func ready(pod *readiness.Pod) bool           { return pod.Ready }
func readyOrStarting(pod *readiness.Pod) bool { return pod.Ready || pod.Starting }

// directoryLoaded reports whether every pod that counts, and at least one, has loaded what a
// directory now holds.
func directoryLoaded(s *scope, directory string, counts func(*readiness.Pod) bool) bool {
	if s.hashes[directory] == "" {
		return false
	}
	some := false
	for i := range s.facts.Pods {
		pod := &s.facts.Pods[i]
		if !counts(pod) {
			continue
		}
		if pod.Report == nil || pod.Report.Loaded[directory] != s.hashes[directory] {
			return false
		}
		some = true
	}
	return some
}
