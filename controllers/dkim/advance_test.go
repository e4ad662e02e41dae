package dkim

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/mailrelay-dev/mailrelay-operator/api/v1alpha1"
)

// story is a ring whose time and DNS a test moves.
type story struct {
	t      *testing.T
	ring   Ring
	wanted Wanted
	now    time.Time
	dns    map[string]Finding
	names  map[string]string
}

const day = 24 * time.Hour

func newStory(t *testing.T) *story {
	return &story{
		t: t, now: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC), dns: map[string]Finding{}, names: map[string]string{},
		wanted: Wanted{Prefix: "mail", Algorithm: v1alpha1.DKIMAlgorithmEd25519, Overlap: 5 * day},
	}
}

// step lets time pass and the ring advance. Keys are named a, b, c as they are made.
func (s *story) step(after time.Duration) {
	s.t.Helper()
	s.now = s.now.Add(after)
	next, err := s.ring.Advance(s.wanted, func(k *Key) (Finding, string) { return s.dns[s.names[k.Selector]], "" }, s.now)
	if err != nil {
		s.t.Fatal(err)
	}
	s.ring = next
	for _, k := range next.Keys {
		if s.names[k.Selector] == "" {
			s.names[k.Selector] = string(rune('a' + len(s.names)))
		}
	}
	again, err := next.Advance(s.wanted, func(k *Key) (Finding, string) { return s.dns[s.names[k.Selector]], "" }, s.now)
	if err != nil || !again.Equal(next) {
		s.t.Errorf("the ring does not rest: %v", err)
	}
}

// is checks what the ring says: each key, whether it is held, and which signs.
func (s *story) is(want string) {
	s.t.Helper()
	var got []string
	for i := range s.ring.Keys {
		k := &s.ring.Keys[i]
		state := "next"
		switch {
		case !k.Removed.IsZero():
			state = "removed"
		case !k.Retired.IsZero():
			state = "retired"
		case !k.Signs.IsZero():
			state = "current"
		}
		if (k.PEM == nil) != (state == "removed") {
			s.t.Errorf("%s is %s, private key held: %v", s.names[k.Selector], state, k.PEM != nil)
		}
		if k == s.ring.Signing() {
			state += " signs"
		}
		got = append(got, s.names[k.Selector]+" "+state)
	}
	if strings.Join(got, ", ") != want {
		s.t.Errorf("ring is %q, want %q", strings.Join(got, ", "), want)
	}
}

func TestAKeySignsOnlyOnceItsRecordIsThere(t *testing.T) {
	t.Parallel()
	s := newStory(t)
	for _, found := range []Finding{"", Missing, Differs, ""} {
		s.dns["a"] = found
		s.step(time.Minute)
		s.is("a next")
	}
	s.dns["a"] = Published
	s.step(time.Minute)
	s.is("a current signs")
}

func TestAnOutageOfTheDNSStopsNoSignatures(t *testing.T) {
	t.Parallel()
	s := newStory(t)
	s.step(0)
	for _, tc := range []struct {
		found Finding
		want  string
	}{
		{Published, "a current signs"},
		{"", "a current signs"},
		{Missing, "a current signs"},
		// Verifiers would find the signature wrong.
		{Differs, "a current"},
		{"", "a current"},
		{Published, "a current signs"},
	} {
		s.dns["a"] = tc.found
		s.step(time.Hour)
		s.is(tc.want)
	}
}

func TestRotationWaitsForTheDNSAndForMailOnItsWay(t *testing.T) {
	t.Parallel()
	s := newStory(t)
	s.step(0)
	s.dns["a"] = Published
	s.step(0)
	s.wanted.Request = "1"
	s.step(day)
	s.is("a current signs, b next")
	s.step(30 * day)
	s.is("a current signs, b next")
	s.dns["b"] = Published
	s.step(0)
	s.is("a retired, b current signs")
	s.step(5*day - time.Second)
	s.is("a retired, b current signs")
	s.step(time.Second)
	s.is("a removed, b current signs")
	s.dns["a"] = ""
	s.step(day)
	s.is("a removed, b current signs")
	s.dns["a"] = Missing
	s.step(day)
	s.is("b current signs")
}

func TestRotationByInterval(t *testing.T) {
	t.Parallel()
	s := newStory(t)
	s.wanted.Interval = 180 * day
	s.step(0)
	s.step(400 * day)
	s.is("a next")
	s.dns["a"] = Published
	s.step(0)
	s.step(180*day - time.Second)
	s.is("a current signs")
	s.step(time.Second)
	s.is("a current signs, b next")
}

func TestTheOldKeySignsWhileTheNewRecordIsWrong(t *testing.T) {
	t.Parallel()
	s := newStory(t)
	s.step(0)
	s.dns["a"] = Published
	s.step(0)
	s.wanted.Request = "1"
	s.step(0)
	s.dns["b"] = Published
	s.step(0)
	s.dns["b"] = Differs
	s.step(0)
	s.is("a retired signs, b current")
	s.step(10 * day)
	s.is("a retired signs, b current")
	s.dns["b"] = Published
	s.step(0)
	s.is("a removed, b current signs")
}

func TestARequestReplacesTheKeyThatWaits(t *testing.T) {
	t.Parallel()
	s := newStory(t)
	s.step(0)
	s.dns["a"] = Missing
	s.step(0)
	s.wanted.Request = "1"
	s.step(0)
	s.is("b next")
	s.dns["b"] = Differs
	s.step(0)
	s.wanted.Request = "2"
	s.step(0)
	s.is("b removed, c next")
}

func TestARequestThatIsTakenBackAsksForNothing(t *testing.T) {
	t.Parallel()
	s := newStory(t)
	s.wanted.Request = "1"
	s.step(0)
	s.is("a next")
	for _, request := range []string{"", "1", ""} {
		s.wanted.Request = request
		s.step(0)
		s.is("a next")
	}
	s.wanted.Request = "2"
	s.step(0)
	s.is("b next")
}

func TestAnotherAlgorithmMakesAnotherKey(t *testing.T) {
	t.Parallel()
	s := newStory(t)
	s.step(0)
	s.dns["a"] = Published
	s.step(0)
	s.wanted.Algorithm = v1alpha1.DKIMAlgorithmRSA2048
	s.step(0)
	s.is("a current signs, b next")
	// And back: what waits is not what is wanted any more.
	s.wanted.Algorithm = v1alpha1.DKIMAlgorithmEd25519
	s.step(0)
	s.is("a current signs, c next")
}

func TestOldRecordsAreNotRememberedForEver(t *testing.T) {
	t.Parallel()
	s := newStory(t)
	for i := range 10 {
		s.wanted.Request = fmt.Sprint(i)
		s.step(0)
		s.dns[string(rune('a'+i))] = Published
		s.step(0)
		s.step(6 * day)
	}
	s.is("f removed, g removed, h removed, i removed, j current signs")
}
