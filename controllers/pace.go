package controllers

import (
	"sync"
	"time"

	"k8s.io/client-go/util/workqueue"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
)

// pace is when to repeat a pass that failed: with growing pauses, but no later than the pass
// asked for, since the same passes ask the pods for their state and tell them of changes.
// It may be used once start was called.
type pace struct {
	workqueue.TypedRateLimiter[reconcile.Request]

	mu    sync.Mutex
	asked map[reconcile.Request]time.Duration
}

func (p *pace) start() *pace {
	p.TypedRateLimiter = workqueue.DefaultTypedControllerRateLimiter[reconcile.Request]()
	p.asked = map[reconcile.Request]time.Duration{}
	return p
}

// ask notes the longest pause that a pass allows.
func (p *pace) ask(request reconcile.Request, longest time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.asked != nil {
		p.asked[request] = longest
	}
}

// When returns the pause before a request that failed.
func (p *pace) When(request reconcile.Request) time.Duration {
	pause := p.TypedRateLimiter.When(request)
	p.mu.Lock()
	defer p.mu.Unlock()
	if longest, ok := p.asked[request]; ok {
		return min(pause, longest)
	}
	return pause
}

// Forget is called for a request that succeeded.
func (p *pace) Forget(request reconcile.Request) {
	p.TypedRateLimiter.Forget(request)
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.asked, request)
}
