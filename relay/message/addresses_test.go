package message

import (
	"errors"
	"slices"
	"strings"
	"testing"
)

func TestAddressesFindsEveryAddress(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		header string
		want   []string
	}{
		{"Subject: none\r\n", nil},
		{"From: a@example.com\r\n", []string{"a@example.com"}},
		{"From: App <a@example.com>\r\n", []string{"a@example.com"}},
		{"From: \"evil@evil.example\" <a@example.com>\r\n", []string{"a@example.com"}},
		{"From: \"a@example.com\" <evil@evil.example>\r\n", []string{"evil@evil.example"}},
		{"From: evil@evil.example (a@example.com)\r\n", []string{"evil@evil.example"}},
		{"From: a@example.com, evil@evil.example\r\n", []string{"a@example.com", "evil@evil.example"}},
		{"From: a@example.com\r\nX: y\r\nfrom: evil@evil.example\r\n", []string{"a@example.com", "evil@evil.example"}},
		{"From: a@example.com\r\nFrom \t: evil@evil.example\r\n", []string{"a@example.com", "evil@evil.example"}},
		{"From: App\r\n <a@example.com>,\r\n\tevil@evil.example\r\n", []string{"a@example.com", "evil@evil.example"}},
		{"From: team: a@example.com, evil@evil.example;\r\n", []string{"a@example.com", "evil@evil.example"}},
		{"From: =?utf-8?q?a=40example=2Ecom?= <evil@evil.example>\r\n", []string{"evil@evil.example"}},
		{"From: =?iso-2022-jp?B?GyRCJDMbKEI=?= <a@example.com>\r\n", []string{"a@example.com"}},
		{"From: M\xfcller <a@example.com>\r\n", []string{"a@example.com"}},
		{"From: \"a b\"@example.com\r\n", []string{"a b@example.com"}},
	} {
		got, err := headerOf(t, tc.header).Addresses("From")
		if err != nil || !slices.Equal(got, tc.want) {
			t.Errorf("%q: %q, %v; want %q", tc.header, got, err, tc.want)
		}
	}
}

func TestAddressesRefusesWhatIsNoAddressList(t *testing.T) {
	t.Parallel()
	for _, header := range []string{
		"From:\r\n", "From: nobody\r\n", "From: a@\r\n", "From: <a@example.com\r\n",
		"From: a@example.com evil@evil.example\r\n", "From: evil@evil.example <a@example.com>\r\n",
		"From: a@example.com\r\nFrom: ,\r\n", "From: undisclosed:;\r\n",
		// RFC 5322 allows a comment in front, but nobody writes one without an intention.
		"From: (a@example.com) evil@evil.example\r\n",
	} {
		if got, err := headerOf(t, header).Addresses("From"); !errors.Is(err, ErrBadAddresses) {
			t.Errorf("%q: %q, %v; want ErrBadAddresses", header, got, err)
		}
	}
}

func TestMessageIDIsTheFirstThatIsNotEmpty(t *testing.T) {
	t.Parallel()
	h := headerOf(t, "Message-ID:\r\nmessage-id: \r\n <m@example.com>\r\nMessage-ID: <n>\r\n")
	if got := h.MessageID(); got != "<m@example.com>" {
		t.Errorf("MessageID = %q", got)
	}
	h = headerOf(t, "Message-ID: "+strings.Repeat("m", 5000)+"\r\n")
	if got := h.MessageID(); len(got) != maxMessageID {
		t.Errorf("a Message-ID of 5000 octets gave one of %d", len(got))
	}
}

func headerOf(t *testing.T, header string) *Header {
	t.Helper()
	c, err := ReadContent(strings.NewReader(header + "\r\nbody\r\n"))
	if err != nil {
		t.Fatal(err)
	}
	return &c.Header
}
