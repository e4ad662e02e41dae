package dkim

import (
	"strings"
	"testing"
	"time"

	"github.com/mailrelay-dev/mailrelay-operator/api/v1alpha1"
)

func TestRecordsAreComparedAsVerifiersReadThem(t *testing.T) {
	t.Parallel()
	const value = "v=DKIM1; k=rsa; p=QUJDREVGR0g="
	for _, tc := range []struct {
		name    string
		records []string
		want    Finding
		detail  string
	}{
		{"the same", []string{value}, Published, ""},
		{"white space, and a semicolon at the end", []string{" v = DKIM1 ;k=rsa;\tp=QUJD REVG\r\n R0g= ; "}, Published, ""},
		{"defaults left out", []string{"p=QUJDREVGR0g="}, Published, ""},
		{"flags and notes", []string{"v=DKIM1; t=y:s; n=made today; k=rsa; p=QUJDREVGR0g="}, Published, ""},
		{"hashes with sha256", []string{"v=DKIM1; h=sha1:sha256; s=email; p=QUJDREVGR0g="}, Published, ""},
		{"unknown tags", []string{"v=DKIM1; x=y; p=QUJDREVGR0g="}, Published, ""},
		{"none", nil, Missing, ""},
		{"another key", []string{"v=DKIM1; p=QUJDREVGR0h="}, Differs, "p= is another key"},
		{"another case of the key", []string{"v=DKIM1; p=qUJDREVGR0g="}, Differs, "p= is another key"},
		{"cut off", []string{"v=DKIM1; k=rsa; p=QUJDREVG"}, Differs, "p= is another key"},
		{"withdrawn", []string{"v=DKIM1; p="}, Differs, "withdraws"},
		{"no key", []string{"v=DKIM1; k=rsa"}, Differs, "no p="},
		{"another algorithm", []string{"v=DKIM1; k=ed25519; p=QUJDREVGR0g="}, Differs, "another algorithm"},
		{"only sha1", []string{"v=DKIM1; h=sha1; p=QUJDREVGR0g="}, Differs, "sha256"},
		{"another service", []string{"v=DKIM1; s=tlsrpt; p=QUJDREVGR0g="}, Differs, "email"},
		{"the version last", []string{"k=rsa; p=QUJDREVGR0g=; v=DKIM1"}, Differs, "first tag"},
		{"another version", []string{"v=DKIM2; p=QUJDREVGR0g="}, Differs, "first tag"},
		{"a tag twice", []string{"p=QUJDREVGR0g=; p=QUJDREVGR0g="}, Differs, "twice"},
		{"with the quotes of a zone file", []string{`"v=DKIM1; k=rsa; p=QUJDREVGR0g="`}, Differs, ""},
		{"something else", []string{"google-site-verification"}, Differs, "no list of tags"},
		{"two", []string{value, value}, Differs, "2 TXT records"},
	} {
		found, detail := Judge(tc.records, value)
		if found != tc.want || !strings.Contains(detail, tc.detail) || (found == Differs) != (detail != "") {
			t.Errorf("%s: Judge = %s, %q; want %s, %q", tc.name, found, detail, tc.want, tc.detail)
		}
	}
}

func TestLeftoverIsARecordOfAKey(t *testing.T) {
	t.Parallel()
	for record, want := range map[string]Finding{
		"v=DKIM1; p=QUJD": Published, "v=DKIM1; p=": Published, "v=spf1 -all": Missing, "": Missing,
	} {
		if got := Leftover([]string{record}); got != want {
			t.Errorf("%q: Leftover = %s, want %s", record, got, want)
		}
	}
	if got := Leftover(nil); got != Missing {
		t.Errorf("nothing: Leftover = %s", got)
	}
}

func TestRecordsOfGeneratedKeys(t *testing.T) {
	t.Parallel()
	for algorithm, begin := range map[string]string{
		v1alpha1.DKIMAlgorithmRSA2048: "v=DKIM1; k=rsa; p=MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEA",
		v1alpha1.DKIMAlgorithmEd25519: "v=DKIM1; k=ed25519; p=",
	} {
		key, err := Generate("mail", algorithm, time.Now())
		if err != nil {
			t.Fatal(err)
		}
		value, err := Value(key.Public)
		if err != nil || !strings.HasPrefix(value, begin) {
			t.Errorf("%s: value %q, %v", algorithm, value, err)
		}
		if key.Algorithm() != algorithm || !strings.HasPrefix(key.Selector, "mail-") || len(key.Selector) != len("mail-0a1b2c3d") {
			t.Errorf("%s: algorithm %s, selector %s", algorithm, key.Algorithm(), key.Selector)
		}
		joined := ""
		for _, part := range strings.Split(strings.Trim(Quoted(value), `"`), `" "`) {
			if len(part) > 255 {
				t.Errorf("%s: a string of %d octets", algorithm, len(part))
			}
			joined += part
		}
		if joined != value {
			t.Errorf("%s: quoted %s", algorithm, Quoted(value))
		}
	}
}
