package controllers

import (
	"slices"
	"strings"
	"time"

	"github.com/mailrelay-dev/mailrelay-operator/api/v1alpha1"
	"github.com/mailrelay-dev/mailrelay-operator/controllers/resources"
	"github.com/mailrelay-dev/mailrelay-operator/relay/config"
)

// takeKey takes up the certificate that a Secret holds. The one that was the present one until
// now becomes the one before.
func (p *proofs) takeKey(name string, h record) {
	p.keyLeaked = h.leaked
	var previous []string
	switch at := slices.Index(p.keys, name); {
	case at == 0:
		previous = p.keys[1:]
	case len(p.keys) > 0:
		previous = p.keys[:1]
	}
	p.keys = append([]string{name}, previous...)
	if !h.previousUntil.IsZero() {
		p.keyUntil = h.previousUntil
	}
}

// expireKeys drops the key before the present one when its time is over.
func (p *proofs) expireKeys(now time.Time) {
	if len(p.keys) > 1 && !now.Before(p.keyUntil) {
		p.keys = p.keys[:1]
	}
	if len(p.keys) < 2 {
		p.keyUntil = time.Time{}
	}
}

// forgetKeys ends them. The Secret is read again: what it holds may count again later.
func (p *proofs) forgetKeys() {
	if len(p.keys) > 0 {
		p.keys, p.keyUntil, p.version = nil, time.Time{}, version{}
	}
}

// recallKeys takes them from the list that the relay has. A key without an end that is not the
// first was to be the next one, which ended with the operator that made it.
func (p *proofs) recallKeys(user *v1alpha1.RelayUser, written *config.User) {
	for i, name := range written.Certificates {
		key, ours := strings.CutPrefix(name, resources.ClientName(user, ""))
		end := slices.IndexFunc(written.CertificateEnds, func(e config.CertificateEnd) bool { return e.Name == name })
		switch {
		case !ours:
		case i == 0:
			p.keys = []string{key}
		case end >= 0 && len(p.keys) == 1:
			p.keys, p.keyUntil = append(p.keys, key), written.CertificateEnds[end].Until
		}
	}
}

// certificates are the names in client certificates that the relay takes a user by: that of the
// key in its Secret, that of the one before with its end, and that of the next one, so that an
// app finds no key in its Secret that the relay does not know.
func (p *proofs) certificates(user *v1alpha1.RelayUser, next *newKey) (names []string, ends []config.CertificateEnd) {
	for i, key := range p.keys {
		name := resources.ClientName(user, key)
		names = append(names, name)
		if i > 0 {
			ends = append(ends, config.CertificateEnd{Name: name, Until: p.keyUntil})
		}
	}
	if len(p.keys) > 0 && next != nil && !slices.Contains(p.keys, next.name) {
		names = append(names, resources.ClientName(user, next.name))
	}
	return names, ends
}
