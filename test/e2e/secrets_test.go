//go:build e2e

package e2e

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
)

// secrets are all passwords, keys and tokens that a run of the suite has used, and what they
// must not be in. The first is filled while tests run, the second when what they made goes.
type secrets struct {
	mu sync.Mutex
	// found is where a secret is from, by its value.
	found map[string]string
	// ofApps are the values that apps log in with.
	ofApps map[string]bool
	papers []paper
}

// paper is something that must hold no secret.
type paper struct {
	// kind is what it is one of, such as "log".
	kind, name, text string
	// provider is set where the provider's credentials belong, and no app's.
	provider bool
}

// shortestSecret keeps words such as "relay" from being taken for secrets.
const shortestSecret = 12

// learn takes note of a secret. Tests call it for what is in no Secret, such as a token.
func (s *secrets) learn(value, from string, ofApp bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	// Of a PEM block, whose lines a log would write in other ways, the second line.
	if strings.HasPrefix(value, "-----BEGIN") {
		lines := strings.Split(value, "\n")
		value = lines[min(2, len(lines)-1)]
	}
	value = strings.TrimSpace(value)
	if len(value) < shortestSecret {
		return
	}
	if s.found == nil {
		s.found, s.ofApps = map[string]string{}, map[string]bool{}
	}
	if s.found[value] == "" {
		s.found[value] = from
	}
	s.ofApps[value] = s.ofApps[value] || ofApp
}

// search keeps a text to be searched when all secrets are known.
func (s *secrets) search(p paper) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.papers = append(s.papers, p)
}

// leak is a secret that was found where it must not be.
type leak struct{ kind, where, secret string }

// leaks searches all papers. It never returns a secret itself, but where that is from.
func (s *secrets) leaks() []leak {
	s.mu.Lock()
	defer s.mu.Unlock()
	forms := map[string][]form{}
	for value, from := range s.found {
		for _, text := range written(value) {
			start := text[:prefixSize]
			forms[start] = append(forms[start], form{text: text, from: from, ofApp: s.ofApps[value]})
		}
	}
	found := map[leak]bool{}
	for _, p := range s.papers {
		for i := 0; i+prefixSize <= len(p.text); i++ {
			for _, f := range forms[p.text[i:i+prefixSize]] {
				if strings.HasPrefix(p.text[i:], f.text) && (f.ofApp || !p.provider) {
					found[leak{p.kind, p.name, f.from}] = true
				}
			}
		}
	}
	return slices.SortedFunc(maps.Keys(found), func(a, b leak) int {
		return strings.Compare(a.kind+a.where+a.secret, b.kind+b.where+b.secret)
	})
}

// form is one way in which a secret can be written.
type form struct {
	text, from string
	ofApp      bool
}

// prefixSize is how much of a form finds candidates.
const prefixSize = 8

// written are the ways in which a secret may stand in a text: as it is, and within base64 of
// something longer, where it can begin at each of three places.
func written(value string) []string {
	forms := []string{value}
	for before := range 3 {
		text := base64.RawStdEncoding.EncodeToString(append(bytes.Repeat([]byte{0}, before), value...))
		// The first and the last letters depend on what is around it.
		forms = append(forms, text[(before*8+5)/6:len(text)-1])
	}
	return forms
}

// counted is how much was searched, by kind.
func (s *secrets) counted() (counts map[string]int, lines int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	counts = map[string]int{}
	for _, p := range s.papers {
		counts[p.kind]++
		lines += strings.Count(p.text, "\n") + 1
	}
	return counts, lines
}

func TestSecretIsFoundInEachFormThatItTravelsIn(t *testing.T) {
	t.Parallel()
	const password = "jV9bYx-mHn4WZs0uKqT_l2ErA8dcf6oP7gGiRtSvUwX"
	encode := base64.StdEncoding.EncodeToString
	for name, text := range map[string]string{
		"as it is":          "login failed: " + password + "!",
		"in a Secret":       `{"data":{"password":"` + encode([]byte(password)) + `"}}`,
		"in AUTH PLAIN":     "AUTH PLAIN " + encode([]byte("\x00app.shop\x00"+password)),
		"of another user":   "AUTH PLAIN " + encode([]byte("\x00apps.shop\x00"+password)),
		"of a third user":   "AUTH PLAIN " + encode([]byte("\x00apps.shops\x00"+password)),
		"in a token's JSON": encode([]byte(`{"a":"` + password + `","b":1}`)),
	} {
		var s secrets
		s.learn("short", "a word", true)
		s.learn(password, "Secret shop/app", true)
		s.search(paper{kind: "log", name: "other", text: "nothing " + encode([]byte(password[:20]))})
		s.search(paper{kind: "log", name: "here", text: text})
		if got := fmt.Sprint(s.leaks()); got != "[{log here Secret shop/app}]" {
			t.Errorf("%s: found %s", name, got)
		}
	}
	var s secrets
	s.learn(password, "provider", false)
	s.search(paper{kind: "configuration", name: "upstreams", text: password, provider: true})
	if got := s.leaks(); len(got) > 0 {
		t.Errorf("the provider's password among those of upstreams: %v", got)
	}
}
