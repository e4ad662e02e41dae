package sasl

import (
	"testing"
	"time"
)

func TestMemoryIsBoundedAndForgets(t *testing.T) {
	t.Parallel()
	now := time.Unix(1_000_000, 0)
	m := newMemory[int, int](3, time.Minute, func() time.Time { return now })
	more := func(n int) int { return n + 1 }

	if m.get(1) != 0 || m.update(1, more) != 1 || m.update(1, more) != 2 || m.get(1) != 2 || m.get(2) != 0 {
		t.Error("the memory does not know what was put in")
	}
	now = now.Add(59 * time.Second)
	if m.get(1) != 2 {
		t.Error("the entry went before its time")
	}
	now = now.Add(time.Second)
	if m.get(1) != 0 {
		t.Error("reading has extended the entry")
	}
	m.update(1, more)
	now = now.Add(time.Minute)
	if got := m.update(1, more); got != 1 {
		t.Errorf("an expired entry counts: %d", got)
	}
	for i := range 100 {
		m.update(i, more)
		if n := len(m.entries); n > 3 {
			t.Fatalf("%d entries", n)
		}
		if m.get(i) == 0 {
			t.Fatal("the newest entry is missing")
		}
		now = now.Add(20 * time.Second)
	}
}
