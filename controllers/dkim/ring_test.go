package dkim

import (
	"errors"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/mailrelay-dev/mailrelay-operator/api/v1alpha1"
)

// rotating is a ring with a retired key, one in use and one that waits, and its Secret.
func rotating(t *testing.T) (*story, map[string][]byte) {
	t.Helper()
	s := newStory(t)
	s.step(0)
	s.dns["a"] = Published
	s.step(0)
	s.wanted.Request = "1"
	s.step(0)
	s.dns["b"] = Published
	s.step(0)
	s.wanted.Request = "2"
	s.step(0)
	s.is("a retired, b current signs, c next")
	data, err := s.ring.Data()
	if err != nil {
		t.Fatal(err)
	}
	return s, data
}

// copies are what the relay has of the ring.
func (s *story) copies() map[string]Copy {
	copies := map[string]Copy{}
	for i := range s.ring.Keys {
		k := &s.ring.Keys[i]
		copies[k.Selector] = Copy{PEM: k.PEM, Signs: k == s.ring.Signing()}
	}
	return copies
}

func TestLoadPutsRightWhatAPersonChanged(t *testing.T) {
	t.Parallel()
	other, err := Generate("mail", v1alpha1.DKIMAlgorithmEd25519, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	key := func(s *story, i int) string { return s.ring.Keys[i].Selector + keySuffix }
	for _, tc := range []struct {
		name           string
		spoil          func(s *story, data map[string][]byte)
		noCopies       bool
		want           string
		restored, lost int
		asks           bool
	}{
		{name: "nothing", spoil: func(*story, map[string][]byte) {}, want: "a retired, b current signs, c next"},
		{name: "a foreign key", spoil: func(_ *story, d map[string][]byte) { d["own.key"] = []byte("x") }, want: "a retired, b current signs, c next"},
		{name: "a key is gone", spoil: func(s *story, d map[string][]byte) { delete(d, key(s, 1)) }, want: "a retired, b current signs, c next", restored: 1, asks: true},
		{name: "a key is another", spoil: func(s *story, d map[string][]byte) { d[key(s, 1)] = other.PEM }, want: "a retired, b current signs, c next", restored: 1, asks: true},
		{name: "a key is no key", spoil: func(s *story, d map[string][]byte) { d[key(s, 2)] = []byte("x") }, want: "a retired, b current signs, c next", restored: 1, asks: true},
		{name: "a key is gone for good", spoil: func(s *story, d map[string][]byte) { delete(d, key(s, 1)) }, noCopies: true, want: "a retired signs, c next", lost: 1, asks: true},
		{name: "the Secret is gone", spoil: func(_ *story, d map[string][]byte) { clear(d) }, want: "b current signs", restored: 1, asks: true},
		{name: "all is gone", spoil: func(_ *story, d map[string][]byte) { clear(d) }, noCopies: true, want: "", asks: true},
		{name: "what became of the keys is gone", spoil: func(_ *story, d map[string][]byte) { d[stateKey] = []byte("{") }, want: "b current signs", asks: true},
	} {
		s, data := rotating(t)
		tc.spoil(s, data)
		asked := false
		loaded, err := Load(s.wanted, data, func() (map[string]Copy, error) {
			asked = true
			if tc.noCopies {
				return nil, nil
			}
			return s.copies(), nil
		}, s.now)
		if err != nil {
			t.Fatal(err)
		}
		s.ring = loaded.Ring
		s.is(tc.want)
		if len(loaded.Restored) != tc.restored || len(loaded.Lost) != tc.lost || asked != tc.asks {
			t.Errorf("%s: restored %q, lost %q, copies asked for: %v", tc.name, loaded.Restored, loaded.Lost, asked)
		}
		if loaded.Request != s.wanted.Request {
			t.Errorf("%s: request %q is not fulfilled", tc.name, loaded.Request)
		}
	}
}

func TestKeysThatOnlyWaitComeBackToo(t *testing.T) {
	t.Parallel()
	s := newStory(t)
	s.step(0)
	loaded, err := Load(s.wanted, nil, func() (map[string]Copy, error) { return s.copies(), nil }, s.now)
	if err != nil || len(loaded.Restored) != 1 {
		t.Fatalf("restored %q, %v", loaded.Restored, err)
	}
	s.ring = loaded.Ring
	s.is("a next")
}

func TestLoadFailsRatherThanForget(t *testing.T) {
	t.Parallel()
	s, data := rotating(t)
	unreadable := func() (map[string]Copy, error) { return nil, errors.New("no") }
	for name, spoiled := range map[string]map[string][]byte{"none": {}, "a key less": {stateKey: data[stateKey]}} {
		if _, err := Load(s.wanted, spoiled, unreadable, s.now); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

func TestTheStateHasNoPrivateKeys(t *testing.T) {
	t.Parallel()
	s, data := rotating(t)
	if names := slices.Sorted(maps.Keys(data)); len(names) != 4 {
		t.Errorf("the Secret has %q", names)
	}
	for _, k := range s.ring.Keys {
		if len(k.PEM) == 0 || slices.Contains([]string{string(data[stateKey])}, string(k.PEM)) {
			t.Errorf("%s: in the state, or nowhere", k.Selector)
		}
	}
}
