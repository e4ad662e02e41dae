package submission

import (
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/mailrelay-dev/mailrelay-operator/relay/config"
)

func TestBodyReaderFindsABareLF(t *testing.T) {
	t.Parallel()
	for in, bare := range map[string]bool{
		"":              false,
		"a\r\nb\r\n":    false,
		"\r\n":          false,
		"\n":            true,
		"a\nb\r\n":      true,
		"a\r\n\nb\r\n":  true,
		"a\r\nb\r\n\n":  true,
		"a\r\n.\nb\r\n": true,
	} {
		for way, src := range map[string]io.Reader{
			"at once":  strings.NewReader(in),
			"in bytes": iotest.OneByteReader(strings.NewReader(in)),
		} {
			for _, refuse := range []bool{true, false} {
				_, err := io.ReadAll(&bodyReader{src: src, refuseBareLF: refuse})
				if errors.Is(err, errBareLF) != (bare && refuse) {
					t.Errorf("%q %s, refused %v: %v", in, way, refuse, err)
				}
			}
		}
	}
}

func TestBareLFIsNormalisedOrRefusedAsConfigured(t *testing.T) {
	t.Parallel()
	for policy, want := range map[string]string{
		"":                     "250 2.0.0 Ok: queued as ",
		config.BareLFNormalize: "250 2.0.0 Ok: queued as ",
		config.BareLFRefuse:    "554 5.6.0 The message has a bare LF",
	} {
		t.Run(policy, func(t *testing.T) {
			t.Parallel()
			f := start(t, func(f *fixture) { f.config.Message.BareLF = policy })
			c := f.login()
			c.begin()
			c.do("From: app@example.com\nSubject: x\n\nline\n.\nline\r\n.", want)
			c.begin()
			c.do("From: app@example.com\r\n\r\nfine\r\n.", "250 ")
			stored := f.spool.messages()
			if len(stored) == 2 && !strings.HasSuffix(stored[0].content, "\r\n\r\nline\r\n.\r\nline\r\n") {
				t.Errorf("stored %q", stored[0].content)
			}
			if want := map[bool]int{true: 1, false: 2}[policy == config.BareLFRefuse]; len(stored) != want {
				t.Errorf("%d messages stored, want %d", len(stored), want)
			}
		})
	}
}
