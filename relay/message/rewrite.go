package message

import (
	"bytes"
	"strings"
)

// Rewriter turns the sender addresses that clients use into those that messages leave with.
// The zero Rewriter changes nothing.
type Rewriter struct {
	// QualifyDomain takes the place of a missing domain, of one without a dot and of
	// localhost.localdomain; empty leaves them.
	QualifyDomain string
	// Rules are tried in order on what was qualified; the first that matches is applied.
	Rules []Rule
}

// Rule changes an address.
type Rule struct {
	// Match is an address, a domain, "*." and a domain for what is below it, or "*" for all.
	// Case is ignored.
	Match string
	// To is the new address, or the new domain for the same local-part.
	To string
}

// Sender returns the address to use for a sender. The empty address is the null reverse-path,
// which stays.
func (r *Rewriter) Sender(address string) string {
	if address == "" {
		return ""
	}
	return r.rewrite(r.qualify(address))
}

// qualify gives an address its domain. What is no address is left for others to refuse.
func (r *Rewriter) qualify(address string) string {
	if r.QualifyDomain == "" {
		return address
	}
	local, domain := address, ""
	if at := strings.LastIndexByte(address, '@'); at >= 0 {
		local, domain = address[:at], address[at+1:]
		if domain == "" || strings.ContainsAny(domain, ".[:") && !strings.EqualFold(domain, "localhost.localdomain") {
			return address
		}
	}
	if checkLocalPart(local) != nil {
		return address
	}
	return local + "@" + r.QualifyDomain
}

func (r *Rewriter) rewrite(address string) string {
	at := strings.LastIndexByte(address, '@')
	if at < 0 {
		return address
	}
	for _, rule := range r.Rules {
		if !rule.matches(address, address[at+1:]) {
			continue
		}
		if strings.Contains(rule.To, "@") {
			return rule.To
		}
		return address[:at+1] + rule.To
	}
	return address
}

func (r Rule) matches(address, domain string) bool {
	if r.Match == "*" {
		return true
	}
	if below, ok := strings.CutPrefix(r.Match, "*"); ok {
		return len(domain) > len(below) && strings.EqualFold(domain[len(domain)-len(below):], below)
	}
	if strings.Contains(r.Match, "@") {
		return strings.EqualFold(address, r.Match)
	}
	return strings.EqualFold(domain, r.Match)
}

// RewriteSenders applies the rewriter to the header: From and Sender, and those of a message
// that was sent again (RFC 5322 §3.6.6), are qualified and rewritten; Reply-To is only qualified, since it is where the author wants answers. Display
// names and comments stay as they are.
func (h *Header) RewriteSenders(r *Rewriter) {
	for i := range h.fields {
		f := &h.fields[i]
		switch {
		case f.namesSender():
			f.mapAddresses(r.Sender)
		case f.name == "reply-to":
			f.mapAddresses(r.qualify)
		}
	}
}

// namesSender reports whether the field says who the message is from.
func (f *field) namesSender() bool {
	switch f.name {
	case "from", "sender", "resent-from", "resent-sender":
		return true
	}
	return false
}

// mapAddresses puts change(address) in the place of every address of the field.
func (f *field) mapAddresses(change func(string) string) {
	start := bytes.IndexByte(f.raw, ':') + 1
	var out []byte
	done := 0
	for _, s := range addressSpans(f.raw[start:]) {
		address := string(f.raw[start+s.start : start+s.end])
		changed := change(address)
		if changed == address {
			continue
		}
		out = append(out, f.raw[done:start+s.start]...)
		out = append(out, changed...)
		done = start + s.end
	}
	if done > 0 {
		f.raw = append(out, f.raw[done:]...)
	}
}
