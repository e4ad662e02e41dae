package dkim

import (
	"crypto"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"errors"
	"io"
	"strings"
	"sync"
	"testing"
	"testing/iotest"

	"github.com/mailrelay-dev/mailrelay-operator/relay/message"
	"github.com/mailrelay-dev/mailrelay-operator/relay/message/dkim/dkimtest"
)

// keys are made once: RSA takes its time.
var keys = sync.OnceValue(func() []Key {
	r, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	_, e, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		panic(err)
	}
	return []Key{{"example.com", "rsa1", r}, {"example.com", "ed1", e}, {"sub.example.com", "sub", e}, {"example.org", "org", e}, {"xn--bcher-kva.example", "idn", e}}
})

func publicKeys() map[string]crypto.PublicKey {
	public := map[string]crypto.PublicKey{}
	for _, k := range keys() {
		public[k.Selector+"._domainkey."+k.Domain] = k.Signer.Public()
	}
	return public
}

// sign returns the signature fields of a message, written in pieces of one octet.
func sign(t *testing.T, message string, unsigned ...string) []string {
	t.Helper()
	s := NewSigner(keys(), unsigned)
	defer s.Close()
	if _, err := io.Copy(s, iotest.OneByteReader(strings.NewReader(message))); err != nil {
		t.Fatal(err)
	}
	out, err := s.Signatures()
	if err != nil {
		t.Fatal(err)
	}
	return dkimtest.Fields(string(out))
}

const text = "Received: from a\r\n\tby b\r\nFrom: App <app@example.com>\r\nTo:  bob@example.net\r\nSubject: a\r\n  folded\tone\r\n" +
	"MIME-Version: 1.0\r\nContent-Type: text/plain\r\nX-Other: y\r\n\r\nHello  \t world \r\n\r\n. dots\r\n \r\n\r\n"

func TestBothSignaturesAreValid(t *testing.T) {
	t.Parallel()
	for name, content := range map[string]string{
		"text":             text,
		"empty body":       "From: a@example.com\r\n\r\n",
		"blank body":       "From: a@example.com\r\n\r\n \r\n\r\n",
		"no CRLF at end":   "From: a@example.com\r\n\r\nx",
		"odd field":        "FROM \t:  a@example.com  \r\nSubject:\r\n\r\nx\r\n",
		"8-bit":            "From: M\u00fcller <a@example.com>\r\n\r\ngr\u00fc\u00dfe\r\n",
		"large body":       "From: a@example.com\r\n\r\n" + strings.Repeat(strings.Repeat("x ", 40)+"\r\n", 5000),
		"twice the fields": "From: a@example.com\r\nTo: b@x.test\r\nTo: c@x.test\r\nFrom: d@example.com\r\n\r\nx\r\n",
		"large header":     "From: a@example.com\r\n" + strings.Repeat("X-Filler: "+strings.Repeat("y", 988)+"\r\n", message.MaxHeaderBytes/1000+1) + "\r\nx\r\n",
		"all fields":       "From: a@example.com\r\n" + strings.Repeat("a:\r\n", message.MaxHeaderFields) + "\r\nx\r\n",
		"many fields":      "From: a@example.com\r\n" + strings.Repeat("References: <x@y>\r\nTo: b@x.test\r\n", 200) + "\r\nx\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			signatures := sign(t, content)
			if len(signatures) != 2 {
				t.Fatalf("%d signatures: %q", len(signatures), signatures)
			}
			for i, algorithm := range []string{"rsa-sha256", "ed25519-sha256"} {
				tags, err := dkimtest.Verify(signatures[i]+content, publicKeys())
				if err != nil || tags["a"] != algorithm || tags["d"] != "example.com" {
					t.Errorf("%v: %q", err, signatures[i])
				}
				for line := range strings.Lines(signatures[i]) {
					if len(line) > 1000 {
						t.Errorf("a line of %d octets", len(line))
					}
				}
			}
		})
	}
}

