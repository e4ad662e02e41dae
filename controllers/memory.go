package controllers

import (
	"slices"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/mailrelay-dev/mailrelay-operator/controllers/dkim"
	"github.com/mailrelay-dev/mailrelay-operator/controllers/readiness"
	"github.com/mailrelay-dev/mailrelay-operator/relay/config"
)

// memory is what the operator keeps of a relay between two passes. It saves reading and
// computing what has not changed, and paces repetitions; losing it costs only time.
type memory struct {
	uid types.UID
	// secrets by name, as they were last read or written.
	secrets map[string]knownSecret
	// proofs by SASL user name.
	proofs map[string]proofs
	// rings are the DKIM keys that the operator made, by the name of their Secret.
	rings map[string]knownRing
	// shards of users by number, as they were last written.
	shards map[int]knownShard
	// posting is what RelayUsers are told: what the last pass that could find it out found.
	posting posting
	// refused are the users who get no client certificate, with why, that the relay's owner was
	// told of.
	refused map[types.NamespacedName]string
	// decoyKey is that of the configuration; empty while it is not known.
	decoyKey string
	// newestCA is the number of the newest generation of the CA that was made: the cache may
	// not show it yet.
	newestCA int
	// keyMissed is when a pod last missed the key of a token.
	keyMissed time.Time
	// nudges by pod.
	nudges map[types.UID]nudge
	// emptySince is when the queue of a relay in deletion was first seen empty.
	emptySince time.Time
	// decided are the conditions as they last were but for those that a pass which failed could
	// not decide.
	decided []metav1.Condition
	// queued is the number of messages that were last known to be queued.
	queued int64
}

// version identifies the content of an object without its content.
type version struct {
	uid             types.UID
	resourceVersion string
}

type knownSecret struct {
	version version
	// desired is the hash of the apply configuration that it was last seen to agree with.
	desired string
	// hash is the config.DirHash of its data.
	hash string
	// keys that have content.
	keys map[string]bool
	// certificate and ca are its tls.crt and ca.crt where it is a certificate's.
	certificate, ca []byte
}

type knownRing struct {
	version version
	ring    dkim.Ring
}

// knownShard is a shard of users.
type knownShard struct {
	// written is set when they are in the Secret. While they cannot be written, those who were left
	// out still are.
	written bool
	// users who belong to it.
	users []config.User
	// leftOut are the names of those for whom there was no room.
	leftOut []string
}

// told are the conditions that changes are told from: those of status, and for one that could
// not be decided meanwhile what it was before. So a failure that passes tells nothing again.
func (m *memory) told(status []metav1.Condition) []metav1.Condition {
	told := slices.Clone(status)
	for i := range told {
		if was := meta.FindStatusCondition(m.decided, told[i].Type); was != nil && told[i].Reason == readiness.ReasonRetrying {
			told[i] = *was
		}
	}
	return told
}

// decide notes the conditions of a pass.
func (m *memory) decide(conditions []metav1.Condition) {
	for _, c := range conditions {
		if c.Reason != readiness.ReasonRetrying {
			meta.SetStatusCondition(&m.decided, c)
		}
	}
}

// memories of all relays, by name. A relay is worked on by one worker at a time, so only the
// map itself is locked.
type memories struct {
	mu sync.Mutex
	m  map[types.NamespacedName]*memory
}

// of returns the memory of a relay, an empty one for a relay that took the name of another.
func (m *memories) of(name types.NamespacedName, uid types.UID) *memory {
	m.mu.Lock()
	defer m.mu.Unlock()
	if known, ok := m.m[name]; ok && known.uid == uid {
		return known
	}
	if m.m == nil {
		m.m = map[types.NamespacedName]*memory{}
	}
	fresh := &memory{
		uid:     uid,
		secrets: map[string]knownSecret{},
		proofs:  map[string]proofs{},
		rings:   map[string]knownRing{},
		shards:  map[int]knownShard{},
		refused: map[types.NamespacedName]string{},
		nudges:  map[types.UID]nudge{},
	}
	m.m[name] = fresh
	return fresh
}

func (m *memories) forget(name types.NamespacedName) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.m, name)
}
