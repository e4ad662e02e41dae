package controllers

import (
	"slices"
	"testing"

	"k8s.io/apimachinery/pkg/types"
)

func TestBoardWakesOnlyThoseConcerned(t *testing.T) {
	t.Parallel()
	relay := types.NamespacedName{Namespace: "mail", Name: "relay"}
	a, b := types.NamespacedName{Namespace: "shop", Name: "a"}, types.NamespacedName{Namespace: "shop", Name: "b"}
	one, two := version{"uid", "1"}, version{"uid", "2"}
	board := NewBoard()
	for _, step := range []struct {
		name  string
		fresh posting
		woken []string
	}{
		{"the first word of a relay", posting{}, []string{"a", "b"}},
		{"the CA is new to all", posting{ca: "CA"}, []string{"a", "b"}},
		{"another generation signs", posting{ca: "CA", issuer: "relay-ca-2"}, []string{"a", "b"}},
		{"one is loaded", posting{ca: "CA", issuer: "relay-ca-2", loaded: map[types.NamespacedName]version{a: one}}, []string{"a"}},
		{"nothing new", posting{ca: "CA", issuer: "relay-ca-2", loaded: map[types.NamespacedName]version{a: one}}, nil},
		{"another password", posting{ca: "CA", issuer: "relay-ca-2", loaded: map[types.NamespacedName]version{a: two, b: one}}, []string{"a", "b"}},
	} {
		board.post(t.Context(), relay, step.fresh, []types.NamespacedName{a, b})
		var woken []string
		for len(board.Changes) > 0 {
			woken = append(woken, (<-board.Changes).Object.GetName())
		}
		if !slices.Equal(woken, step.woken) {
			t.Errorf("%s: woke %v, want %v", step.name, woken, step.woken)
		}
	}
	if issuer, known := board.signer(relay); !known || issuer != "relay-ca-2" {
		t.Errorf("certificates of clients come from %q", issuer)
	}
	if ca, known := board.ca(relay); !known || ca != "CA" || !board.hasLoaded(relay, a, two) || board.hasLoaded(relay, a, one) {
		t.Error("the board does not tell what was posted last")
	}
	board.forget(relay)
	if _, known := board.ca(relay); known || board.hasLoaded(relay, a, two) {
		t.Error("a relay that is gone is still on the board")
	}
}

func TestMemoryIsOfOneRelayOnly(t *testing.T) {
	t.Parallel()
	var m memories
	name := types.NamespacedName{Namespace: "mail", Name: "relay"}
	first := m.of(name, "1")
	if m.of(name, "1") != first {
		t.Error("it is forgotten from pass to pass")
	}
	if m.of(name, "2") == first {
		t.Error("a relay that took the name remembers the other's")
	}
	m.forget(name)
	if len(m.m) != 0 {
		t.Error("a relay that is gone is remembered")
	}
}