func TestSignatureNoticesChanges(t *testing.T) {
	t.Parallel()
	signature := sign(t, text)[0]
	for name, changed := range map[string]string{
		"body":                strings.Replace(text, "Hello", "hello", 1),
		"subject":             strings.Replace(text, "folded", "changed", 1),
		"another From":        "From: boss@example.com\r\n" + text,
		"From at the end":     strings.Replace(text, "\r\n\r\n", "\r\nFrom: boss@example.com\r\n\r\n", 1),
		"another Subject":     "Subject: x\r\n" + text,
		"a Cc where none was": "Cc: x@example.net\r\n" + text,
		"no Content-Type":     strings.Replace(text, "Content-Type: text/plain\r\n", "", 1),
	} {
		if _, err := dkimtest.Verify(signature+changed, publicKeys()); err == nil {
			t.Errorf("%s: the signature is still valid", name)
		}
	}
	for name, changed := range map[string]string{
		"another Received": "Received: from b\r\n" + text,
		"other folds":      strings.Replace(text, "a\r\n  folded", "a folded", 1),
		"an unsigned one":  strings.Replace(text, "X-Other: y", "X-Other: z", 1),
	} {
		if _, err := dkimtest.Verify(signature+changed, publicKeys()); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestServerMayAddAMissingTo(t *testing.T) {
	t.Parallel()
	message := "From: a@example.com\r\n\r\nx\r\n"
	signature := sign(t, message)[0]
	if _, err := dkimtest.Verify(signature+"To: undisclosed-recipients:;\r\n"+message, publicKeys()); err != nil {
		t.Error(err)
	}
}

func TestUnsignedFieldsMayChange(t *testing.T) {
	t.Parallel()
	message := "Date: today\r\nMessage-ID: <a@b>\r\nFrom: a@example.com\r\n\r\nx\r\n"
	signature := sign(t, message, "date", "MESSAGE-ID", "From")[0]
	changed := strings.Replace(strings.Replace(message, "today", "tomorrow", 1), "<a@b>", "<c@d>", 1)
	tags, err := dkimtest.Verify(signature+changed, publicKeys())
	if err != nil || strings.Contains(tags["h"], "Date") || strings.Count(tags["h"], "From") != 2 {
		t.Errorf("%v: h=%s", err, tags["h"])
	}
}

func TestKeysAreChosenByTheFromDomain(t *testing.T) {
	t.Parallel()
	for from, want := range map[string]string{
		"From: a@example.com":                                             "rsa1 ed1",
		"From: a@EXAMPLE.com":                                             "rsa1 ed1",
		"From: a@host.example.com":                                        "rsa1 ed1",
		"From: a@sub.example.com":                                         "sub",
		"From: a@x.sub.example.com":                                       "sub",
		"From: a@example.org, b@example.com":                              "org",
		"From: a@b\u00fccher.example":                                     "idn",
		"From: a@B\u00fccher.EXAMPLE":                                     "idn",
		"From: z@other.test, a@example.com":                               "rsa1 ed1",
		"From: z@other.test\r\nFrom: a@example.com":                       "rsa1 ed1",
		"From: a@" + strings.Repeat("\u00fc", 200_000/2) + ".example.com": "",
		"From: a@notexample.com":                                          "",
		"From: a@com":                                                     "",
		"From: example.com":                                               "",
		"Sender: a@example.com":                                           "",
		"From: \"a@example.com\" <b@evil.test>":                           "",
	} {
		var got []string
		for _, f := range sign(t, from+"\r\n\r\nx\r\n") {
			got = append(got, dkimtest.Tags(f)["s"])
		}
		if strings.Join(got, " ") != want {
			t.Errorf("%s: signed with %q, want %q", from, got, want)
		}
	}
}

func TestWhatIsNoMessageIsNotSigned(t *testing.T) {
	t.Parallel()
	for name, message := range map[string]string{
		"no end":      "From: a@example.com\r\n",
		"huge header": strings.Repeat("X: y\r\n", 200_000),
		"NUL":         "From: a@example.com\r\nX: \x00\r\n\r\n",
	} {
		s := NewSigner(keys(), nil)
		_, _ = io.Copy(s, strings.NewReader(message))
		if out, err := s.Signatures(); err == nil || len(out) > 0 {
			t.Errorf("%s: %v, %q", name, err, out)
		}
		s.Close()
	}
}

// brokenKey cannot sign.
type brokenKey struct{ crypto.Signer }

func (brokenKey) Sign(io.Reader, []byte, crypto.SignerOpts) ([]byte, error) {
	return nil, errors.New("broken")
}

func TestKeyThatFailsIsAnError(t *testing.T) {
	t.Parallel()
	s := NewSigner([]Key{{"example.com", "s", brokenKey{keys()[1].Signer}}}, nil)
	defer s.Close()
	_, _ = io.WriteString(s, text)
	if _, err := s.Signatures(); err == nil {
		t.Error("no error")
	}
}

func TestMissingKeyIsNoHindranceBesidesAnRSAKey(t *testing.T) {
	t.Parallel()
	rsaKey, edKey := keys()[0], keys()[1]
	missing := Key{Domain: "example.com", Selector: "new"}
	other := Key{Domain: "example.org", Selector: "other"}
	for _, tc := range []struct {
		name string
		keys []Key
		want string
		err  error
	}{
		{"all there", []Key{rsaKey, edKey}, "rsa1 ed1", nil},
		{"RSA there", []Key{missing, rsaKey}, "rsa1", nil},
		{"only Ed25519 there", []Key{edKey, missing}, "", ErrNoKey},
		{"none there", []Key{missing}, "", ErrNoKey},
		{"that of another domain missing", []Key{edKey, other}, "ed1", nil},
	} {
		s := NewSigner(tc.keys, nil)
		_, _ = io.WriteString(s, text)
		out, err := s.Signatures()
		var got []string
		for _, f := range dkimtest.Fields(string(out)) {
			got = append(got, dkimtest.Tags(f)["s"])
		}
		if strings.Join(got, " ") != tc.want || !errors.Is(err, tc.err) {
			t.Errorf("%s: signed with %q, %v", tc.name, got, err)
		}
		if err != nil && !strings.Contains(err.Error(), "new._domainkey.example.com") {
			t.Errorf("%s: %v does not name the key", tc.name, err)
		}
		s.Close()
	}
}
