package delivery

import (
	"context"
	"crypto"
	"crypto/ed25519"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"reflect"
	"strings"
	"testing"

	"github.com/mailrelay-dev/mailrelay-operator/relay/config"
	"github.com/mailrelay-dev/mailrelay-operator/relay/message/dkim"
	"github.com/mailrelay-dev/mailrelay-operator/relay/message/dkim/dkimtest"
	"github.com/mailrelay-dev/mailrelay-operator/relay/spool"
)

const (
	eightBitMail = "From: a@example.com\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\ngr\u00fcn, and a longer line\r\n.\r\n"
	encodedMail  = "From: a@example.com\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\ngr=C3=BCn, and a longer line\r\n.\r\n"
	signedMail   = "From: a@example.com\r\nContent-Type: multipart/signed; boundary=b\r\n\r\n--b\r\n\r\ngr\u00fcn\r\n--b\r\n\r\nsignature\r\n--b--\r\n"
)

func eightBit(content string) message {
	m := mail(content)
	m.eightBit = true
	return m
}

func TestEightBitContentIsEncodedOnlyWithout8BITMIME(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct{ keywords, want, parameter string }{
		{"8BITMIME", eightBitMail, " BODY=8BITMIME"},
		{"PIPELINING", encodedMail, ""},
	} {
		srv := newServer(t, script{mode: config.TLSNone, keywords: []string{tc.keywords, "SIZE 1000000"}})
		mustDeliver(t, newTestPool(t, srv.upstream()), eightBit(eightBitMail))
		if got := srv.received()[0]; got != tc.want {
			t.Errorf("%s: received %q", tc.keywords, got)
		}
		want := fmt.Sprintf("MAIL FROM:<app@example.com> SIZE=%d%s", len(tc.want), tc.parameter)
		if got := srv.said()[1]; got != want {
			t.Errorf("%s: %q, want %q", tc.keywords, got, want)
		}
	}
}

func TestSignedContentIsNotEncodedButRefused(t *testing.T) {
	t.Parallel()
	srv := newServer(t, script{mode: config.TLSNone, keywords: []string{"PIPELINING"}})
	p := newTestPool(t, srv.upstream())
	failure := mustFail(t, p, eightBit(signedMail))
	if failure.Class != ClassMessage || failure.Temporary || failure.Code != 554 || failure.Enhanced != "5.6.3" {
		t.Errorf("failure %+v", failure)
	}
	mustDeliver(t, p, mail(greeting))
	if got := srv.received(); len(got) != 1 || got[0] != greeting || srv.connections() != 1 {
		t.Errorf("received %q over %d connections", got, srv.connections())
	}
}

func TestLongLinesAreEncoded(t *testing.T) {
	t.Parallel()
	srv := newServer(t, script{mode: config.TLSNone})
	m := mail("From: a@example.com\r\n\r\n" + strings.Repeat("long ", 300) + "\r\n")
	m.longLines = true
	mustDeliver(t, newTestPool(t, srv.upstream()), m)
	got := srv.received()[0]
	if !strings.Contains(got, "\r\nContent-Transfer-Encoding: quoted-printable\r\n") {
		t.Errorf("received %q", got)
	}
	for line := range strings.Lines(got) {
		if len(line) > 78 {
			t.Errorf("a line of %d octets", len(line))
		}
	}
}

// testKeys are an Ed25519 key and its public half.
func testKeys(t *testing.T) ([]dkim.Key, map[string]crypto.PublicKey) {
	t.Helper()
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return []dkim.Key{{Domain: "example.com", Selector: "s", Signer: private}},
		map[string]crypto.PublicKey{"s._domainkey.example.com": public}
}

func TestSignatureIsOfWhatTheUpstreamGets(t *testing.T) {
	t.Parallel()
	keys, public := testKeys(t)
	for name, keyword := range map[string]string{"as it is": "8BITMIME", "encoded": "PIPELINING"} {
		srv := newServer(t, script{mode: config.TLSNone, keywords: []string{keyword, "SIZE 1000000"}})
		m := eightBit(eightBitMail)
		m.keys, m.unsigned = keys, []string{"Content-Type"}
		p := newTestPool(t, srv.upstream())
		mustDeliver(t, p, m)
		mustDeliver(t, p, m)
		for _, got := range srv.received() {
			tags, err := dkimtest.Verify(got, public)
			if err != nil || strings.Contains(tags["h"], "Content-Type") {
				t.Errorf("%s: %v: %q", name, err, got)
			}
			if mail := srv.said()[1]; !strings.Contains(mail, fmt.Sprintf(" SIZE=%d", len(got))) {
				t.Errorf("%s: %q, but %d octets came", name, mail, len(got))
			}
		}
	}
}

func TestOtherDomainsAreNotSigned(t *testing.T) {
	t.Parallel()
	srv := newServer(t, script{mode: config.TLSNone})
	m := mail("From: a@example.org\r\n\r\nx\r\n")
	m.keys, _ = testKeys(t)
	mustDeliver(t, newTestPool(t, srv.upstream()), m)
	if got := srv.received()[0]; got != "From: a@example.org\r\n\r\nx\r\n" {
		t.Errorf("received %q", got)
	}
}

