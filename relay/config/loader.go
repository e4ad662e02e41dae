package config

import (
	"fmt"
	"log/slog"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// Loader reads relay.yaml and all that it points at, again and again. A part whose newest
// content cannot be used keeps its last good content.
type Loader struct {
	path    string
	options LoaderOptions
	last    *Snapshot
	// good is the last good content by part.
	good map[string]goodPart
	// seen is the fingerprint of what was read last.
	seen string
}

// LoaderOptions surround a Loader. The zero value is for the real world.
type LoaderOptions struct {
	// Now is the clock; time.Now when nil.
	Now func() time.Time
	// Logger gets each problem once; slog.Default when nil.
	Logger *slog.Logger
	// Poll is how often Watch looks even when the system reports no change; 5s when 0.
	Poll time.Duration
	// Settle is how long Watch waits after a change for the others that belong to it;
	// 100ms when 0.
	Settle time.Duration
}

// NewLoader returns a Loader of the relay.yaml at path. Relative paths in the file are
// relative to its directory.
func NewLoader(path string, options LoaderOptions) *Loader {
	if options.Now == nil {
		options.Now = time.Now
	}
	if options.Logger == nil {
		options.Logger = slog.Default()
	}
	setDefault(&options.Poll, 5*time.Second)
	setDefault(&options.Settle, 100*time.Millisecond)
	return &Loader{path: filepath.Clean(path), options: options}
}

// Load reads relay.yaml and all that it points at once.
func Load(path string) (*Snapshot, error) { return NewLoader(path, LoaderOptions{}).Load() }

// Load reads everything. The error, Problems, means that a relay cannot run with what is
// there: relay.yaml is wrong or the internal certificate cannot be used, and no earlier
// Load left a good one. Anything else that is wrong is in Snapshot.Errors. It must not be
// called while Watch runs.
func (l *Loader) Load() (*Snapshot, error) {
	p := &pass{loader: l, directories: map[string]*directory{}, stale: map[string]bool{}, good: map[string]goodPart{}}
	s, ok := p.snapshot()
	if !ok {
		return nil, p.problems
	}
	l.last, l.good = s, p.good
	l.seen = l.fingerprint(s, p.version, p.stamp)
	return s, nil
}

// changed reports whether Load would probably show something new.
func (l *Loader) changed() bool { return l.seen != l.fingerprint(l.last, secretVersion, stamp) }

// fingerprint changes when a mounted Secret or a file in use probably did, or when a
// certificate has ended. Other files do not matter: the relay's own log may lie next to
// relay.yaml.
func (l *Loader) fingerprint(s *Snapshot, version, stamp func(path string) string) string {
	var b strings.Builder
	for _, path := range l.directories(s) {
		fmt.Fprintf(&b, "%q %q\n", path, version(path))
	}
	for _, file := range append(s.Config.files(), l.path) {
		fmt.Fprintf(&b, "%q %q\n", file, stamp(file))
	}
	for _, c := range s.Certificates() {
		fmt.Fprintf(&b, "%q %t\n", c.Name, l.options.Now().After(c.NotAfter))
	}
	return b.String()
}

// directories are all that a snapshot was read from, sorted.
func (l *Loader) directories(s *Snapshot) []string {
	paths := []string{filepath.Dir(l.path)}
	for _, file := range s.Config.files() {
		paths = append(paths, filepath.Dir(file))
	}
	slices.Sort(paths)
	return slices.Compact(paths)
}
