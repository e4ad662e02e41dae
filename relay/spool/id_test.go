package spool

import (
	"context"
	"errors"
	"regexp"
	"slices"
	"testing"
	"time"
)

func TestIDsAreUniqueWellFormedAndSortByTime(t *testing.T) {
	t.Parallel()
	form := regexp.MustCompile(`^[0-9a-z]{20}$`)
	c := newClock()
	seen := make(map[string]bool)
	var last string
	for range 1000 {
		now := c.Now()
		var sameTime []string
		for range 5 {
			id := newID(now)
			if seen[id] || !form.MatchString(id) || !validID(id) {
				t.Fatalf("id %q", id)
			}
			seen[id] = true
			sameTime = append(sameTime, id)
		}
		if slices.Min(sameTime) <= last {
			t.Fatalf("%s does not sort after %s", slices.Min(sameTime), last)
		}
		last = slices.Max(sameTime)
		c.Advance(time.Millisecond)
	}
}

func TestOnlyIDsReachTheDisk(t *testing.T) {
	t.Parallel()
	s := mustOpen(t, memory(t))
	for _, id := range []string{
		"", "..", "../../etc/passwd", "/etc/passwd", "0123456789012345678/", "0123456789012345678A",
		"01234567890123456789a", "012345678901234567\x00a", "....................", "q/012345678901234567",
	} {
		_, envelopeErr := s.Envelope(id)
		_, openErr := s.Open(id)
		updateErr := s.Update(context.Background(), &Envelope{ID: id})
		for _, err := range []error{envelopeErr, openErr, updateErr} {
			if !errors.Is(err, ErrNotFound) {
				t.Errorf("%q: %v, want ErrNotFound", id, err)
			}
		}
		if err := s.Remove(context.Background(), id); err != nil {
			t.Errorf("remove %q: %v", id, err)
		}
	}
}

func FuzzRecord(f *testing.F) {
	good, err := encodeRecord(content{inFile: true, size: 9, sum: 7}, envelopeTo("bob@example.net"))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	f.Add([]byte{})
	f.Add(good[:contentLen])
	f.Fuzz(func(t *testing.T, record []byte) {
		envelope, err := decodeEnvelope(record)
		if err != nil {
			return
		}
		c, err := decodeContent(record)
		if err != nil {
			t.Fatal("an envelope without its head")
		}
		again, err := encodeRecord(c, envelope)
		if err != nil {
			t.Skip("times out of JSON's range")
		}
		if second, err := decodeContent(again); err != nil || second != c {
			t.Fatalf("%+v became %+v, %v", c, second, err)
		}
	})
}
