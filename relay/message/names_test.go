package message

import (
	"bytes"
	"errors"
	"testing"
)

func TestQuoteNamesMendsWhatHasOneReading(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct{ header, want string }{
		{"From: a@example.com <a@example.com>\r\n", "From: \"a@example.com\" <a@example.com>\r\n"},
		{"From: boss@evil.example <a@example.com>\r\n", "From: \"boss@evil.example\" <a@example.com>\r\n"},
		{"Sender: Shop, Inc. <a@example.com>\r\n", "Sender: \"Shop, Inc.\" <a@example.com>\r\n"},
		{"Resent-From: Shop, Inc. <a@example.com>\r\n", "Resent-From: \"Shop, Inc.\" <a@example.com>\r\n"},
		{"from : [CI]\r\n  build <a@example.com>\r\n", "from : \"[CI]  build\" <a@example.com>\r\n"},
		{"From: M\xfcller, Inc. <a@example.com>\r\n", "From: \"M\xfcller, Inc.\" <a@example.com>\r\n"},
	} {
		h := headerOf(t, tc.header)
		h.QuoteNames()
		if got := h.fields[0].raw; !bytes.Equal(got, []byte(tc.want)) {
			t.Errorf("%q: %q, want %q", tc.header, got, tc.want)
		}
		if got, err := h.Addresses(h.fields[0].name); err != nil || len(got) != 1 || got[0] != "a@example.com" {
			t.Errorf("%q: addresses %q, %v", tc.header, got, err)
		}
	}
}

func TestQuoteNamesLeavesTheRest(t *testing.T) {
	t.Parallel()
	for _, header := range []string{
		"From: App <a@example.com>\r\n",
		"From: a@example.com\r\n",
		"From: a@example.com, b@example.com\r\n",
		"From: \"a@example.com\" <a@example.com>\r\n",
		"To: a@example.com <a@example.com>\r\n",
		"Reply-To: a@example.com <a@example.com>\r\n",
	} {
		h := headerOf(t, header)
		h.QuoteNames()
		if got := string(h.fields[0].raw); got != header {
			t.Errorf("%q became %q", header, got)
		}
	}
	for _, header := range []string{
		"From: b@evil.example, a@example.com <a@example.com>\r\n",
		"From: b@evil.example> <a@example.com>\r\n",
		"From: \"b@evil.example <a@example.com>\r\n",
		"From: b@evil.example <a@example.com> c\r\n",
		"From: <b@evil.example> <a@example.com>\r\n",
		"From: =?utf-8?q?x?=, b <a@example.com>\r\n",
		"From: team: b@evil.example <a@example.com>\r\n",
		"From: a@example.com <a b@example.com>\r\n",
	} {
		h := headerOf(t, header)
		h.QuoteNames()
		if got, err := h.Addresses("From"); !errors.Is(err, ErrBadAddresses) {
			t.Errorf("%q is read as %q, %v; want ErrBadAddresses", header, got, err)
		}
	}
}
