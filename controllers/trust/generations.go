package trust

import (
	"crypto/x509"
	"slices"
	"time"
)

// Generation is one key of the CA. Its certificate is never renewed: the next generation
// replaces it.
type Generation struct {
	// Number counts from 1.
	Number int
	// Certificate of the CA; nil while it is not issued.
	Certificate *x509.Certificate
	// Issues is set while its Issuer exists. What it has signed may be in use until then.
	Issues bool
	// Wanted is set while its Certificate exists: who deletes that wants it to go.
	Wanted bool
	// Rotation is the value of the annotation that it was made for; empty for none.
	Rotation string
}

// Role is what a generation is for.
type Role string

// The roles, in the order in which a generation has them.
const (
	// Next signs nothing. Apps trust it already, so that it can take over at any time.
	Next Role = "Next"
	// Signing signs what the relay shows, and certificates of clients.
	Signing Role = "Signing"
	// Leaving has been replaced; some pod may still show what it has signed.
	Leaving Role = "Leaving"
	// ClientsOnly signs nothing, and apps do not trust it. The relay accepts the certificates of
	// clients that it has signed until they have expired.
	ClientsOnly Role = "ClientsOnly"
)

// Generations are those of one relay.
type Generations struct {
	// All are sorted by their numbers.
	All []Generation
	// Newest is the number of the newest, which is at least 2: there is always a next one.
	Newest int
	// Leaf is what the relay shows under its in-cluster names, as it is in its Secret, and
	// LeafCA what signed it; both are nil while there is none.
	Leaf, LeafCA *x509.Certificate
	// Published is since when apps are given the bundle that they are given now; zero while it
	// lacks the newest generation.
	Published time.Time
}

// Signing is the number of the generation that signs: the one before the newest. So making one
// more is all that it takes to rotate, and there is nothing else to remember.
func (g *Generations) Signing() int { return g.Newest - 1 }

// Role of a generation.
func (g *Generations) Role(generation *Generation) Role {
	switch {
	case generation.Number >= g.Newest:
		return Next
	case generation.Number == g.Signing():
		return Signing
	case generation.Issues:
		return Leaving
	default:
		return ClientsOnly
	}
}

// Next is the certificate of the generation that is next; nil while it is not issued.
func (g *Generations) Next() *x509.Certificate { return g.find(g.Newest) }

// find returns a generation that is issued, nil when there is none of that number.
func (g *Generations) find(number int) *x509.Certificate {
	for i := range g.All {
		if g.All[i].Number == number {
			return g.All[i].Certificate
		}
	}
	return nil
}

// Apps are the CAs that apps must trust: the one that signs, the next, those that are leaving,
// and whatever signed the certificate that is shown. There are none as long as there is only
// one: a bundle without the next generation would be of no use at the first rotation.
func (g *Generations) Apps() []*x509.Certificate {
	var bundle []*x509.Certificate
	for i := range g.All {
		if g.All[i].Certificate != nil && g.Role(&g.All[i]) != ClientsOnly {
			bundle = append(bundle, g.All[i].Certificate)
		}
	}
	if len(bundle) < 2 {
		return nil
	}
	if g.LeafCA != nil && !slices.ContainsFunc(bundle, g.LeafCA.Equal) {
		bundle = append(bundle, g.LeafCA)
	}
	return bundle
}

// Clients are the CAs whose client certificates the relay accepts, and whose server
// certificates the operator accepts of its pods.
func (g *Generations) Clients() []*x509.Certificate {
	var bundle []*x509.Certificate
	for i := range g.All {
		if g.All[i].Certificate != nil {
			bundle = append(bundle, g.All[i].Certificate)
		}
	}
	if g.LeafCA != nil && !slices.ContainsFunc(bundle, g.LeafCA.Equal) {
		bundle = append(bundle, g.LeafCA)
	}
	return bundle
}

// TakenOver reports whether the certificate that is shown comes from the generation that signs
// now, and the next one is issued: from then on apps need nothing older.
func (g *Generations) TakenOver() bool {
	signing := g.find(g.Signing())
	return signing != nil && g.LeafCA != nil && g.LeafCA.Equal(signing) && g.find(g.Newest) != nil
}
