package controllers

import (
	"crypto/x509"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/mailrelay-dev/mailrelay-operator/api/v1alpha1"
	"github.com/mailrelay-dev/mailrelay-operator/controllers/resources"
	"github.com/mailrelay-dev/mailrelay-operator/relay/config"
)

const day = 24 * time.Hour

// keyOfAge is a certificate with a life of 90 days that was issued so long ago.
func keyOfAge(age time.Duration, h record) heldKey {
	h.issued = noon.Add(-age)
	return heldKey{record: h, issuer: "relay-ca-1", pair: &clientPair{leaf: &x509.Certificate{NotBefore: h.issued, NotAfter: h.issued.Add(90 * day)}}}
}

// A key is judged as a password is, and besides by its certificate.
func TestJudgeOfAKey(t *testing.T) {
	t.Parallel()
	asked := func(rotate, leaked string) map[string]string {
		return map[string]string{v1alpha1.AnnotationRotate: rotate, v1alpha1.AnnotationLeaked: leaked}
	}
	gone := heldKey{record: record{leaked: "1"}, unusable: errors.New("the Secret has none that the operator made")}
	signs := clientSigner{issuer: "relay-ca-1", since: noon.Add(-100 * day)}
	for _, tc := range []struct {
		name     string
		asked    map[string]string
		interval time.Duration
		held     heldKey
		signer   clientSigner
		want     replacement
		why      string
	}{
		{name: "nothing is asked for", held: keyOfAge(50*day, record{}), signer: signs},
		{name: "none", held: gone, signer: signs, want: replacement{due: true}, why: "has none that the operator made"},
		{name: "none, after a leak", asked: asked("", "1"), held: gone, signer: signs, want: replacement{due: true}, why: "has none"},
		{name: "none, and a leak", asked: asked("", "2"), held: gone, signer: signs, want: replacement{due: true, atOnce: true}, why: "has leaked"},
		{name: "by annotation", asked: asked("1", ""), held: keyOfAge(0, record{}), signer: signs, want: replacement{due: true, unhurried: true}, why: "asks for it"},
		{name: "by annotation, done", asked: asked("1", ""), held: keyOfAge(0, record{rotate: "1"}), signer: signs},
		{name: "leaked", asked: asked("", "1"), held: keyOfAge(0, record{}), signer: signs, want: replacement{due: true, atOnce: true}, why: "has leaked"},
		{name: "the interval is over", interval: 10 * day, held: keyOfAge(10*day, record{}), signer: signs, want: replacement{due: true, unhurried: true}, why: "spec.rotation.interval"},
		{name: "old", held: keyOfAge(60*day, record{}), signer: signs, want: replacement{due: true, unhurried: true, renewal: true}, why: "its certificate ends at"},
		{name: "old, and asked for", asked: asked("1", ""), held: keyOfAge(60*day, record{}), signer: signs, want: replacement{due: true, unhurried: true}, why: "asks for it"},
		{name: "another Issuer has just begun to sign", held: keyOfAge(day, record{}), signer: clientSigner{issuer: "relay-ca-2", since: noon}},
		{name: "nobody knows since when it signs", held: keyOfAge(day, record{}), signer: clientSigner{issuer: "relay-ca-2"}},
		{name: "another Issuer signs", held: keyOfAge(day, record{}), signer: clientSigner{issuer: "relay-ca-2", since: noon.Add(-reissueTime)}, want: replacement{due: true, unhurried: true, renewal: true}, why: "Issuer relay-ca-2 signs"},
	} {
		user := &v1alpha1.RelayUser{ObjectMeta: metav1.ObjectMeta{UID: "1", Annotations: tc.asked}}
		if tc.interval != 0 {
			user.Spec.Rotation = &v1alpha1.Rotation{Interval: &metav1.Duration{Duration: tc.interval}}
		}
		got := tc.held.judge(user, tc.signer, noon)
		if !strings.Contains(got.why, tc.why) || (got.why == "") == got.due {
			t.Errorf("%s: why is %q", tc.name, got.why)
		}
		if got.why = ""; got != tc.want {
			t.Errorf("%s: %+v, want %+v", tc.name, got, tc.want)
		}
		if tc.held.pair == nil || !got.due {
			continue
		}
		fresh := tc.held.replaced(user, keyOfAge(0, record{}).pair, tc.signer.issuer, got, noon)
		if again := fresh.judge(user, tc.signer, noon); again.due {
			t.Errorf("%s: what it asked for is asked for again: %+v", tc.name, again)
		}
		want := noon.Add(defaultOverlap)
		switch {
		case got.atOnce:
			want = noon
		case got.renewal:
			want = tc.held.pair.leaf.NotAfter
		}
		if until := fresh.kept(user).previousUntil; !until.Equal(want) {
			t.Errorf("%s: the one before ends at %s, want %s", tc.name, until, want)
		}
	}
}

// All users of a relay get a certificate of another CA, or were made on one day: not at once.
func TestCertificatesAreRenewedApart(t *testing.T) {
	t.Parallel()
	const users = 1000
	renewals, reissues := map[int]int{}, map[int]int{}
	h := keyOfAge(0, record{})
	signer := clientSigner{issuer: "relay-ca-2", since: noon.Add(10 * day)}
	for i := range users {
		user := &v1alpha1.RelayUser{ObjectMeta: metav1.ObjectMeta{UID: types.UID(fmt.Sprint(i))}}
		renewal, reissue := h.renewal(user).Sub(noon), h.reissue(user, signer).Sub(signer.since)
		if renewal < 54*day || renewal > 60*day || reissue < 0 || reissue > day {
			t.Fatalf("renewed after %s, and %s after the change of the Issuer", renewal, reissue)
		}
		if next := h.next(user, signer); !next.Equal(signer.since.Add(reissue)) {
			t.Fatalf("the next one is at %s", next)
		}
		renewals[int((renewal-54*day)/(6*day/10))]++
		reissues[int(reissue/(day/10))]++
	}
	for part := range 10 {
		if renewals[part] > users/5 || reissues[part] > users/5 {
			t.Errorf("in part %d of ten %d are renewed, and %d for another Issuer", part, renewals[part], reissues[part])
		}
	}
}

