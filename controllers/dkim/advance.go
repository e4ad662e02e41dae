package dkim

import (
	"cmp"
	"slices"
	"time"
)

// Wanted is what spec asks for.
type Wanted struct {
	// Prefix that all selectors begin with.
	Prefix    string
	Algorithm string
	// Interval is for how long a key signs before the next one is made; zero for ever.
	Interval time.Duration
	// Overlap is for how long the record of a replaced key stays.
	Overlap time.Duration
	// Request asks for another key whenever it has a new value. Taking it away asks for nothing.
	Request string
}

// View is what the DNS shows of a key at last: nothing when it was not asked or did not answer.
type View func(*Key) (found Finding, detail string)

// Advance returns what becomes of the keys by what the DNS shows. It leaves r as it is.
func (r Ring) Advance(wanted Wanted, view View, now time.Time) (Ring, error) {
	next := Ring{Request: r.Request, Keys: slices.Clone(r.Keys)}
	now = now.UTC().Truncate(time.Second)
	next.look(view, now)
	next.promote(now)
	next.removeRetired(wanted.Overlap, now)
	if next.due(wanted, now) {
		if err := next.add(wanted, now); err != nil {
			return r, err
		}
	}
	next.forgetObsolete()
	return next, nil
}

// look notes what has changed in the DNS.
func (r *Ring) look(view View, now time.Time) {
	for i := range r.Keys {
		k := &r.Keys[i]
		found, detail := view(k)
		if found != "" && (found != k.Found || detail != k.Detail) {
			k.Found, k.Detail, k.Since = found, detail, now
		}
	}
}

// promote begins to use the keys whose records have come.
func (r *Ring) promote(now time.Time) {
	for i := range r.Keys {
		k := &r.Keys[i]
		if !k.live() || !k.Signs.IsZero() || k.Found != Published {
			continue
		}
		if current := r.Current(); current != nil {
			current.Retired = now
		}
		k.Signs = now
	}
}

// removeRetired throws away the keys that nothing on its way is signed with any more, unless
// the key that took their place cannot be used.
func (r *Ring) removeRetired(overlap time.Duration, now time.Time) {
	if current := r.Current(); current == nil || current.Found != Published {
		return
	}
	for i := range r.Keys {
		if k := &r.Keys[i]; !k.Retired.IsZero() && !now.Before(k.Retired.Add(overlap)) {
			k.remove(now)
		}
	}
}

// due reports whether a key has to be made.
func (r *Ring) due(wanted Wanted, now time.Time) bool {
	current, next := r.Current(), r.Next()
	newest := current
	if next != nil {
		newest = next
	}
	switch {
	case newest == nil, wanted.Request != "" && wanted.Request != r.Request, newest.Algorithm() != wanted.Algorithm:
		return true
	default:
		return next == nil && wanted.Interval > 0 && !now.Before(current.Signs.Add(wanted.Interval))
	}
}

// add makes a key in place of those that still wait: who asks for another one may have reason
// not to trust them.
func (r *Ring) add(wanted Wanted, now time.Time) error {
	made, err := Generate(wanted.Prefix, wanted.Algorithm, now)
	if err != nil {
		return err
	}
	for i := range r.Keys {
		if k := &r.Keys[i]; k.live() && k.Signs.IsZero() {
			k.remove(now)
		}
	}
	r.Keys = append(r.Keys, made)
	r.Request = cmp.Or(wanted.Request, r.Request)
	return nil
}

func (k *Key) remove(now time.Time) {
	if k.Removed.IsZero() {
		k.Removed, k.PEM, k.Public = now, nil, nil
	}
}

// mostObsolete is how many records are remembered that somebody should remove.
const mostObsolete = 4

// forgetObsolete drops the keys of which nothing is left, in the DNS neither.
func (r *Ring) forgetObsolete() {
	obsolete := 0
	for i := range slices.Backward(r.Keys) {
		if k := &r.Keys[i]; !k.Removed.IsZero() {
			obsolete++
			if obsolete > mostObsolete || k.Found != Published && k.Found != Differs {
				r.Keys = slices.Delete(r.Keys, i, i+1)
				obsolete--
			}
		}
	}
}
