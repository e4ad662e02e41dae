package trust

import (
	"crypto/x509"
	"slices"
	"time"
)

// together is how far apart two generations are made at most that are made at the same time.
const together = 10 * time.Minute

// RotationTime is when the next generation takes over: when it has lived a third of its life,
// of which it then signs for another third; or, when someone asks for it or the key is lost
// that signed what is shown, as soon as the next generation has been published for the time
// that apps need to see it. It is the zero time while that cannot be told.
func (g *Generations) RotationTime(asked bool, overlap time.Duration) time.Time {
	signing, next := g.find(g.Signing()), g.Next()
	if signing == nil || next == nil {
		return time.Time{}
	}
	due, lost := earlier(age(next, 1), age(signing, 2)), g.keyLost()
	if asked || lost {
		due = next.NotBefore
	}
	// No app was ever given the first generation without the second.
	if g.Newest == 2 && !lost && next.NotBefore.Sub(signing.NotBefore).Abs() < together {
		return due
	}
	if g.Published.IsZero() {
		return time.Time{}
	}
	return later(due, later(next.NotBefore, g.Published).Add(overlap))
}

// keyLost reports whether none of the generations signed the certificate that is shown:
// someone deleted a Secret, and cert-manager made another key for that generation.
func (g *Generations) keyLost() bool {
	return g.LeafCA != nil && !slices.ContainsFunc(g.All, func(one Generation) bool {
		return one.Certificate != nil && one.Certificate.Equal(g.LeafCA)
	})
}

// age is when a certificate has lived so many thirds of its life.
func age(certificate *x509.Certificate, thirds time.Duration) time.Time {
	return certificate.NotBefore.Add(certificate.NotAfter.Sub(certificate.NotBefore) / 3 * thirds)
}

// Expired reports whether nothing that a generation has signed is valid any more, where that
// lives no longer than lifetime. A generation stops to sign when the next but one is made.
func (g *Generations) Expired(number int, lifetime time.Duration, now time.Time) bool {
	certificate := g.find(number)
	if certificate == nil || now.After(certificate.NotAfter) {
		return true
	}
	for later := number + 2; later <= g.Newest; later++ {
		if successor := g.find(later); successor != nil {
			return now.After(successor.NotBefore.Add(lifetime))
		}
	}
	return false
}

func earlier(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}