// As for passwords: what is known after a stop is in the shard and in the Secret.
func TestKeysFollowTheSecret(t *testing.T) {
	t.Parallel()
	user := &v1alpha1.RelayUser{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "app"}}
	later, earlier := noon.Add(time.Hour), noon.Add(-time.Hour)
	name := func(key string) string { return resources.ClientName(user, key) }
	ending := func(key string, at time.Time) []config.CertificateEnd {
		return []config.CertificateEnd{{Name: name(key), Until: at}}
	}
	for _, tc := range []struct {
		name   string
		shard  config.User
		secret string
		ends   time.Time
		want   []string
	}{
		{"the first", config.User{}, "present", later, []string{"present"}},
		{"nothing new", config.User{Certificates: []string{name("present")}}, "present", later, []string{"present"}},
		{"within the overlap", config.User{Certificates: []string{name("present"), name("old")}, CertificateEnds: ending("old", later)}, "present", later, []string{"present", "old"}},
		{"the overlap is over", config.User{Certificates: []string{name("present"), name("old")}, CertificateEnds: ending("old", earlier)}, "present", earlier, []string{"present"}},
		{"spec makes the overlap shorter", config.User{Certificates: []string{name("present"), name("old")}, CertificateEnds: ending("old", later)}, "present", earlier, []string{"present"}},
		{"announced, and in the Secret", config.User{Certificates: []string{name("present"), name("next")}}, "next", later, []string{"next", "present"}},
		{"announced, and given up", config.User{Certificates: []string{name("present"), name("next")}}, "present", later, []string{"present"}},
		{"announced within the overlap", config.User{Certificates: []string{name("present"), name("old"), name("next")}, CertificateEnds: ending("old", later)}, "present", later, []string{"present", "old"}},
		{"not announced", config.User{Certificates: []string{name("present")}}, "next", later, []string{"next", "present"}},
		{"leaked", config.User{Certificates: []string{name("present"), name("old")}, CertificateEnds: ending("old", later)}, "next", noon, []string{"next"}},
		{"the Secret has none of the operator's", config.User{Certificates: []string{name("present"), name("old")}, CertificateEnds: ending("old", later)}, "", time.Time{}, []string{"present", "old"}},
		{"somebody else's name", config.User{Certificates: []string{"CN:app"}}, "", time.Time{}, nil},
	} {
		p := proofs{}
		p.recallKeys(user, &tc.shard)
		if tc.secret != "" {
			p.takeKey(tc.secret, record{previousUntil: tc.ends, leaked: "x"})
		}
		p.expireKeys(noon)
		if !slices.Equal(p.keys, tc.want) || tc.secret != "" && p.keyLeaked != "x" {
			t.Errorf("%s: keys are %q, want %q", tc.name, p.keys, tc.want)
		}
		names, ends := p.certificates(user, &newKey{name: "another"})
		if len(tc.want) == 0 {
			if len(names) > 0 {
				t.Errorf("%s: a first key is announced: %q", tc.name, names)
			}
			continue
		}
		if names[len(names)-1] != name("another") || len(names) != len(tc.want)+1 || len(ends) != len(tc.want)-1 {
			t.Errorf("%s: the relay is told of %q, ending %v", tc.name, names, ends)
		}
		for _, end := range ends {
			if end.Name != names[1] || !end.Until.Equal(later) {
				t.Errorf("%s: ends %v", tc.name, ends)
			}
		}
	}
}

// What has leaked does not come back by an edit that comes before the relay's loop has seen the
// answer; and taking the request back takes up again what the Secret holds.
func TestWhatHasLeakedIsForgotten(t *testing.T) {
	t.Parallel()
	user := &v1alpha1.RelayUser{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "app"}}
	user.Spec.Authentication = &v1alpha1.UserAuthentication{
		Password: &v1alpha1.PasswordAuthentication{}, ClientCertificate: &v1alpha1.ClientCertificateAuthentication{},
	}
	p := proofs{version: version{uid: "1"}, passwords: []config.Verifier{{Salt: "a"}}, keys: []string{"old"}}
	p.end(user)
	if len(p.passwords) != 1 || len(p.keys) != 1 || p.version.uid != "1" {
		t.Fatalf("%+v without a leak", p)
	}
	user.Annotations = map[string]string{v1alpha1.AnnotationLeaked: "1"}
	p.end(user)
	if p.complete(user) || p.version != (version{}) {
		t.Fatalf("%+v after it", p)
	}
	p.takeKey("new", record{leaked: "1", previousUntil: noon.Add(time.Hour)})
	p.end(user)
	if p.expireKeys(noon); !slices.Equal(p.keys, []string{"new"}) {
		t.Errorf("keys are %q", p.keys)
	}
	user.Spec.Authentication.ClientCertificate = nil
	if p.end(user); p.complete(user) {
		t.Error("a kind that spec does not ask for any more lets in")
	}
}
