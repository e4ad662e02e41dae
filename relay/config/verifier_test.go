package config

import (
	"crypto/rand"
	"encoding/base64"
	"reflect"
	"strings"
	"testing"
	"time"
)

func TestVerifierAcceptsOnlyItsPassword(t *testing.T) {
	t.Parallel()
	password := rand.Text()
	v, err := NewVerifier(password)
	if err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		name, password string
		want           bool
	}{
		{"the password", password, true},
		{"empty", "", false},
		{"prefix", password[:len(password)-1], false},
		{"longer", password + "x", false},
		{"other case", strings.ToLower(password), false},
		{"forbidden by SASLprep", "a\u0007b", false},
		{"not UTF-8", "\xff\xfe", false},
		{"very long", strings.Repeat("x", 12288), false},
	} {
		got, err := v.Check(tc.password)
		if err != nil || got != tc.want {
			t.Errorf("%s: Check = %v, %v; want %v", tc.name, got, err, tc.want)
		}
	}
}

func TestVerifierNormalisesWithSASLprep(t *testing.T) {
	t.Parallel()
	v, err := NewVerifier("p\u00aass\u00ad") // ª becomes a, the soft hyphen nothing
	if err != nil {
		t.Fatal(err)
	}
	if ok, err := v.Check("pass"); !ok || err != nil {
		t.Errorf("Check = %v, %v; want the normalised password accepted", ok, err)
	}
}

func TestNewVerifierSaltsAndRefusesBadPasswords(t *testing.T) {
	t.Parallel()
	a, errA := NewVerifier("same")
	b, errB := NewVerifier("same")
	if errA != nil || errB != nil {
		t.Fatal(errA, errB)
	}
	if a.Salt == b.Salt || a.StoredKey == b.StoredKey {
		t.Error("two verifiers of one password are alike")
	}
	for _, password := range []string{"", "a\x00b"} {
		if _, err := NewVerifier(password); err == nil {
			t.Errorf("NewVerifier(%q) gave no error", password)
		}
	}
}

// TestVerifierMatchesRFC7677 uses the example exchange of RFC 7677 §3: the client's proof
// there was computed from these factors.
func TestVerifierMatchesRFC7677(t *testing.T) {
	t.Parallel()
	salt, err := base64.StdEncoding.DecodeString("W22ZaJ0SNY7soEsUEjb6gQ==")
	if err != nil {
		t.Fatal(err)
	}
	got, err := deriveCredentials("pencil", salt, 4096)
	if err != nil {
		t.Fatal(err)
	}
	const wantStored, wantServer = "WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=", "wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU="
	if s := base64.StdEncoding.EncodeToString(got.StoredKey); s != wantStored {
		t.Errorf("StoredKey = %s, want %s", s, wantStored)
	}
	if s := base64.StdEncoding.EncodeToString(got.ServerKey); s != wantServer {
		t.Errorf("ServerKey = %s, want %s", s, wantServer)
	}
}

func TestVerifierValidateNamesTheField(t *testing.T) {
	t.Parallel()
	good, err := NewVerifier(rand.Text())
	if err != nil {
		t.Fatal(err)
	}
	if err := good.Validate(); err != nil {
		t.Errorf("a fresh verifier is invalid: %v", err)
	}
	for _, tc := range []struct {
		field string
		spoil func(*Verifier)
	}{
		{"iterations", func(v *Verifier) { v.Iterations = 4095 }},
		{"iterations", func(v *Verifier) { v.Iterations = 2_000_000 }},
		{"salt", func(v *Verifier) { v.Salt = "" }},
		{"salt", func(v *Verifier) { v.Salt = "not base64!" }},
		{"storedKey", func(v *Verifier) { v.StoredKey = "AAAA" }},
		{"serverKey", func(v *Verifier) { v.ServerKey = "" }},
	} {
		v := good
		tc.spoil(&v)
		err := v.Validate()
		if err == nil || !strings.Contains(err.Error(), tc.field) {
			t.Errorf("Validate = %v, want an error about %s", err, tc.field)
		}
		if ok, err := v.Check("x"); ok || err == nil {
			t.Errorf("Check with a bad %s = %v, %v; want an error", tc.field, ok, err)
		}
	}
}

