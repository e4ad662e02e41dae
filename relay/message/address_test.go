package message

import (
	"errors"
	"strings"
	"testing"
	"unicode/utf8"
)

func TestParseAddressAccepts(t *testing.T) {
	t.Parallel()
	label := strings.Repeat("d", 63)
	for _, s := range []string{
		"a@example.com",
		"first.last+tag@mail.example.com",
		"!#$%&'*+-/=?^_`{|}~@example.com",
		"r%evil.test@example.com",
		"A@EXAMPLE.COM",
		"a@xn--bcher-kva.example",
		"a@1and1.com",
		"a@a-b.example",
		strings.Repeat("l", 64) + "@example.com",
		"a@" + label + "." + label + "." + label + ".example",
	} {
		a, err := ParseAddress(s, false)
		if err != nil || a.String() != s {
			t.Errorf("ParseAddress(%q) = %v, %v", s, a, err)
		}
	}
}

func TestParseAddressNamesTheFault(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		address string
		fault   AddressFault
	}{
		{"", Unqualified},
		{"postmaster", Unqualified},
		{"a@", Unqualified},
		{"a@localhost", Unqualified},
		{"@example.com", BadSyntax},
		{strings.Repeat("l", 65) + "@example.com", BadSyntax},
		{"a@" + strings.Repeat("d.", 130) + "example", BadSyntax},
		{"a\x00@example.com", BadSyntax},
		{"a\r@example.com", BadSyntax},
		{"a\n@example.com", BadSyntax},
		{"a\x7f@example.com", BadSyntax},
		{"a b@example.com", NeedsQuotes},
		{"a..b@example.com", NeedsQuotes},
		{".a@example.com", NeedsQuotes},
		{"a.@example.com", NeedsQuotes},
		{"a@b@example.com", NeedsQuotes},
		{`a"b@example.com`, NeedsQuotes},
		{`a\b@example.com`, NeedsQuotes},
		{"victim@evil.example> NOTIFY=NEVER x@example.com", NeedsQuotes},
		{"a@[192.0.2.1]", Literal},
		{"a@[IPv6:::1]", Literal},
		{"a@192.0.2.1", BadDomain},
		{"a@example.com.", BadDomain},
		{"a@.example.com", BadDomain},
		{"a@example..com", BadDomain},
		{"a@-x.example", BadDomain},
		{"a@x-.example", BadDomain},
		{"a@ex_ample.com", BadDomain},
		{"a@exa mple.com", BadDomain},
		{"a@example.com>", BadDomain},
		{"a@example.com\r", BadDomain},
		{"a@" + strings.Repeat("d", 64) + ".example", BadDomain},
		{"ä@example.com", NeedsUTF8},
		{"a@bücher.example", NeedsUTF8},
		{"\xff@example.com", NeedsUTF8},
	} {
		_, err := ParseAddress(tc.address, false)
		var bad *AddressError
		if !errors.As(err, &bad) || bad.Fault != tc.fault {
			t.Errorf("ParseAddress(%q) = %v, want fault %d", tc.address, err, tc.fault)
		}
	}
}

func TestParseAddressWithSMTPUTF8(t *testing.T) {
	t.Parallel()
	for _, s := range []string{"ä@example.com", "送信@例え.テスト", "a@bücher.example", "a@BüCHER.Example", "a@пример.рф", "a@straße.de", "a@例え.jp", "a@example.com"} {
		a, err := ParseAddress(s, true)
		if err != nil || a.String() != s || a.ASCII() != (s == "a@example.com") {
			t.Errorf("ParseAddress(%q) = %v, %v", s, a, err)
		}
	}
	for _, s := range []string{
		"\xff@example.com", "a@\xff.example", "a\u2028b@example.com", "a\u0085b@example.com",
		"a\u00a0b@example.com", "a\u202eb@example.com", "a@example。com", "a@ex\u00adample.com", "a@☃.example",
	} {
		if a, err := ParseAddress(s, true); err == nil {
			t.Errorf("ParseAddress(%q) = %v, want an error", s, a)
		}
	}
}

// TestParseAddressTakesADomainInOneSpellingOnly: programs that map domains (UTS 46) take each of
// these for another one, and the relay's lists do not.
func TestParseAddressTakesADomainInOneSpellingOnly(t *testing.T) {
	t.Parallel()
	for _, domain := range []string{
		"ｅvil.example", "ｅｖｉｌ.ｅｘａｍｐｌｅ", "evil.ｅxample", "ev\u034fil.example", "e\ufe00vil.example",
		"b\u00dccher.example", "bu\u0308cher.example", "\u212aelvin.example", "\u0301vil.example",
	} {
		_, err := ParseAddress("a@"+domain, true)
		var bad *AddressError
		if !errors.As(err, &bad) || bad.Fault != BadDomain {
			t.Errorf("%+q: %v", domain, err)
		}
	}
}

func FuzzParseAddress(f *testing.F) {
	for _, s := range []string{"a@example.com", "a..b@x", "ä@bücher.example", "a@b@c.d", "a@[1.2.3.4]", "\"x\"@y.z", "a\r\n@b.c"} {
		f.Add(s, true)
		f.Add(s, false)
	}
	f.Fuzz(func(t *testing.T, s string, smtpUTF8 bool) {
		a, err := ParseAddress(s, smtpUTF8)
		if err != nil {
			var bad *AddressError
			if !errors.As(err, &bad) {
				t.Fatalf("error %v is no AddressError", err)
			}
			return
		}
		if a.String() != s {
			t.Fatalf("%q became %q", s, a)
		}
		if !smtpUTF8 && !a.ASCII() || !utf8.ValidString(s) || len(s) > maxAddress {
			t.Fatalf("%q was accepted", s)
		}
		if strings.ContainsAny(s, " \t\r\n\x00\x7f<>()[],;:\\\"") || strings.Count(s, "@") != 1 {
			t.Fatalf("%q was accepted: it does not survive the wire", s)
		}
	})
}
