package delivery

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"github.com/mailrelay-dev/mailrelay-operator/relay/config"
)

// writeContent writes content in pieces of the given size.
func writeContent(content string, size int) (string, error) {
	var out bytes.Buffer
	w := &dotWriter{w: &out}
	for len(content) > 0 {
		n := min(size, len(content))
		if _, err := w.Write([]byte(content[:n])); err != nil {
			return out.String(), err
		}
		content = content[n:]
	}
	err := w.end()
	return out.String(), err
}

func TestDotsAreStuffed(t *testing.T) {
	t.Parallel()
	tests := []struct{ content, want string }{
		{"", ".\r\n"},
		{"a\r\n", "a\r\n.\r\n"},
		{"a", "a\r\n.\r\n"},
		{".\r\n", "..\r\n.\r\n"},
		{"..\r\n", "...\r\n.\r\n"},
		{"a\r\n.\r\nb\r\n", "a\r\n..\r\nb\r\n.\r\n"},
		{"a.b\r\n\r\n.c\r\n", "a.b\r\n\r\n..c\r\n.\r\n"},
		{"a\r\n.", "a\r\n..\r\n.\r\n"},
	}
	for _, test := range tests {
		for size := 1; size <= len(test.content)+1; size++ {
			got, err := writeContent(test.content, size)
			if err != nil || got != test.want {
				t.Errorf("%q in pieces of %d: %q, %v; want %q", test.content, size, got, err, test.want)
			}
		}
	}
}

// smuggled are sequences that some servers take for the end of data.
var smuggled = []string{
	"\n.\n", "\n.\r\n", "\r\n.\n", "\r.\r", "\r.\r\n", "\r\n.\r", "\r\n.\r\r\n", "\n.\r", "\r.\n", "\r\r\n.\r\r\n",
	"\r\n\r.\r\n", "\n\n.\n\n", "\r\n.\n\r\n", "\r\r\n.\r\n", "\n\r\n.\r\n",
}

func TestBareLineEndsAreNotSent(t *testing.T) {
	t.Parallel()
	for _, sequence := range smuggled {
		content := "a" + sequence + "MAIL FROM:<evil@x.test>\r\n"
		for size := 1; size <= len(content); size++ {
			got, err := writeContent(content, size)
			if !errors.Is(err, errLineEnds) {
				t.Errorf("%q in pieces of %d: error %v", sequence, size, err)
			}
			if strings.Contains(got, "\r\n.\r\n") {
				t.Errorf("%q in pieces of %d makes an end of data: %q", sequence, size, got)
			}
		}
	}
}

func TestContentWithBareLineEndsIsRefusedForGood(t *testing.T) {
	t.Parallel()
	srv := newServer(t, script{mode: config.TLSNone})
	err := mustFail(t, newTestPool(t, srv.upstream()), mail("a: b\r\n\r\nx\n.\nQUIT\r\n"))
	if err.Temporary || err.Enhanced != "5.6.0" || err.Class != ClassMessage {
		t.Errorf("error %+v", err)
	}
	eventually(t, "the connection closed", func() bool { srv.mu.Lock(); defer srv.mu.Unlock(); return srv.open == 0 })
	if len(srv.received()) != 0 || strings.Contains(srv.bytes(), "\r\n.\r\n") {
		t.Errorf("sent %q", srv.bytes())
	}
}

func TestOneEndOfDataGoesOut(t *testing.T) {
	t.Parallel()
	content := "Subject: dots\r\n\r\n.\r\n..\r\n.x\r\n" + strings.Repeat(".\r\n", writeBuffer) + "\r\n.\r\n"
	for _, mode := range []config.TLSMode{config.TLSImplicit, config.TLSNone} {
		srv := newServer(t, script{mode: mode})
		mustDeliver(t, newTestPool(t, srv.upstream()), mail(content))
		if got := srv.received(); len(got) != 1 || got[0] != content {
			t.Fatal("the content changed on its way")
		}
		raw := srv.bytes()
		if n := strings.Count(raw, "\r\n.\r\n"); n != 1 {
			t.Errorf("%d ends of data", n)
		}
		if clean := strings.ReplaceAll(raw, "\r\n", ""); strings.ContainsAny(clean, "\r\n") {
			t.Error("a bare CR or LF was sent")
		}
	}
}

func FuzzDotWriter(f *testing.F) {
	for _, seed := range append(smuggled, "a\r\n.\r\nb", "", ".") {
		f.Add([]byte(seed), 3)
	}
	f.Fuzz(func(t *testing.T, content []byte, size int) {
		got, err := writeContent(string(content), max(1, size))
		if err != nil {
			return
		}
		text, ok := strings.CutSuffix("\r\n"+got, "\r\n.\r\n")
		if !ok || strings.Contains(text+"\r\n", "\r\n.\r\n") {
			t.Fatalf("%q became %q", content, got)
		}
		back := strings.TrimPrefix(strings.ReplaceAll(text+"\r\n", "\r\n.", "\r\n"), "\r\n")
		want := string(content)
		if want != "" && !strings.HasSuffix(want, "\r\n") {
			want += "\r\n"
		}
		if back != want {
			t.Fatalf("%q arrives as %q", content, back)
		}
	})
}
