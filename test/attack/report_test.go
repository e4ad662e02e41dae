//go:build attack

package attack

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
)

// total is what the whole run did: an attack also fails when it could not be played, or took
// too long, without anything that got through.
var total struct {
	sync.Mutex
	attacks, tries, through, failed int
}

func TestMain(m *testing.M) {
	code := m.Run()
	fmt.Printf("\n%d attacks, %d tries: %d got through, %d attacks failed.\n", total.attacks, total.tries, total.through, total.failed)
	os.Exit(code)
}

// heading begins a kind of attack.
func heading(kind, aim string) { fmt.Printf("\n%s: %s\n", strings.ToUpper(kind), aim) }

// attack counts what became of the tries of one attack. It may be used by many at once.
type attack struct {
	*testing.T
	mu       sync.Mutex
	outcomes []string
	counts   map[string]int
	tries    int
	through  int
	figures  []string
}

// launch plays an attack and prints what became of it.
func launch(t *testing.T, what string, play func(*attack)) {
	t.Helper()
	t.Run(what, func(t *testing.T) {
		a := &attack{T: t, counts: map[string]int{}}
		defer func() { a.print(what) }()
		play(a)
	})
}

func (a *attack) print(what string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	var parts []string
	for _, outcome := range a.outcomes {
		if a.tries > 1 {
			outcome = fmt.Sprintf("%s %d of %d times", outcome, a.counts[outcome], a.tries)
		}
		parts = append(parts, outcome)
	}
	total.Lock()
	defer total.Unlock()
	if parts = append(parts, a.figures...); a.Failed() {
		parts = append(parts, "FAILED, see below")
		total.failed++
	}
	fmt.Printf("  %s: %s\n", what, strings.Join(parts, "; "))
	total.attacks++
	total.tries += a.tries
	total.through += a.through
}

// harmless counts a try that achieved nothing.
func (a *attack) harmless(outcome string) { a.count(outcome, 0) }

// breach counts a try that achieved something, and fails the run.
func (a *attack) breach(format string, args ...any) {
	a.Helper()
	a.count("GOT THROUGH", 1)
	a.Errorf(format, args...)
}

func (a *attack) count(outcome string, through int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if !slices.Contains(a.outcomes, outcome) {
		a.outcomes = append(a.outcomes, outcome)
	}
	a.counts[outcome]++
	a.tries++
	a.through += through
}

// answered counts a try by the reply to it, which must begin with one of the wanted.
func (a *attack) answered(tried, reply string, wanted ...string) {
	a.Helper()
	if !slices.ContainsFunc(wanted, func(want string) bool { return strings.HasPrefix(reply, want) }) {
		a.breach("%s: got %.200q, want %q", tried, reply, wanted)
		return
	}
	a.harmless(describe(reply))
}

// figure adds what was measured.
func (a *attack) figure(format string, args ...any) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.figures = append(a.figures, fmt.Sprintf(format, args...))
}

// describe is a reply in words, without its text.
func describe(reply string) string {
	if reply == closed || reply == silent {
		return reply
	}
	code := strings.Fields(reply)
	words := code[0]
	if len(code) > 1 && strings.Count(code[1], ".") == 2 {
		words += " " + code[1]
	}
	switch reply[0] {
	case '4', '5':
		return "refused with " + words
	}
	return "answered " + words
}
