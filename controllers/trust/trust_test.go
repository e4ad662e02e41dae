package trust

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"math/big"
	"slices"
	"testing"
	"time"
)

var start = time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)

const (
	day  = 24 * time.Hour
	life = 6 * 365 * day
)

// newCA is a certificate made so long after the start.
func newCA(t *testing.T, number int, after time.Duration) *x509.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		Subject: pkix.Name{CommonName: fmt.Sprint("CA ", number)}, SerialNumber: big.NewInt(int64(number)),
		NotBefore: start.Add(after), NotAfter: start.Add(after + life), IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	certificate, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return certificate
}

// made are generations with these numbers and times, of which the first issues what is shown.
func made(t *testing.T, first int, after ...time.Duration) *Generations {
	t.Helper()
	g := &Generations{}
	for i, at := range after {
		g.All = append(g.All, Generation{Number: first + i, Certificate: newCA(t, first+i, at), Issues: true, Wanted: true})
	}
	g.LeafCA = g.All[0].Certificate
	g.Published = start
	g.Newest = max(2, g.All[len(g.All)-1].Number)
	return g
}

func numbers(certificates []*x509.Certificate) []int {
	var found []int
	for _, c := range certificates {
		found = append(found, int(c.SerialNumber.Int64()))
	}
	return found
}

func TestAppsTrustTheNextGenerationBeforeItSigns(t *testing.T) {
	t.Parallel()
	fresh := made(t, 1, 0, 0)
	half := made(t, 1, 0)
	rotating := made(t, 1, 0, 0, day)
	pending := made(t, 1, 0, 0, day)
	pending.All[2].Certificate = nil
	rotated := made(t, 1, 0, 0, day)
	rotated.All[0].Issues = false
	rotated.LeafCA = rotated.All[1].Certificate
	lost := made(t, 1, 0, 0)
	lost.LeafCA = newCA(t, 9, 0)
	for _, tc := range []struct {
		name          string
		g             *Generations
		signing       int
		apps, clients []int
		takenOver     bool
		roles         []Role
	}{
		{"a fresh relay", fresh, 1, []int{1, 2}, []int{1, 2}, true, []Role{Signing, Next}},
		{"its second generation is not issued", half, 1, nil, []int{1}, false, []Role{Signing}},
		{"in a rotation", rotating, 2, []int{1, 2, 3}, []int{1, 2, 3}, false, []Role{Leaving, Signing, Next}},
		{"whose newest is not issued", pending, 2, []int{1, 2}, []int{1, 2}, false, []Role{Leaving, Signing, Next}},
		{"after it", rotated, 2, []int{2, 3}, []int{1, 2, 3}, true, []Role{ClientsOnly, Signing, Next}},
		{"whose key is lost", lost, 1, []int{1, 2, 9}, []int{1, 2, 9}, false, []Role{Signing, Next}},
	} {
		if got := tc.g.Signing(); got != tc.signing {
			t.Errorf("%s: %d signs, want %d", tc.name, got, tc.signing)
		}
		if got := numbers(tc.g.Apps()); !slices.Equal(got, tc.apps) {
			t.Errorf("%s: apps trust %v, want %v", tc.name, got, tc.apps)
		}
		if got := numbers(tc.g.Clients()); !slices.Equal(got, tc.clients) {
			t.Errorf("%s: clients may come from %v, want %v", tc.name, got, tc.clients)
		}
		if got := tc.g.TakenOver(); got != tc.takenOver {
			t.Errorf("%s: taken over: %v", tc.name, got)
		}
		var roles []Role
		for i := range tc.g.All {
			roles = append(roles, tc.g.Role(&tc.g.All[i]))
		}
		if !slices.Equal(roles, tc.roles) {
			t.Errorf("%s: roles %v, want %v", tc.name, roles, tc.roles)
		}
	}
}

func TestRotationWaitsUntilAppsKnowTheNextGeneration(t *testing.T) {
	t.Parallel()
	unissued := made(t, 1, 0, 0)
	unissued.All[1].Certificate = nil
	lost := made(t, 4, 0, day)
	lost.LeafCA = newCA(t, 9, 0)
	bothLost := made(t, 1, 0, 0)
	bothLost.LeafCA = newCA(t, 9, 0)
	late := made(t, 2, 0, 10*day)
	late.Published = start.Add(12 * day)
	for _, tc := range []struct {
		name  string
		g     *Generations
		asked bool
		want  time.Duration
	}{
		{"by itself, at a third of the next one's life", made(t, 1, 0, 0), false, life / 3},
		{"by itself, later on", made(t, 4, 0, life/3), false, life * 2 / 3},
		{"at two thirds of its own life", made(t, 4, 0, life/2), false, life * 2 / 3},
		{"asked of a fresh relay, at once", made(t, 1, 0, time.Minute), true, time.Minute},
		{"asked of one whose second generation was made anew", made(t, 1, 0, day), true, 2 * day},
		{"asked again, a day after the first time", made(t, 2, 0, 10*day), true, 11 * day},
		{"asked again, while the operator was away when the newest was issued", late, true, 13 * day},
		{"both keys of a fresh relay are lost", bothLost, false, day},
		{"the key is lost", lost, false, 2 * day},
	} {
		if got := tc.g.RotationTime(tc.asked, day); !got.Equal(start.Add(tc.want)) {
			t.Errorf("%s: it is at %v, want %v", tc.name, got, start.Add(tc.want))
		}
	}
	if got := unissued.RotationTime(true, day); !got.IsZero() {
		t.Errorf("without a next generation it rotates at %v", got)
	}
	late.Published = time.Time{}
	if got := late.RotationTime(true, day); !got.IsZero() {
		t.Errorf("it rotates at %v to a generation that no app was given", got)
	}
}

func TestGenerationIsKeptForTheCertificatesOfItsClients(t *testing.T) {
	t.Parallel()
	g := made(t, 1, 0, 0, 10*day, 20*day)
	for _, tc := range []struct {
		number int
		after  time.Duration
		want   bool
	}{
		// The third was made when the second took over from the first.
		{1, 100 * day, false}, {1, 100*day + time.Second, true},
		{2, 110 * day, false}, {2, 110*day + time.Second, true},
		{3, 200 * day, false}, {3, 10*day + life + time.Second, true},
	} {
		if got := g.Expired(tc.number, 90*day, start.Add(tc.after)); got != tc.want {
			t.Errorf("generation %d after %v: expired %v", tc.number, tc.after, got)
		}
	}
}

func TestPEMIsReadAgain(t *testing.T) {
	t.Parallel()
	g := made(t, 1, 0, 0)
	text := Encode(g.Apps())
	if first := Parse(text); first == nil || !first.Equal(g.All[0].Certificate) {
		t.Errorf("%v is read of %s", first, text)
	}
	for _, broken := range []string{"", "x", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"} {
		if c := Parse([]byte(broken)); c != nil {
			t.Errorf("%v is read of %q", c, broken)
		}
	}
}
