package controllers

import (
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/mailrelay-dev/mailrelay-operator/controllers/resources"
)

// A pod that never loads a change is told quickly at first and seldom in the end.
func TestNudgesBackOff(t *testing.T) {
	t.Parallel()
	now := time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)
	start := now
	var last nudge
	var told []time.Duration
	for now.Sub(start) < 5*time.Minute {
		due, look := nextNudge(last, "new", now)
		if due {
			last = last.next("new", now)
			told = append(told, now.Sub(start))
		}
		if look < firstLook || look > lastLook {
			t.Fatalf("looks again after %v", look)
		}
		now = now.Add(look)
	}
	if told[0] != 0 || told[1] > time.Second {
		t.Errorf("told at %v: too late", told[:2])
	}
	if len(told) < 10 || len(told) > 25 {
		t.Errorf("told %d times in five minutes, at %v", len(told), told)
	}
	if due, look := nextNudge(last, "newer", now); !due || look != firstLook {
		t.Errorf("a newer change is told of: %v, looked for after %v", due, look)
	}
	if n := last.next("newer", now); n.count != 1 || n.first != now {
		t.Errorf("a newer change does not begin anew: %+v", n)
	}
}

func TestNeedsNudge(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name       string
		annotation string
		behind     bool
		known      bool
		want       bool
	}{
		{"never told and up to date", "", false, true, false},
		{"behind", "", true, true, true},
		{"behind in what is known", "", true, false, true},
		{"behind after a nudge", "new-1", true, true, true},
		{"told of older content", "old-3", false, true, true},
		{"told of content that is not all known now", "old-3", false, false, false},
		{"told already", "new-1", false, true, false},
	} {
		pod := &corev1.Pod{}
		pod.Annotations = map[string]string{resources.NudgeAnnotation: tc.annotation}
		if got := needsNudge(pod, tc.behind, "new", tc.known); got != tc.want {
			t.Errorf("%s: needsNudge = %v, want %v", tc.name, got, tc.want)
		}
	}
}

func TestCombineDependsOnContentOnly(t *testing.T) {
	t.Parallel()
	a := combine(map[string]string{"/a": "1", "/b": "2"})
	if b := combine(map[string]string{"/b": "2", "/a": "1"}); a != b {
		t.Error("the order matters")
	}
	for _, other := range []map[string]string{{"/a": "2", "/b": "1"}, {"/a": "1"}, nil} {
		if combine(other) == a {
			t.Errorf("%v is like another", other)
		}
	}
}
