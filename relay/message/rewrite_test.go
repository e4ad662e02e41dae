package message

import (
	"bytes"
	"errors"
	"strings"
	"testing"
)

func TestRewriterChoosesTheFirstRuleThatMatches(t *testing.T) {
	t.Parallel()
	r := &Rewriter{QualifyDomain: "example.com", Rules: []Rule{
		{"www-data@example.com", "web@example.com"},
		{"old.example", "example.org"},
		{"*.old.example", "below@example.org"},
		{"*.cluster.local", "example.net"},
	}}
	for in, want := range map[string]string{
		"":                               "",
		"root":                           "root@example.com",
		"root@pod-abc":                   "root@example.com",
		"root@localhost":                 "root@example.com",
		"root@localhost.LocalDomain":     "root@example.com",
		"www-data@pod-abc":               "web@example.com",
		"WWW-Data@Example.com":           "web@example.com",
		"a@old.example":                  "a@example.org",
		"a@OLD.example":                  "a@example.org",
		"a@x.old.example":                "below@example.org",
		"a@xold.example":                 "a@xold.example",
		"a@pod.ns.svc.cluster.local":     "a@example.net",
		"a@cluster.local":                "a@cluster.local",
		"a@[192.0.2.1]":                  "a@[192.0.2.1]",
		"a@":                             "a@",
		"@pod-abc":                       "@pod-abc",
		"a b@pod-abc":                    "a b@pod-abc",
		"a@evil.example@pod-abc":         "a@evil.example@pod-abc",
		"someone.else@elsewhere.example": "someone.else@elsewhere.example",
	} {
		if got := r.Sender(in); got != want {
			t.Errorf("Sender(%q) = %q, want %q", in, got, want)
		}
	}
	all := &Rewriter{Rules: []Rule{{"*", "noreply@example.com"}}}
	if got := all.Sender("a@b.example"); got != "noreply@example.com" {
		t.Errorf("a rule for all gave %q", got)
	}
	if got := all.Sender(""); got != "" {
		t.Errorf("the null sender became %q", got)
	}
	if got := new(Rewriter).Sender("root@pod-abc"); got != "root@pod-abc" {
		t.Errorf("the zero Rewriter gave %q", got)
	}
}

func TestRewriteSendersChangesAddressesOnly(t *testing.T) {
	t.Parallel()
	r := &Rewriter{QualifyDomain: "example.com", Rules: []Rule{{"app@old.example", "app@example.com"}, {"*.old.example", "example.com"}}}
	for _, tc := range []struct{ in, want string }{
		{"From: root", "From: root@example.com"},
		{"From: root (Cron Daemon)", "From: root@example.com (Cron Daemon)"},
		{"From: (Cron (nested) \\) Daemon) root", "From: (Cron (nested) \\) Daemon) root@example.com"},
		{"From: Cron Daemon <root>", "From: Cron Daemon <root@example.com>"},
		{"From: \"root\" <www-data@pod-abc>", "From: \"root\" <www-data@example.com>"},
		{"From: \"a \\\"<x@pod>\\\", b\" <app@OLD.example>", "From: \"a \\\"<x@pod>\\\", b\" <app@example.com>"},
		{"From: =?utf-8?q?J=C3=B6rg?= <j@x.old.example>", "From: =?utf-8?q?J=C3=B6rg?= <j@example.com>"},
		{"From: M\xfcller <app@old.example>", "From: M\xfcller <app@example.com>"},
		{"From: app@old.example,\r\n\troot", "From: app@example.com,\r\n\troot@example.com"},
		{"From: team: root, A <app@old.example>; , b@x.test", "From: team: root@example.com, A <app@example.com>; , b@x.test"},
		{"Resent-From: root", "Resent-From: root@example.com"},
		{"Resent-Sender: Cron <app@old.example>", "Resent-Sender: Cron <app@example.com>"},
		{"SENDER : root", "SENDER : root@example.com"},
		{"Reply-To: root, app@old.example", "Reply-To: root@example.com, app@old.example"},
		{"To: root", "To: root"},
		{"X-From: root", "X-From: root"},
		// What is no address stays for the check after it to refuse.
		{"From: root admin", "From: root admin"},
		{"From: <root", "From: <root"},
		{"From: \"root", "From: \"root"},
		{"From: (root", "From: (root"},
		{"From: \"a b\"@pod-abc", "From: \"a b\"@pod-abc"},
		{"From: <a@x.test> root", "From: <a@x.test> root"},
		{"From: <a> <b>", "From: <a> <b>"},
		{"From: <@relay.test:root@pod-abc>", "From: <@relay.test:root@pod-abc>"},
		{"From: a\\@pod-abc", "From: a\\@pod-abc"},
		{"From:", "From:"},
	} {
		h := headerOf(t, tc.in+"\r\n")
		h.RewriteSenders(r)
		if got := string(h.fields[0].raw); got != tc.want+"\r\n" {
			t.Errorf("%q became %q, want %q", tc.in, got, tc.want)
		}
	}
}

// FuzzRewriteSenders checks that a change of the header is what the strict parser, which the
// sender check uses, sees as a change of addresses.
func FuzzRewriteSenders(f *testing.F) {
	for _, s := range []string{
		"From: root", "From: a@old.example, B <b@pod>", "From: g: \"x\" <c@pod>;", "From: (c\\() r (d)", "Sender: x\r\nFrom: <@a:b@c>", "From: \"<a@pod>\" <b@pod>",
	} {
		f.Add([]byte(s + "\r\n\r\n"))
	}
	r := &Rewriter{QualifyDomain: "example.com", Rules: []Rule{{"*.example", "example.net"}, {"a@example.com", "z@example.com"}}}
	f.Fuzz(func(t *testing.T, in []byte) {
		c, err := ReadContent(bytes.NewReader(in))
		if err != nil {
			return
		}
		defer c.Close()
		before, err := c.Header.Addresses("From")
		fields := len(c.Header.fields)
		c.Header.RewriteSenders(r)
		for _, field := range c.Header.fields {
			if bare := strings.ReplaceAll(string(field.raw), "\r\n", ""); strings.ContainsAny(bare, "\r\n") {
				t.Fatalf("line ends in %q", field.raw)
			}
		}
		if err != nil || fields != len(c.Header.fields) {
			return
		}
		after, err := c.Header.Addresses("From")
		if err != nil || len(after) != len(before) {
			t.Fatalf("%q became %q: %v", before, after, err)
		}
		for i := range before {
			if after[i] != before[i] && after[i] != r.Sender(before[i]) {
				t.Fatalf("%q became %q", before[i], after[i])
			}
		}
	})
}

func TestUnqualifiedFromIsReadableOnceRewritten(t *testing.T) {
	t.Parallel()
	h := headerOf(t, "From: Cron <root>\r\n")
	if _, err := h.Addresses("From"); !errors.Is(err, ErrBadAddresses) {
		t.Fatalf("before: %v", err)
	}
	h.RewriteSenders(&Rewriter{QualifyDomain: "example.com"})
	if from, err := h.Addresses("From"); err != nil || from[0] != "root@example.com" {
		t.Errorf("after: %q, %v", from, err)
	}
}
