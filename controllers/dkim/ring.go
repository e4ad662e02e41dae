package dkim

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Ring is all keys of one entry of spec.dkim, the oldest first. Its Secret holds it whole.
type Ring struct {
	// Request is the newest request for another key that was fulfilled.
	Request string `json:"request,omitempty"`
	Keys    []Key  `json:"keys"`
}

// stateKey is where the Secret has everything but the private keys, keySuffix what their keys end in.
const (
	stateKey  = "keys.json"
	keySuffix = ".key"
)

// Data is the content of the Secret.
func (r Ring) Data() (map[string][]byte, error) {
	state, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("write down the DKIM keys: %w", err)
	}
	data := map[string][]byte{stateKey: state}
	for i := range r.Keys {
		if k := &r.Keys[i]; k.PEM != nil {
			data[k.Selector+keySuffix] = k.PEM
		}
	}
	return data, nil
}

// Equal reports whether two rings have the same content.
func (r Ring) Equal(other Ring) bool {
	mine, mineErr := r.Data()
	others, otherErr := other.Data()
	return mineErr == nil && otherErr == nil && string(mine[stateKey]) == string(others[stateKey])
}

// Copy is what the relay has of a key.
type Copy struct {
	PEM []byte
	// Signs is set for the key that the relay signs with.
	Signs bool
}

// Loaded is a Ring as it was read.
type Loaded struct {
	Ring
	// Restored are the selectors whose keys were taken from the relay's copies, Lost those whose
	// keys are nowhere.
	Restored, Lost []string
}

// Load reads the content of the Secret, nil for one that is gone. What a person took away or
// spoiled is taken from the relay's copies, by selector; they are asked for only then.
func Load(wanted Wanted, data map[string][]byte, copies func() (map[string]Copy, error), now time.Time) (Loaded, error) {
	var loaded Loaded
	if json.Unmarshal(data[stateKey], &loaded.Ring) != nil {
		all, err := copies()
		if err != nil {
			return Loaded{}, err
		}
		loaded.Ring = rebuilt(wanted, data, all, now.UTC().Truncate(time.Second))
	}
	keys := loaded.Keys
	loaded.Keys = nil
	for _, k := range keys {
		if k.Removed.IsZero() && !k.hold(wanted.Prefix, data[k.Selector+keySuffix]) {
			all, err := copies()
			if err != nil {
				return Loaded{}, err
			}
			if !k.hold(wanted.Prefix, all[k.Selector].PEM) {
				loaded.Lost = append(loaded.Lost, k.Selector)
				continue
			}
			loaded.Restored = append(loaded.Restored, k.Selector)
		}
		loaded.Keys = append(loaded.Keys, k)
	}
	return loaded, nil
}

// rebuilt lists the keys when nothing says any more what became of them: that which signs, or
// else all that there are. A key that was replaced must not come back.
func rebuilt(wanted Wanted, data map[string][]byte, copies map[string]Copy, now time.Time) Ring {
	// What was asked for before was for another ring.
	ring := Ring{Request: wanted.Request}
	var others []Key
	seen := map[string]bool{}
	add := func(selector string) {
		if seen[selector] || !strings.HasPrefix(selector, wanted.Prefix+"-") {
			return
		}
		seen[selector] = true
		k := Key{Selector: selector, Made: now}
		if copies[selector].Signs {
			k.Found, k.Since, k.Signs = Published, now, now
			ring.Keys = append(ring.Keys, k)
			return
		}
		others = append(others, k)
	}
	for name := range data {
		if selector, ok := strings.CutSuffix(name, keySuffix); ok {
			add(selector)
		}
	}
	for selector := range copies {
		add(selector)
	}
	if ring.Keys == nil {
		ring.Keys = others
	}
	slices.SortFunc(ring.Keys, func(a, b Key) int { return cmp.Compare(a.Selector, b.Selector) })
	return ring
}

// Current is the key in use, nil when there is none yet.
func (r Ring) Current() *Key {
	return r.newest(func(k *Key) bool { return k.live() && !k.Signs.IsZero() })
}

// Next is the key that waits for its record, nil when there is none.
func (r Ring) Next() *Key {
	return r.newest(func(k *Key) bool { return k.live() && k.Signs.IsZero() })
}

// Signing is the key to sign with, nil when a signature could not be verified: the one in use,
// also while the DNS does not answer or shows nothing; where it shows another record, the one
// before it as long as that is published.
func (r Ring) Signing() *Key {
	if current := r.Current(); current != nil && current.Found != Differs {
		return current
	}
	return r.newest(func(k *Key) bool { return k.PEM != nil && !k.Retired.IsZero() && k.Found == Published })
}

// live reports whether the key was not replaced.
func (k *Key) live() bool { return k.Retired.IsZero() && k.Removed.IsZero() }

func (r Ring) newest(is func(*Key) bool) *Key {
	for i := range slices.Backward(r.Keys) {
		if is(&r.Keys[i]) {
			return &r.Keys[i]
		}
	}
	return nil
}
