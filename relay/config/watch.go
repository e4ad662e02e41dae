package config

import (
	"context"
	"time"

	"github.com/fsnotify/fsnotify"
)

// Watch calls apply with a new Snapshot whenever what Load read has changed, until ctx
// ends. Load must have succeeded once. Problems are logged when they come and when they go.
func (l *Loader) Watch(ctx context.Context, apply func(*Snapshot)) {
	l.logChanges(nil, l.last)
	events, add, stop := l.notifications()
	defer stop()
	poll := time.NewTicker(l.options.Poll)
	defer poll.Stop()
	settled := time.NewTimer(0)
	for {
		// Directories that came since are added; for the others it does nothing.
		add(l.directories(l.last))
		select {
		case <-ctx.Done():
			return
		case <-events:
			settled.Reset(l.options.Settle)
			continue
		case <-settled.C:
		case <-poll.C:
		}
		l.reload(apply)
	}
}

// reload reads everything again when something changed.
func (l *Loader) reload(apply func(*Snapshot)) {
	if !l.changed() {
		return
	}
	before := l.last
	after, err := l.Load()
	if err != nil {
		// Load falls back on what it has, so this needs a loader that never loaded.
		l.options.Logger.Error("configuration cannot be loaded", "error", err)
		return
	}
	l.logChanges(before, after)
	apply(after)
}

// notifications returns the system's reports of changed files and a way to ask for those
// of more directories. Where the system has none to give, polling has to do.
func (l *Loader) notifications() (events <-chan fsnotify.Event, add func([]string), stop func()) {
	watcher, err := fsnotify.NewWatcher()
	if err != nil {
		l.options.Logger.Warn("file changes are found by polling only", "error", err, "interval", l.options.Poll)
		return nil, func([]string) {}, func() {}
	}
	go func() {
		for range watcher.Errors {
			// An overflow loses events; the next poll finds what they were about.
		}
	}()
	add = func(paths []string) {
		for _, path := range paths {
			// A directory that does not exist yet is found by polling.
			_ = watcher.Add(path)
		}
	}
	return watcher.Events, add, func() { _ = watcher.Close() }
}

// logChanges logs each problem once, and its end.
func (l *Loader) logChanges(before, after *Snapshot) {
	old, current := messages(before), messages(after)
	for message := range current {
		if !old[message] {
			l.options.Logger.Error("part of the configuration cannot be used", "error", message)
		}
	}
	for message := range old {
		if !current[message] {
			l.options.Logger.Info("problem of the configuration is gone", "error", message)
		}
	}
	if before != nil {
		l.options.Logger.Info("configuration loaded", "users", len(after.Users), "upstreams", len(after.Upstreams), "problems", len(after.Errors))
	}
}

func messages(s *Snapshot) map[string]bool {
	set := map[string]bool{}
	if s != nil {
		for _, err := range s.Errors {
			set[err.Error()] = true
		}
	}
	return set
}