func BenchmarkVerifierCheck(b *testing.B) {
	v, err := NewVerifier(rand.Text())
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if _, err := v.Check("wrong"); err != nil {
			b.Fatal(err)
		}
	}
}

func TestVerifierSuccessorHasTheSameSalt(t *testing.T) {
	t.Parallel()
	old, err := NewVerifier("old password")
	if err != nil {
		t.Fatal(err)
	}
	next, err := old.Successor("new password")
	if err != nil {
		t.Fatal(err)
	}
	if next.Salt != old.Salt || next.Iterations != old.Iterations || next.StoredKey == old.StoredKey || next.ServerKey == old.ServerKey {
		t.Errorf("successor of %+v is %+v", old, next)
	}
	if ok, err := next.Check("new password"); !ok || err != nil {
		t.Errorf("the new password: %v, %v", ok, err)
	}
	if ok, err := next.Check("old password"); ok || err != nil {
		t.Errorf("the old password: %v, %v", ok, err)
	}
	if _, err := old.Successor(""); err == nil {
		t.Error("an empty password has a verifier")
	}
	if _, err := (Verifier{}).Successor("new password"); err == nil {
		t.Error("a verifier that cannot be used has a successor")
	}
}

func TestPreviousPasswordsEnd(t *testing.T) {
	t.Parallel()
	first, second := Verifier{Salt: "first"}, Verifier{Salt: "second"}
	until := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	for name, tc := range map[string]struct {
		user     User
		at       time.Time
		works    int
		replaced bool
	}{
		"one":           {User{Passwords: []Verifier{first}, PreviousUntil: until}, until, 1, false},
		"no end":        {User{Passwords: []Verifier{first, second}}, until, 2, false},
		"before":        {User{Passwords: []Verifier{first, second}, PreviousUntil: until}, until.Add(-1), 2, true},
		"at the end":    {User{Passwords: []Verifier{first, second}, PreviousUntil: until}, until, 1, true},
		"no password":   {User{PreviousUntil: until}, until, 0, false},
		"after the end": {User{Passwords: []Verifier{first, second}, PreviousUntil: until}, until.Add(time.Hour), 1, true},
	} {
		if got := tc.user.PasswordsAt(tc.at); len(got) != tc.works || tc.works > 0 && got[0] != first {
			t.Errorf("%s: %v work, want %d", name, got, tc.works)
		}
		if tc.user.Replaced(first) || tc.user.Replaced(second) != tc.replaced {
			t.Errorf("%s: replaced is wrong", name)
		}
	}
}

func TestPreviousUntilIsReadBack(t *testing.T) {
	t.Parallel()
	want := time.Date(2026, 3, 1, 12, 0, 0, 0, time.FixedZone("", 3600))
	data, err := MarshalUserFile(&UserFile{Version: Version, Users: []User{{Name: "u", PreviousUntil: want}, {Name: "v"}}})
	if err != nil {
		t.Fatal(err)
	}
	file, err := ParseUserFile(data)
	if err != nil || file.Users[0].PreviousUntil != want.UTC() || !file.Users[1].PreviousUntil.IsZero() {
		t.Errorf("%v, %+v from\n%s", err, file, data)
	}
	_, err = ParseUserFile([]byte("version: 1\nusers:\n- name: u\n  previousUntil: tomorrow\n"))
	if err == nil || !strings.Contains(err.Error(), "users[0].previousUntil") || !strings.Contains(err.Error(), "2026-03-01T12:00:00Z") {
		t.Errorf("error = %v", err)
	}
}

func TestEndsOfCertificatesAreReadBack(t *testing.T) {
	t.Parallel()
	want := []CertificateEnd{{Name: "CN:old", Until: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)}}
	user := User{Name: "u", Certificates: []string{"CN:new", "CN:old"}, CertificateEnds: want}
	data, err := MarshalUserFile(&UserFile{Version: Version, Users: []User{user}})
	if err != nil {
		t.Fatal(err)
	}
	file, err := ParseUserFile(data)
	if err != nil || !reflect.DeepEqual(file.Users[0].CertificateEnds, want) {
		t.Errorf("%v, %+v from\n%s", err, file, data)
	}
	for name, works := range map[string]bool{"CN:new": true, "CN:old": false, "CN:other": false} {
		if user.CertificateAt(name, want[0].Until) != works {
			t.Errorf("%s works: %v", name, !works)
		}
	}
}