// A provider that sees a login for each of them would lock the account.
func TestMissingKeyCostsNoConnection(t *testing.T) {
	t.Parallel()
	srv := newServer(t, script{mode: config.TLSNone})
	p := newTestPool(t, srv.upstream())
	m := mail("From: a@example.com\r\n\r\nx\r\n")
	m.keys = []dkim.Key{{Domain: "example.com", Selector: "s"}}
	for range 5 {
		failure := mustFail(t, p, m)
		if failure.Class != ClassMessage || !failure.Temporary || failure.Code != 451 || failure.Enhanced != "4.3.5" ||
			!errors.Is(failure.Err, dkim.ErrNoKey) || !strings.Contains(failure.Text, "s._domainkey.example.com") {
			t.Errorf("failure %+v", failure)
		}
	}
	mustDeliver(t, p, mail(greeting))
	if n := srv.connections(); n != 1 {
		t.Errorf("%d connections", n)
	}
}

// reloadKeys gives the relay the keys of example.com.
func (r *testRelay) reloadKeys(signers ...crypto.Signer) {
	changed := *r.snapshot
	changed.DKIM = nil
	for _, s := range signers {
		changed.DKIM = append(changed.DKIM, config.ResolvedDKIMKey{DKIMKey: config.DKIMKey{Domain: "example.com", Selector: "s"}, Signer: s})
	}
	r.snapshot = &changed
	r.scheduler.Apply(r.snapshot)
}

func (r *testRelay) submitContent(content string) string {
	r.Helper()
	draft, err := r.store.Spool.Create(context.Background())
	if err != nil {
		r.Fatal(err)
	}
	_, _ = io.WriteString(draft, content)
	envelope := &spool.Envelope{Accepted: r.clock.Now(), User: "app", ReversePath: "app@example.com", Recipients: []spool.Recipient{{Address: "bob@x.test"}}}
	if err := draft.Commit(context.Background(), envelope); err != nil {
		r.Fatal(err)
	}
	return draft.ID()
}

func TestMessageWaitsForItsKey(t *testing.T) {
	t.Parallel()
	keys, public := testKeys(t)
	for name, tc := range map[string]struct {
		signers []crypto.Signer
		signed  bool
	}{
		"key comes":                     {[]crypto.Signer{keys[0].Signer}, true},
		"key is not asked for any more": {nil, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			srv := newServer(t, script{mode: config.TLSNone})
			r := newTestRelay(t)
			r.useNetwork(srv.upstream())
			r.reloadKeys(nil)
			r.run()
			id := r.submitContent("From: a@example.com\r\n\r\nx\r\n")
			r.rest()
			r.reloadKeys(nil)
			r.rest()
			if e := r.envelope(id); len(srv.received()) > 0 || e.Attempts != 1 || !strings.Contains(e.Recipients[0].Reply, "s._domainkey.example.com") {
				t.Fatalf("received %q, envelope %+v", srv.received(), e)
			}
			r.reloadKeys(tc.signers...)
			r.gone()
			_, err := dkimtest.Verify(srv.received()[0], public)
			if signed := err == nil; signed != tc.signed {
				t.Errorf("%v: %q", err, srv.received())
			}
			if n := srv.connections(); n != 1 {
				t.Errorf("%d connections", n)
			}
		})
	}
}

func TestSizeIsCheckedWithWhatIsAdded(t *testing.T) {
	t.Parallel()
	content := "From: a@example.com\r\n\r\nx\r\n"
	srv := newServer(t, script{mode: config.TLSNone, keywords: []string{fmt.Sprintf("SIZE %d", len(content))}})
	p := newTestPool(t, srv.upstream())
	mustDeliver(t, p, mail(content))
	m := mail(content)
	m.keys, _ = testKeys(t)
	if failure := mustFail(t, p, m); failure.Enhanced != "5.3.4" {
		t.Errorf("failure %+v", failure)
	}
}

func TestSpoolThatFailsWhileSigningIsALocalFault(t *testing.T) {
	t.Parallel()
	srv := newServer(t, script{mode: config.TLSNone})
	broken := errors.New("broken")
	for name, open := range map[string]func() io.Reader{
		"read": func() io.Reader {
			return io.MultiReader(strings.NewReader("From: a@example.com\r\n"), errorReader{broken})
		},
		"seek": func() io.Reader { return io.MultiReader(strings.NewReader("From: a@example.com\r\n\r\n")) },
	} {
		for _, long := range []bool{true, false} {
			m := mail("")
			m.keys, _ = testKeys(t)
			m.longLines = long
			m.open = func() (io.ReadCloser, error) { return io.NopCloser(open()), nil }
			if failure := mustFail(t, newTestPool(t, srv.upstream()), m); failure.Step != StepContent || !failure.Temporary {
				t.Errorf("%s: failure %+v", name, failure)
			}
		}
	}
	if got := srv.received(); len(got) > 0 {
		t.Errorf("received %q", got)
	}
}

type errorReader struct{ err error }

func (r errorReader) Read([]byte) (int, error) { return 0, r.err }

func TestKeysFollowTheConfiguration(t *testing.T) {
	t.Parallel()
	first, _ := testKeys(t)
	second, _ := testKeys(t)
	r := newTestRelay(t)
	r.reloadKeys(first[0].Signer)
	r.run()
	r.submit("app@example.com", "bob@example.com")
	r.gone()
	r.reloadKeys(second[0].Signer)
	r.submit("app@example.com", "bob@example.com")
	r.gone()
	for i, want := range []crypto.Signer{first[0].Signer, second[0].Signer} {
		if got := r.first().messages[i].keys; len(got) != 1 || got[0].Selector != "s" || !reflect.DeepEqual(got[0].Signer, want) {
			t.Errorf("message %d was signed with %+v", i, got)
		}
	}
}
