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
	one, two := loadedUser{secret: version{"uid", "1"}, generation: 1}, loadedUser{secret: version{"uid", "2"}, generation: 1}
	again := loadedUser{secret: two.secret, generation: 2}
	certified := loadedUser{secret: one.secret, generation: 1, certificates: []string{"URI:x"}}
	type users = map[types.NamespacedName]loadedUser
	previous := map[types.NamespacedName]oldCredentials{a: {until: noon, used: noon}}
	board := NewBoard()
	for _, step := range []struct {
		name  string
		fresh posting
		woken []string
	}{
		{"the first word of a relay", posting{}, []string{"a", "b"}},
		{"the CA is new to all", posting{ca: "CA"}, []string{"a", "b"}},
		{"another generation signs", posting{ca: "CA", issuer: "relay-ca-2"}, []string{"a", "b"}},
		{"one is loaded", posting{ca: "CA", issuer: "relay-ca-2", loaded: users{a: one}}, []string{"a"}},
		{"nothing new", posting{ca: "CA", issuer: "relay-ca-2", loaded: users{a: one}}, nil},
		{"another password", posting{ca: "CA", issuer: "relay-ca-2", loaded: users{a: two, b: one}}, []string{"a", "b"}},
		{"no room for one", posting{ca: "CA", issuer: "relay-ca-2", loaded: users{a: two, b: one}, noRoom: map[types.NamespacedName]int{b: 0}}, []string{"b"}},
		{"room again", posting{ca: "CA", issuer: "relay-ca-2", loaded: users{a: two, b: one}}, []string{"b"}},
		{"another spec", posting{ca: "CA", issuer: "relay-ca-2", loaded: users{a: again, b: one}}, []string{"a"}},
		{"old ones are known", posting{ca: "CA", issuer: "relay-ca-2", loaded: users{a: again, b: one}, previous: map[types.NamespacedName]oldCredentials{}}, []string{"a", "b"}},
		{"an old one", posting{ca: "CA", issuer: "relay-ca-2", loaded: users{a: again, b: one}, previous: map[types.NamespacedName]oldCredentials{a: {until: noon}}}, []string{"a"}},
		{"it is used", posting{ca: "CA", issuer: "relay-ca-2", loaded: users{a: again, b: one}, previous: previous}, []string{"a"}},
		{"a certificate is accepted", posting{ca: "CA", issuer: "relay-ca-2", loaded: users{a: again, b: certified}, previous: previous}, []string{"b"}},
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
	if signer := board.signer(relay); signer.issuer != "relay-ca-2" {
		t.Errorf("certificates of clients come from %q", signer.issuer)
	}
	if ca, known := board.ca(relay); !known || ca != "CA" || !board.hasLoaded(relay, a, two.secret, 2) || board.hasLoaded(relay, a, two.secret, 1) || board.hasLoaded(relay, a, one.secret, 2) {
		t.Error("the board does not tell what was posted last")
	}
	if !board.accepts(relay, b, "URI:x") || board.accepts(relay, a, "URI:x") {
		t.Error("the board does not tell whose certificate is accepted")
	}
	if old, known := board.previous(relay, a); !known || old != previous[a] {
		t.Errorf("old credentials are %+v, known: %v", old, known)
	}
	board.forget(relay)
	if _, known := board.previous(relay, a); known {
		t.Error("old credentials of a relay that is gone are known")
	}
	if _, known := board.ca(relay); known || board.hasLoaded(relay, a, two.secret, 2) {
		t.Error("a relay that is gone is still on the board")
	}
}

func TestPreparationLastsUntilTheSecretHoldsIt(t *testing.T) {
	t.Parallel()
	relay, user := types.NamespacedName{Namespace: "mail", Name: "relay"}, types.NamespacedName{Namespace: "shop", Name: "a"}
	board := NewBoard()
	present := []byte("present")
	p := board.prepare(t.Context(), relay, user)
	if board.prepare(t.Context(), relay, user) != p || board.preparation(user) != p || len(board.Relays) != 1 {
		t.Fatal("it changes from look to look")
	}
	if board.prepared(relay, user, p, present) {
		t.Error("it is said to be known to the pods at once")
	}
	board.post(t.Context(), relay, posting{loaded: map[types.NamespacedName]loadedUser{user: {prepared: p}}}, nil)
	if !board.prepared(relay, user, p, present) || board.prepared(relay, user, &preparation{password: p.password}, present) {
		t.Error("the pods know another than the one that was posted")
	}
	board.cancel(t.Context(), relay, user, []byte(p.password))
	if board.prepare(t.Context(), relay, user) != p || board.prepared(relay, user, p, []byte(p.password)) {
		t.Error("before the relay's loop has seen it in the Secret, there is another, or it is taken for the next one")
	}
	board.written(user, "another")
	if board.preparation(user) == nil {
		t.Error("another password in the Secret ends it")
	}
	board.written(user, p.password)
	if next := board.prepare(t.Context(), relay, user); next == p || next.password == p.password {
		t.Error("the next one is the present one")
	}
	board.cancel(t.Context(), relay, user, present)
	if board.preparation(user) != nil || len(board.Relays) != 3 {
		t.Error("it cannot be cancelled")
	}
	board.prepare(t.Context(), relay, user)
	board.forgetUser(user)
	if board.preparation(user) != nil {
		t.Error("it outlives its user")
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
