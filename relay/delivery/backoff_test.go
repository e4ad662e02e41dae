package delivery

import (
	"slices"
	"testing"
	"time"
)

func TestPausesDoubleUpToTheLongest(t *testing.T) {
	t.Parallel()
	b := backoff{time.Minute, 30 * time.Minute}
	var got []time.Duration
	for n := 1; n <= 8; n++ {
		got = append(got, b.after(n)/time.Minute)
	}
	if want := []time.Duration{1, 2, 4, 8, 16, 30, 30, 30}; !slices.Equal(got, want) {
		t.Errorf("pauses %v, want %v minutes", got, want)
	}
	if pause := b.after(1 << 40); pause != 30*time.Minute {
		t.Errorf("pause %s after very many failures", pause)
	}
	if pause := (backoff{time.Hour, time.Minute}).after(1); pause != time.Minute {
		t.Errorf("pause %s is longer than the longest", pause)
	}
}

func TestPausesVaryByAFifth(t *testing.T) {
	t.Parallel()
	for random, want := range map[float64]time.Duration{0: 80 * time.Second, 0.5: 100 * time.Second, 1: 120 * time.Second} {
		if got := spread(100*time.Second, random); got != want {
			t.Errorf("spread(100s, %v) = %s, want %s", random, got, want)
		}
	}
}
