package sasl

import "sync"

// turns lets a few work at a time. The networks that others wait from get a turn one after
// the other, so that one of them with a long queue holds up itself alone.
type turns struct {
	mu   sync.Mutex
	free int
	// next are the networks that somebody waits from, in the order of their turns.
	next    []string
	waiting map[string][]chan struct{}
}

// newTurns makes turns for so many at a time.
func newTurns(atOnce int) *turns {
	return &turns{free: atOnce, waiting: map[string][]chan struct{}{}}
}

// do runs work when it is the network's turn.
func (t *turns) do(network string, work func()) {
	if turn := t.queue(network); turn != nil {
		<-turn
	}
	defer t.pass()
	work()
}

// queue takes a turn that is free, or returns what is closed when there is one.
func (t *turns) queue(network string) <-chan struct{} {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.free > 0 {
		t.free--
		return nil
	}
	turn := make(chan struct{})
	if len(t.waiting[network]) == 0 {
		t.next = append(t.next, network)
	}
	t.waiting[network] = append(t.waiting[network], turn)
	return turn
}

// pass gives a turn that is over to the first of the next network.
func (t *turns) pass() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.next) == 0 {
		t.free++
		return
	}
	network := t.next[0]
	t.next = t.next[1:]
	queue := t.waiting[network]
	if len(queue) > 1 {
		t.waiting[network] = queue[1:]
		t.next = append(t.next, network)
	} else {
		delete(t.waiting, network)
	}
	close(queue[0])
}
