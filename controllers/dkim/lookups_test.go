package dkim

import (
	"strings"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"github.com/mailrelay-dev/mailrelay-operator/api/v1alpha1"
	"github.com/mailrelay-dev/mailrelay-operator/controllers/dkim/dnstest"
)

const recordName = "mail-0a1b2c3d._domainkey.example.com"

var aRelay = types.NamespacedName{Namespace: "team", Name: "relay"}

func newLookups(t *testing.T, soon, seldom time.Duration) (*Lookups, *dnstest.Server, chan types.NamespacedName) {
	t.Helper()
	server, err := dnstest.Start(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(server.Close)
	changed := make(chan types.NamespacedName, 16)
	return &Lookups{
		Resolver: NewResolver(server.Address), Soon: soon, Seldom: seldom,
		Changed: func(relay types.NamespacedName) { changed <- relay },
	}, server, changed
}

// await waits for another answer and returns it.
func await(t *testing.T, l *Lookups, changed chan types.NamespacedName) Answer {
	t.Helper()
	deadline := time.After(20 * time.Second)
	for {
		select {
		case relay := <-changed:
			if relay != aRelay {
				t.Fatalf("it concerns %s", relay)
			}
			return l.Find(recordName, true, aRelay)
		case <-deadline:
			t.Fatal("the answer does not change")
		case <-time.After(5 * time.Millisecond):
			l.Find(recordName, true, aRelay)
		}
	}
}

func TestLookupsFollowTheDNS(t *testing.T) {
	t.Parallel()
	l, server, changed := newLookups(t, time.Millisecond, time.Hour)
	key, err := Generate("mail", v1alpha1.DKIMAlgorithmRSA2048, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	value, err := Value(key.Public)
	if err != nil {
		t.Fatal(err)
	}
	if first := l.Find(recordName, true, aRelay); first.Asked {
		t.Error("the first answer was waited for")
	}
	if a := await(t, l, changed); !a.Asked || len(a.Records) != 0 || a.Problem != "" {
		t.Errorf("no record: %+v", a)
	}
	server.Set(recordName, value)
	if found, detail := Judge(await(t, l, changed).Records, value); found != Published {
		t.Errorf("the record: %s, %s", found, detail)
	}
	server.Fail(recordName, true)
	if a := await(t, l, changed); !strings.Contains(a.Problem, "cannot answer") {
		t.Errorf("SERVFAIL: %+v", a)
	}
	server.Fail(recordName, false)
	server.Set(recordName)
	server.Alias(recordName, "s1.provider.example")
	server.Set("s1.provider.example", value+strings.Repeat(" ", 300))
	if found, detail := Judge(await(t, l, changed).Records, value); found != Published {
		t.Errorf("behind a CNAME: %s, %s", found, detail)
	}
	if server.OverTCP() == 0 {
		t.Error("a long record was not asked for over TCP")
	}
}

func TestADeadServerCostsTheLoopNothing(t *testing.T) {
	t.Parallel()
	l, server, changed := newLookups(t, time.Millisecond, time.Hour)
	server.Silence(true)
	begin := time.Now()
	for range 100 {
		l.Find(recordName, true, aRelay)
	}
	if took := time.Since(begin); took > time.Second {
		t.Errorf("100 lookups took %s", took)
	}
	if a := await(t, l, changed); a.Problem != "the DNS server does not answer" {
		t.Errorf("answer %+v", a)
	}
	if asked := server.Asked(recordName); asked > 4 {
		t.Errorf("it was asked %d times at once", asked)
	}
}

func TestWhatWasSeenIsSeldomAskedForAgain(t *testing.T) {
	t.Parallel()
	l, server, changed := newLookups(t, time.Millisecond, time.Hour)
	server.Set(recordName, "v=DKIM1; p=")
	await(t, l, changed)
	// One more may be on its way.
	for l.pendingLookups() > 0 {
		time.Sleep(time.Millisecond)
	}
	before := server.Asked(recordName)
	for range 100 {
		l.Find(recordName, false, aRelay)
	}
	if asked := server.Asked(recordName); asked != before {
		t.Errorf("asked %d times more", asked-before)
	}
}

func (l *Lookups) pendingLookups() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.pending
}

func TestWhatNobodyWantsIsForgotten(t *testing.T) {
	t.Parallel()
	l, _, changed := newLookups(t, time.Millisecond, time.Nanosecond)
	await(t, l, changed)
	for l.pendingLookups() > 0 {
		time.Sleep(time.Millisecond)
	}
	time.Sleep(time.Millisecond)
	l.Find("another.example", false, aRelay)
	l.mu.Lock()
	defer l.mu.Unlock()
	if _, kept := l.names[recordName]; kept || len(l.names) != 1 {
		t.Errorf("kept %d names", len(l.names))
	}
}
