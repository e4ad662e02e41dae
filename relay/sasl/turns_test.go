package sasl

import (
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// TestTurnsGoAroundTheNetworks queues while the only turn is taken, so that the order is sure.
func TestTurnsGoAroundTheNetworks(t *testing.T) {
	t.Parallel()
	turns := newTurns(1)
	if turns.queue("first") != nil {
		t.Fatal("a free turn is not taken at once")
	}
	type waiter struct {
		network string
		turn    <-chan struct{}
	}
	var all []waiter
	for _, network := range []string{"a", "a", "a", "b", "b", "c"} {
		all = append(all, waiter{network, turns.queue(network)})
	}
	var got []string
	for range len(all) {
		turns.pass()
		i := slices.IndexFunc(all, func(w waiter) bool { return isClosed(w.turn) })
		if i < 0 {
			t.Fatalf("after %q nobody has a turn", got)
		}
		got = append(got, all[i].network)
		all = slices.Delete(all, i, i+1)
		if slices.ContainsFunc(all, func(w waiter) bool { return isClosed(w.turn) }) {
			t.Fatalf("two have the turn after %q", got)
		}
	}
	if want := []string{"a", "b", "c", "a", "b", "a"}; !slices.Equal(got, want) {
		t.Errorf("turns of %q, want %q", got, want)
	}
	turns.pass()
	if turns.free != 1 || len(turns.next) != 0 || len(turns.waiting) != 0 {
		t.Errorf("what is left: %d free, %q next, %v waiting", turns.free, turns.next, turns.waiting)
	}
}

func isClosed(turn <-chan struct{}) bool {
	select {
	case <-turn:
		return true
	default:
		return false
	}
}

func TestTurnsAreBounded(t *testing.T) {
	t.Parallel()
	turns := newTurns(3)
	var working atomic.Int32
	var all sync.WaitGroup
	for i := range 30 {
		all.Go(func() {
			turns.do(string(rune('a'+i%4)), func() {
				if n := working.Add(1); n > 3 {
					t.Errorf("%d work at once", n)
				}
				time.Sleep(time.Millisecond)
				working.Add(-1)
			})
		})
	}
	all.Wait()
	if turns.free != 3 {
		t.Errorf("%d turns are free in the end", turns.free)
	}
}

// TestFloodOfOneNetworkDoesNotHoldUpAnother: however many passwords an attacker has waiting,
// the first login from elsewhere is next.
func TestFloodOfOneNetworkDoesNotHoldUpAnother(t *testing.T) {
	t.Parallel()
	const attackers = 60
	m := newMechanisms(t, Options{})
	m.passwords.turns = newTurns(1)
	m.passwords.turns.queue("a check under way")

	var failed atomic.Int32
	var all sync.WaitGroup
	for range attackers {
		attacker := attempt{Mechanisms: m, client: Client{Address: netip.MustParseAddr("192.0.2.1")}}
		all.Go(func() {
			if attacker.checkPassword("nobody", "wrong") != nil {
				failed.Add(1)
			}
		})
	}
	app := attempt{Mechanisms: m, client: Client{Address: netip.MustParseAddr("192.0.2.2")}}
	waitFor(t, "the attackers to queue", func() bool { return waitingFrom(m, "192.0.2.1") == attackers })
	before := make(chan int32)
	all.Go(func() {
		err := app.checkPassword("u", password)
		before <- failed.Load()
		if err != nil {
			t.Errorf("the app cannot log in: %v", err)
		}
	})
	waitFor(t, "the app to queue", func() bool { return waitingFrom(m, "192.0.2.2") == 1 })
	m.passwords.turns.pass()
	// The second check is the app's; a few more may end before it is seen.
	if n := <-before; n > attackers/4 {
		t.Errorf("%d of %d wrong passwords were checked before the app's right one", n, attackers)
	}
	all.Wait()
}

func TestRememberedLoginWaitsForNobody(t *testing.T) {
	t.Parallel()
	m := newMechanisms(t, Options{})
	a := attempt{Mechanisms: m}
	if err := a.checkPassword("u", password); err != nil {
		t.Fatal(err)
	}
	m.passwords.turns = newTurns(0)
	if err := a.checkPassword("u", password); err != nil {
		t.Error(err)
	}
}

func waitingFrom(m *Mechanisms, network string) int {
	m.passwords.turns.mu.Lock()
	defer m.passwords.turns.mu.Unlock()
	return len(m.passwords.turns.waiting[network])
}

func waitFor(t *testing.T, what string, is func() bool) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); !is(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("waited in vain for %s", what)
		}
	}
}
