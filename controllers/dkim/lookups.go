package dkim

import (
	"context"
	"errors"
	"math/rand/v2"
	"net"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/types"
)

// Answer is what the DNS last said of the TXT records of a name.
type Answer struct {
	// Asked is set once there was an answer, or none for too long.
	Asked bool
	// Records, each with its strings joined; none when there are none.
	Records []string
	// Problem is why there is no answer, in words that stay the same; empty when there is one.
	Problem string
}

func (a Answer) equal(b Answer) bool {
	if a.Asked != b.Asked || a.Problem != b.Problem || len(a.Records) != len(b.Records) {
		return false
	}
	for i := range a.Records {
		if a.Records[i] != b.Records[i] {
			return false
		}
	}
	return true
}

// Lookups ask the DNS beside the loop, and remember what it said. A DNS server that is dead costs
// the loop nothing.
type Lookups struct {
	// Resolver that is asked.
	Resolver *net.Resolver
	// Soon is the pause between two lookups of a name that somebody waits for, or that failed;
	// Seldom that of others.
	Soon, Seldom time.Duration
	// Changed is called when a name has another answer than before, with whom it concerns.
	Changed func(types.NamespacedName)

	mu      sync.Mutex
	names   map[string]*lookup
	pending int
	swept   time.Time
}

type lookup struct {
	answer Answer
	// running is set while the DNS is asked; last is when it was asked, wanted when the answer was.
	running      bool
	last, wanted time.Time
	// spread makes the pauses of each name different.
	spread float64
}

const (
	lookupTimeout = 5 * time.Second
	// mostLookups bounds what a dead server makes wait. A name that finds no room is asked later.
	mostLookups = 16
)

// Find returns the last answer and sees to it that there is a newer one in time.
func (l *Lookups) Find(name string, soon bool, concerns types.NamespacedName) Answer {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := time.Now()
	l.sweep(now)
	known, ok := l.names[name]
	if !ok {
		known = &lookup{spread: 0.9 + 0.2*rand.Float64()}
		l.names[name] = known
	}
	known.wanted = now
	pause := l.Seldom
	if soon || known.answer.Problem != "" {
		pause = l.Soon
	}
	due := !known.answer.Asked || now.Sub(known.last) >= time.Duration(float64(pause)*known.spread)
	if due && !known.running && l.pending < mostLookups {
		known.running = true
		l.pending++
		go l.ask(name, known, concerns)
	}
	return known.answer
}

func (l *Lookups) ask(name string, known *lookup, concerns types.NamespacedName) {
	ctx, cancel := context.WithTimeout(context.Background(), lookupTimeout)
	defer cancel()
	// The dot at the end keeps the search list of the pod out of it.
	records, err := l.Resolver.LookupTXT(ctx, name+".")
	answer := answerOf(records, err)
	l.mu.Lock()
	changed := !answer.equal(known.answer)
	known.answer, known.running, known.last = answer, false, time.Now()
	l.pending--
	l.mu.Unlock()
	if changed && l.Changed != nil {
		l.Changed(concerns)
	}
}

// answerOf tells no record, which is an answer, from no answer. The error itself names ports
// that differ each time.
func answerOf(records []string, err error) Answer {
	var failure *net.DNSError
	switch {
	case err == nil:
		return Answer{Asked: true, Records: records}
	case errors.As(err, &failure) && failure.IsNotFound:
		return Answer{Asked: true}
	case errors.As(err, &failure) && failure.IsTimeout, errors.Is(err, context.DeadlineExceeded):
		return Answer{Asked: true, Problem: "the DNS server does not answer"}
	default:
		return Answer{Asked: true, Problem: "the DNS server cannot answer"}
	}
}

// sweep forgets what nobody wants any more.
func (l *Lookups) sweep(now time.Time) {
	if l.names == nil {
		l.names = map[string]*lookup{}
	}
	if now.Sub(l.swept) < l.Seldom {
		return
	}
	l.swept = now
	for name, known := range l.names {
		if !known.running && now.Sub(known.wanted) > l.Seldom {
			delete(l.names, name)
		}
	}
}

// NewResolver asks the DNS server at address; the system's own when it is empty.
func NewResolver(address string) *net.Resolver {
	resolver := &net.Resolver{PreferGo: true}
	if address != "" {
		resolver.Dial = func(ctx context.Context, network, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, network, address)
		}
	}
	return resolver
}
