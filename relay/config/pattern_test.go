package config

import (
	"strings"
	"testing"
)

func TestCovers(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name, entry, other string
		want               bool
	}{
		{"exact", "a@example.com", "a@example.com", true},
		{"exact in other case", "App@Example.com", "aPP@eXAMPLE.COM", true},
		{"another of the domain", "a@example.com", "b@example.com", false},
		{"longer local-part", "a@example.com", "xa@example.com", false},
		{"domain", "example.com", "anybody@EXAMPLE.com", true},
		{"sub-domain of a domain", "example.com", "a@mail.example.com", false},
		{"parent domain", "mail.example.com", "a@example.com", false},
		{"domain that ends alike", "example.com", "a@evilexample.com", false},
		{"domain as local-part", "example.com", "example.com@evil.example", false},
		{"two at signs", "example.com", "a@example.com@evil.example", false},
		{"two at signs, ours last", "example.com", "a@evil.example@example.com", false},
		{"quoted words", "example.com", "a b@example.com", false},
		{"no local-part", "example.com", "@example.com", false},
		{"sub-domains", "*.example.com", "a@mail.EXAMPLE.com", true},
		{"sub-domains at any depth", "*.example.com", "a@x.mail.example.com", true},
		{"sub-domains are not the domain", "*.example.com", "a@example.com", false},
		{"sub-domains that end alike", "*.example.com", "a@mail.evilexample.com", false},
		{"sub-domains as local-part", "*.example.com", "mail.example.com@evil.example", false},
		{"domain covers its address pattern", "example.com", "example.com", true},
		{"domain does not cover its sub-domains", "example.com", "*.example.com", false},
		{"sub-domains cover a sub-domain", "*.example.com", "mail.example.com", true},
		{"sub-domains cover those of a sub-domain", "*.example.com", "*.mail.example.com", true},
		{"sub-domains do not cover those of the parent", "*.mail.example.com", "*.example.com", false},
		{"address does not cover its domain", "a@example.com", "example.com", false},
		{"any", "*", "a@example.com", true},
		{"any pattern", "*", "*.example.com", true},
		{"any is not the null sender", "*", "<>", false},
		{"null sender", "<>", "<>", true},
		{"null sender is no address", "<>", "a@example.com", false},
		{"empty entry", "", "a@example.com", false},
		{"empty entry and no domain", "", "a@", false},
		{"any and nothing", "*", "", false},
		{"Kelvin sign is not k", "kelvin.example", "a@\u212aelvin.example", false},
		{"U-label of an A-label", "xn--bcher-kva.example", "a@b\u00fccher.example", true},
		{"another U-label", "xn--bcher-kva.example", "a@b\u00fccherx.example", false},
		{"ideographic dot is no dot", "*.example.com", "a@evil\u3002example.com", false},
		{"endless U-label", "*.example.com", "a@" + strings.Repeat("\u00fc", 100_000) + ".example.com", false},
		{"longer than an address", "*", strings.Repeat("a", 250) + "@x.example", false},
		{"invalid UTF-8", "example.com", "a@example\xff.com", false},
	} {
		if got := Covers(tc.entry, tc.other); got != tc.want {
			t.Errorf("%s: Covers(%q, %q) = %v", tc.name, tc.entry, tc.other, got)
		}
	}
}

// TestEntriesAreNestedOrApart is what lets the overlap of two entries be one of them.
func TestEntriesAreNestedOrApart(t *testing.T) {
	t.Parallel()
	entries := []string{
		"*", "<>", "example.com", "*.example.com", "mail.example.com", "*.mail.example.com",
		"a@example.com", "a@mail.example.com", "a@x.mail.example.com", "b@example.com",
	}
	for _, address := range entries {
		if !strings.Contains(address, "@") {
			continue
		}
		for _, a := range entries {
			for _, b := range entries {
				if Covers(a, address) && Covers(b, address) && !Covers(a, b) && !Covers(b, a) {
					t.Errorf("%s and %s both cover %s", a, b, address)
				}
			}
		}
	}
}

func TestIsSender(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("a", 63)
	for sender, want := range map[string]bool{
		"*": true, "<>": true, "example.com": true, "a@example.com": true, "a+b.c@xn--bcher-kva.example": true,
		"größe@example.com": true, "*.example.com": true, long + "." + long + ".example": true,
		"": false, "@example.com": false, "a@": false, "a@b@example.com": false, "*@example.com": false,
		"*.": false, "*.*.example.com": false, "mail.*.com": false, "*example.com": false, "**": false,
		"exa mple.com": false, "a..b": false, "-a.example": false, "a-.example": false, long + "a.example": false,
		strings.Repeat(long+".", 4) + "a": false, strings.Repeat("a", 65) + "@example.com": false, "\"a b\"@example.com": false,
	} {
		if got := IsSender(sender); got != want {
			t.Errorf("IsSender(%q) = %v, want %v", sender, got, want)
		}
	}
	for _, sender := range []string{"*", "<>"} {
		if IsPattern(sender) {
			t.Errorf("IsPattern(%q): it stands for no addresses of its own", sender)
		}
	}
}

// FuzzCovers looks for an entry that lets an address through whose domain it does not name.
func FuzzCovers(f *testing.F) {
	f.Add("example.com", "a@example.com")
	f.Add("*.example.com", "a@b@mail.example.com")
	f.Add("xn--bcher-kva.example", "\"a@b\"@b\u00fccher.example")
	f.Add("a@example.com", "A@EXAMPLE.COM.")
	f.Fuzz(func(t *testing.T, entry, address string) {
		if !IsPattern(entry) || !Covers(entry, address) {
			return
		}
		_, domain, _ := strings.Cut(fold(address), "@")
		if strings.Contains(domain, "@") {
			t.Fatalf("%q covers %q, which has two @", entry, address)
		}
		named := strings.TrimPrefix(fold(entry)[strings.LastIndexByte(entry, '@')+1:], "*.")
		if domain = strings.TrimPrefix(domain, "*."); domain != "" && domain != named && !strings.HasSuffix(domain, "."+named) {
			t.Fatalf("%q covers %q", entry, address)
		}
	})
}
