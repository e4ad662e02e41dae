package config

import (
	"fmt"
	"slices"
	"strings"
)

// keptHeaders carry what a message is, or what loops are found by.
var keptHeaders = []string{
	"from", "date", "message-id", "received", "mime-version", "content-type", "content-transfer-encoding",
}

func (m *Message) validateHeader(k *checker) {
	k.oneOf("message.missingFrom", m.MissingFrom, MissingFromAdd, MissingFromRefuse)
	for i, name := range m.DropHeaders {
		field := fmt.Sprintf("message.dropHeaders[%d]", i)
		switch {
		case !isHeaderName(name):
			k.failf(field, "%q is not the name of a header field: write one such as X-Mailer, without a colon", name)
		case slices.Contains(keptHeaders, strings.ToLower(name)):
			k.failf(field, "%s cannot be dropped: without it this is not the same message", name)
		}
	}
	if m.QualifyDomain != "" && !isDomain(m.QualifyDomain) {
		k.failf("message.qualifyDomain", "%q is not a domain: write one such as example.com", m.QualifyDomain)
	}
	for i, r := range m.Rewrite {
		field := fmt.Sprintf("message.rewrite[%d].", i)
		if !isMatch(r.Match) {
			k.failf(field+"match", "%q matches no sender: write an address, a domain, *. and a domain, or *", r.Match)
		}
		if !isDomain(r.To) && (!isAddress(r.To) || !isDomain(r.To[strings.LastIndexByte(r.To, '@')+1:])) {
			k.failf(field+"to", "%q is not an address or domain: write one such as noreply@example.com or example.com", r.To)
		}
	}
}

// isDomain reports whether s is a fully-qualified domain.
func isDomain(s string) bool { return isHostname(s) && strings.Contains(s, ".") }

// isMatch reports whether a Rewrite.Match has a meaning. A host without a dot has one: it is
// matched where nothing qualifies it.
func isMatch(s string) bool {
	return s == "*" || isAddress(s) || isHostname(strings.TrimPrefix(s, "*."))
}

const longestHeaderName = 76

// isHeaderName reports whether s is the name of a header field (RFC 5322 §2.2).
func isHeaderName(s string) bool {
	if s == "" || len(s) > longestHeaderName {
		return false
	}
	return !strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r > '~' || r == ':' })
}
