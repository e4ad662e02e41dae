//go:build soak

package soak

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"regexp"
	"strconv"
	"sync"

	"github.com/mailrelay-dev/mailrelay-operator/test/traffic"
)

// How often the upstream does not do what it should.
const (
	laterShare  = 0.05
	neverShare  = 0.01
	hangUpShare = 0.01
	laterReply  = "450 4.2.0 Not now"
	neverReply  = "554 5.7.1 Not this one"
)

// ledger is what clients were promised, and what the upstream saw of it.
type ledger struct {
	mu        sync.Mutex
	accepted  map[uint64]bool
	delivered map[uint64]int
	// refused are messages that the upstream refused for good, and told those that a bounce
	// tells of, whether the upstream took that or not.
	refused, told map[uint64]bool
	// later, hungUp and bounces count what the upstream did.
	later, hungUp, bounces int
	faults                 []error
}

func newLedger() *ledger {
	return &ledger{
		accepted: map[uint64]bool{}, delivered: map[uint64]int{}, refused: map[uint64]bool{}, told: map[uint64]bool{},
	}
}

func (l *ledger) accept(number uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.accepted[number] = true
}

// answer is what the upstream says to a command. It hangs up before it takes a message, and
// after it has one.
func (l *ledger) answer(verb string) string {
	chance := rand.Float64()
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case verb == "RCPT" && chance < laterShare:
		l.later++
		return laterReply
	case (verb == "MAIL" || verb == "END") && chance < hangUpShare/2:
		l.hungUp++
		return traffic.Drop
	}
	return ""
}

// tells finds the numbers of messages in a bounce.
var tells = regexp.MustCompile(`(?m)^X-Traffic: (\d+) `)

// message is what the upstream does with content.
func (l *ledger) message(content []byte) string {
	number, err := traffic.Check(content)
	never := rand.Float64() < neverShare
	l.mu.Lock()
	defer l.mu.Unlock()
	if bytes.Contains(content, []byte("multipart/report")) {
		l.bounces++
		for _, found := range tells.FindAllSubmatch(content, -1) {
			told, _ := strconv.ParseUint(string(found[1]), 10, 64)
			l.told[told] = true
		}
		return refuseIf(never)
	}
	switch {
	case errors.Is(err, traffic.ErrUnmarked):
		// A DATA that was pipelined behind a refused recipient is ended without content.
		return ""
	case err != nil:
		l.faults = append(l.faults, err)
	case never:
		l.refused[number] = true
	default:
		l.delivered[number]++
	}
	return refuseIf(never)
}

func refuseIf(never bool) string {
	if never {
		return neverReply
	}
	return ""
}

// counts sum a ledger up.
type counts struct {
	accepted, delivered, again, refused, unaccounted, untold int
}

func (l *ledger) count() counts {
	l.mu.Lock()
	defer l.mu.Unlock()
	c := counts{accepted: len(l.accepted), delivered: len(l.delivered), refused: len(l.refused)}
	for number := range l.accepted {
		switch {
		case l.delivered[number] > 0:
			c.again += l.delivered[number] - 1
		case !l.refused[number]:
			c.unaccounted++
		case !l.told[number]:
			c.untold++
		}
	}
	return c
}
