// Package tokenissuer follows who issues the service account tokens of the cluster, and with
// which keys: relays verify tokens with them, without asking the API server.
package tokenissuer

import (
	"bytes"
	"context"
	"sync"
	"time"

	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/log"
)

// pauses are the times of a Follower.
type pauses struct {
	// regular is between two readings: keys change seldom, and new ones are usually published
	// before they sign.
	regular time.Duration
	// retry follows a reading that failed.
	retry time.Duration
	// shortest holds in any case: strangers can make relays ask.
	shortest time.Duration
	// patience is how long readings may fail before it is told: API servers restart.
	patience time.Duration
}

var standard = pauses{regular: 5 * time.Minute, retry: 30 * time.Second, shortest: 10 * time.Second, patience: 15 * time.Minute}

// State is what is known of the issuer.
type State struct {
	// Keys are issuer and keys as relays read them (config.TokenKeys), as they last could be
	// had; nil before.
	Keys []byte
	// Problem says why they cannot be had, and what to do; empty when they can.
	Problem string
}

// Follower reads issuer and keys from the API server, again and again.
type Follower struct {
	// API is the API server.
	API rest.Interface
	// Changed is called when the state has changed.
	Changed func(context.Context)
	// Now is the clock.
	Now func() time.Time

	mu    sync.Mutex
	state State
	// read is when they were last read well.
	read time.Time

	asked  chan struct{}
	pauses pauses
}

// New returns a Follower of the API server's issuer.
func New(api rest.Interface) *Follower {
	return &Follower{API: api, Now: time.Now, asked: make(chan struct{}, 1), pauses: standard}
}

// State is what is known now. Before the first reading it is the zero State.
func (f *Follower) State() State {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.state
}

// Ask has the issuer read soon, since a relay misses a key.
func (f *Follower) Ask() {
	select {
	case f.asked <- struct{}{}:
	default: // It is asked for already.
	}
}

// Start implements manager.Runnable: it reads until the context ends.
func (f *Follower) Start(ctx context.Context) error {
	for {
		pause := f.pauses.regular
		if !f.follow(ctx) {
			pause = f.pauses.retry
		}
		if !f.wait(ctx, pause) {
			return nil
		}
	}
}

// wait returns after the pause, or sooner when asked; false when the context has ended.
func (f *Follower) wait(ctx context.Context, pause time.Duration) bool {
	due, earliest := time.NewTimer(pause), time.NewTimer(f.pauses.shortest)
	defer due.Stop()
	defer earliest.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-earliest.C:
	}
	select {
	case <-ctx.Done():
		return false
	case <-due.C:
	case <-f.asked:
	}
	return true
}

// follow reads once, and reports whether it could.
func (f *Follower) follow(ctx context.Context) bool {
	keys, err := fetch(ctx, f.API)
	if ctx.Err() != nil {
		return false
	}
	if err != nil {
		log.FromContext(ctx).Error(err, "the issuer of service account tokens cannot be read; relays keep the keys they have")
	}
	if f.note(keys, err) {
		f.Changed(ctx)
	}
	return err == nil
}

// note takes over what a reading has shown, and reports whether it makes a difference.
func (f *Follower) note(keys []byte, err error) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	before := f.state
	switch {
	case err == nil:
		f.state, f.read = State{Keys: keys}, f.Now()
	case f.Now().Sub(f.read) > f.pauses.patience:
		f.state.Problem = explain(err)
	}
	return !bytes.Equal(before.Keys, f.state.Keys) || before.Problem != f.state.Problem
}
