package controllers

import (
	"time"

	"github.com/mailrelay-dev/mailrelay-operator/controllers/resources"
)

// rotate makes one more generation when it is time, which is all that a rotation is.
func (s *scope) rotate() {
	at := s.rotationTime()
	if at.IsZero() {
		return
	}
	if !at.After(s.facts.Now) {
		s.trust.Newest++
		s.memory.newestCA = s.trust.Newest
		return
	}
	s.again(at.Sub(s.facts.Now))
}

func (s *scope) rotationTime() time.Time {
	asked := s.relay.Annotations[resources.RotateCAAnnotation]
	return s.trust.RotationTime(asked != "" && asked != s.rotationOf(s.trust.Newest), resources.CAOverlap(s.relay))
}

// rotationOf is the value of RotateCAAnnotation that a generation was made for, or is made for
// now.
func (s *scope) rotationOf(number int) string {
	for i := range s.trust.All {
		if g := &s.trust.All[i]; g.Number == number && g.Wanted {
			return g.Rotation
		}
	}
	return s.relay.Annotations[resources.RotateCAAnnotation]
}
