package controllers

import (
	"crypto/rand"
	"slices"
	"testing"
	"time"

	"github.com/mailrelay-dev/mailrelay-operator/relay/config"
)

func verifierFor(t *testing.T, password string) config.Verifier {
	t.Helper()
	v, err := config.NewVerifier(password)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// fits are the names of the passwords that verifiers were made of, in order.
func fits(t *testing.T, verifiers []config.Verifier, passwords map[string]string) []string {
	t.Helper()
	var names []string
	for _, v := range verifiers {
		for name, password := range passwords {
			if ok, err := v.Check(password); err == nil && ok {
				names = append(names, name)
			}
		}
	}
	return names
}

// The operator may stop between any two of its writes, and knows afterwards only what is in
// the shard and in the Secret.
func TestPasswordsFollowTheSecret(t *testing.T) {
	t.Parallel()
	passwords := map[string]string{"old": rand.Text(), "present": rand.Text(), "next": rand.Text()}
	present := verifierFor(t, passwords["present"])
	successor := func(name string) config.Verifier {
		v, err := present.Successor(passwords[name])
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
	old, next := successor("old"), successor("next")
	later, earlier := noon.Add(time.Hour), noon.Add(-time.Hour)
	for _, tc := range []struct {
		name   string
		shard  []config.Verifier
		until  time.Time
		secret string
		ends   time.Time
		want   []string
	}{
		{"the first", nil, time.Time{}, "present", later, []string{"present"}},
		{"nothing new", []config.Verifier{present}, time.Time{}, "present", later, []string{"present"}},
		{"within the overlap", []config.Verifier{present, old}, later, "present", later, []string{"present", "old"}},
		{"the overlap is over", []config.Verifier{present, old}, earlier, "present", earlier, []string{"present"}},
		{"spec makes the overlap shorter", []config.Verifier{present, old}, later, "present", earlier, []string{"present"}},
		{"prepared, and in the Secret", []config.Verifier{present, next}, time.Time{}, "next", later, []string{"next", "present"}},
		{"prepared, and given up", []config.Verifier{present, next}, time.Time{}, "present", later, []string{"present"}},
		{"prepared, given up, and another", []config.Verifier{present, old}, time.Time{}, "next", later, []string{"next", "present"}},
		{"not prepared", []config.Verifier{present}, time.Time{}, "next", later, []string{"next", "present"}},
		{"again within the overlap", []config.Verifier{present, old}, later, "next", later, []string{"next", "present"}},
		{"leaked", []config.Verifier{present, old}, later, "next", noon, []string{"next"}},
	} {
		p := proofs{passwords: slices.Clone(tc.shard), previousUntil: tc.until}
		if err := p.take(heldPassword{record{previousUntil: tc.ends, leaked: "x"}, []byte(passwords[tc.secret])}); err != nil {
			t.Fatal(err)
		}
		p.expire(noon)
		accepted, until := p.accepted()
		if got := fits(t, accepted, passwords); !slices.Equal(got, tc.want) || p.leaked != "x" {
			t.Errorf("%s: accepted are %v, want %v", tc.name, got, tc.want)
		}
		if wantUntil := tc.ends; len(tc.want) > 1 && !until.Equal(wantUntil) || len(tc.want) == 1 && !until.IsZero() {
			t.Errorf("%s: the one before ends at %s, want %s", tc.name, until, wantUntil)
		}
		for _, v := range accepted {
			if v.Salt != accepted[0].Salt {
				t.Errorf("%s: SCRAM cannot accept both", tc.name)
			}
		}
	}
}

func TestNextPasswordIsAcceptedBesideThePresentOne(t *testing.T) {
	t.Parallel()
	passwords := map[string]string{"old": rand.Text(), "present": rand.Text(), "next": rand.Text()}
	present := verifierFor(t, passwords["present"])
	p := proofs{passwords: []config.Verifier{present, verifierFor(t, passwords["old"])}, previousUntil: noon}
	wanted := &preparation{password: passwords["next"]}
	for range 2 {
		if err := p.prepare(wanted); err != nil {
			t.Fatal(err)
		}
		verifiers, until := p.accepted()
		if got := fits(t, verifiers, passwords); !slices.Equal(got, []string{"present", "next"}) || !until.IsZero() {
			t.Fatalf("accepted are %v, until %v", got, until)
		}
	}
	prepared := p.next.verifier
	withNext := p
	if err := withNext.take(heldPassword{record{previousUntil: noon.Add(1)}, []byte(passwords["next"])}); err != nil {
		t.Fatal(err)
	}
	if verifiers, _ := withNext.accepted(); verifiers[0] != prepared || verifiers[1] != present {
		t.Error("the verifier that the pods know was made anew")
	}
	if err := p.prepare(nil); err != nil {
		t.Fatal(err)
	}
	if verifiers, _ := p.accepted(); len(verifiers) != 2 || verifiers[0] != present {
		t.Error("a preparation that was given up leaves a trace")
	}
}
