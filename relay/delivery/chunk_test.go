package delivery

import (
	"bytes"
	"errors"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/mailrelay-dev/mailrelay-operator/relay/config"
)

// chunking are the keywords of an upstream with CHUNKING, with and without PIPELINING.
var chunking = map[string][]string{
	"in one flight": {"PIPELINING", "CHUNKING", "SIZE 10000000", "8BITMIME"},
	"stepwise":      {"CHUNKING", "SIZE 10000000", "8BITMIME"},
}

// withChunking runs a test against an upstream with and one without PIPELINING. The second of
// two messages finds a warm connection.
func withChunking(t *testing.T, f func(t *testing.T, keywords []string)) {
	t.Helper()
	for name, keywords := range chunking {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f(t, keywords)
		})
	}
}

// chunkPool is a pool whose upstream is set to BDAT.
func chunkPool(t *testing.T, srv *server) *pool {
	t.Helper()
	u := srv.upstream()
	u.Chunking = true
	return newTestPool(t, u)
}

func TestChunkArrivesAsItIs(t *testing.T) {
	t.Parallel()
	contents := []string{
		greeting,
		"Subject: dots\r\n\r\n.\r\n..\r\n.x\r\n\r\n.\r\nQUIT\r\n",
		"Subject: no last line end\r\n\r\nx",
		"Subject: large\r\n\r\n" + strings.Repeat("0123456789abcdef\r\n", maxBlind/16),
	}
	withChunking(t, func(t *testing.T, keywords []string) {
		for _, mode := range []config.TLSMode{config.TLSImplicit, config.TLSNone} {
			srv := newServer(t, script{mode: mode, keywords: keywords})
			p := chunkPool(t, srv)
			for _, content := range contents {
				mustDeliver(t, p, mail(content, "a@x.test", "b@x.test"))
			}
			if !slices.Equal(srv.received(), contents) || srv.connections() != 1 {
				t.Errorf("%d messages on %d connections, not as they were", len(srv.received()), srv.connections())
			}
			if said := srv.said(); slices.Contains(said, "DATA") || !slices.Contains(said, "BDAT 22 LAST") {
				t.Error("not sent by BDAT")
			}
		}
	})
}

func TestNoChunksUnlessSetAndOffered(t *testing.T) {
	t.Parallel()
	for _, set := range []bool{true, false} {
		keywords := pipelining["pipelined"]
		if !set {
			keywords = chunking["in one flight"]
		}
		srv := newServer(t, script{mode: config.TLSNone, keywords: keywords})
		u := srv.upstream()
		u.Chunking = set
		mustDeliver(t, newTestPool(t, u), mail(greeting))
		if !slices.Contains(srv.said(), "DATA") {
			t.Errorf("set to %t: said %q", set, srv.said())
		}
	}
}

func TestChunkOfRefusedTransaction(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, at, reply string
		class           Class
	}{
		{"MAIL refused", "MAIL FROM:<refused@", "550 5.7.1 not you", ClassSender},
		{"MAIL deferred", "MAIL FROM:<refused@", "451 4.3.0 not now", ClassThrottle},
		{"recipient refused", "RCPT TO:<refused@", "550 5.1.1 unknown", ClassRecipient},
		{"message refused", "BDAT", "554 5.7.1 no", ClassMessage},
		{"message deferred", "BDAT", "451 4.3.0 not now", ClassThrottle},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			withChunking(t, func(t *testing.T, keywords []string) {
				var over atomic.Bool
				refuse := answers(map[string]string{test.at: test.reply})
				srv := newServer(t, script{mode: config.TLSNone, keywords: keywords, on: func(n int, verb, line string) string {
					if over.Load() {
						return ""
					}
					return refuse(n, verb, line)
				}})
				p := chunkPool(t, srv)
				m := mail(greeting, "refused@x.test")
				m.reversePath = "refused@x.test"
				if err := mustFail(t, p, m); err.Class != test.class || err.Reply() != test.reply {
					t.Errorf("error %+v", err)
				}
				over.Store(true)
				next := mail("Subject: next\r\n\r\n.\r\n")
				mustDeliver(t, p, next)
				received := srv.received()
				if srv.connections() != 1 || !slices.Contains(srv.said(), "RSET") || received[len(received)-1] != "Subject: next\r\n\r\n.\r\n" {
					t.Errorf("%d connections, said %q, received %q", srv.connections(), srv.said(), received)
				}
			})
		})
	}
}

func TestChunkForSomeOfTheRecipients(t *testing.T) {
	t.Parallel()
	withChunking(t, func(t *testing.T, keywords []string) {
		srv := newServer(t, script{mode: config.TLSNone, keywords: keywords, on: answers(map[string]string{
			"RCPT TO:<later@": "450 4.2.1 mailbox busy",
			"RCPT TO:<never@": "550 5.1.1 no such user",
		})})
		p := chunkPool(t, srv)
		for range 2 {
			verdicts := send(p, mail(greeting, "a@x.test", "later@x.test", "never@x.test", "b@x.test"))
			for i, want := range []string{"", "450 4.2.1 mailbox busy", "550 5.1.1 no such user", ""} {
				got := ""
				if e := verdicts[i].err; e != nil {
					got = e.Reply()
				}
				if got != want {
					t.Errorf("recipient %d: %q, want %q", i, got, want)
				}
			}
		}
		if got := srv.received(); !slices.Equal(got, []string{greeting, greeting}) || srv.connections() != 1 {
			t.Errorf("%d connections, received %q", srv.connections(), got)
		}
	})
}

func TestChunkThatIsLostStaysWithItsUpstream(t *testing.T) {
	t.Parallel()
	for _, at := range []string{"MAIL", "RCPT", "BDAT"} {
		t.Run(at, func(t *testing.T) {
			t.Parallel()
			srv := newServer(t, script{mode: config.TLSNone, keywords: chunking["in one flight"], on: func(n int, verb, line string) string {
				if n == 1 && verb == at && strings.Count(line, "first") == 0 {
					return drop
				}
				return ""
			}})
			p := chunkPool(t, srv)
			m := mail(greeting, "first@x.test")
			m.reversePath = "first@x.test"
			if at == "BDAT" {
				m = mail(greeting)
			} else {
				mustDeliver(t, p, m)
			}
			// All of it was on its way when the connection was lost.
			err := mustFail(t, p, mail(greeting, "second@x.test"))
			if !err.uncertain() || err.Class != ClassConnect || err.concernsUpstream() || srv.connections() != 1 {
				t.Errorf("%+v on %d connections", err, srv.connections())
			}
		})
	}
}

func TestMuchContentWaitsForARecipient(t *testing.T) {
	t.Parallel()
	withChunking(t, func(t *testing.T, keywords []string) {
		srv := newServer(t, script{mode: config.TLSNone, keywords: keywords, on: answers(map[string]string{"RCPT": "550 5.1.1 unknown"})})
		content := "Subject: large\r\n\r\n" + strings.Repeat("0123456789abcdef\r\n", maxBlind/16)
		mustFail(t, chunkPool(t, srv), mail(content))
		if n := len(srv.bytes()); n > 1000 {
			t.Errorf("%d octets were sent for nobody", n)
		}
	})
}

func TestRefusalOfAllIsHeardAlsoWithAChunk(t *testing.T) {
	t.Parallel()
	for _, at := range []string{"MAIL", "RCPT"} {
		srv := newServer(t, script{mode: config.TLSNone, keywords: chunking["in one flight"], on: answers(map[string]string{at: "421 4.3.2 going down"})})
		err := mustFail(t, chunkPool(t, srv), mail(greeting))
		if err.Class != ClassThrottle || !err.closing() || err.uncertain() || len(srv.received()) != 0 {
			t.Errorf("421 at %s: %+v", at, err)
		}
	}
}

func TestConnectionThatWasClosedAfterAMessageCostsNoOther(t *testing.T) {
	t.Parallel()
	for _, mode := range []config.TLSMode{config.TLSImplicit, config.TLSNone} {
		srv := newServer(t, script{mode: mode, keywords: chunking["in one flight"], on: func(n int, verb, _ string) string {
			if n == 1 && verb == "BDAT" {
				return last
			}
			return ""
		}})
		p := chunkPool(t, srv)
		// A deadline that is over would also make the socket look as if it had ended.
		p.dialer.timeouts.DataEnd = time.Hour
		mustDeliver(t, p, mail(greeting))
		eventually(t, "the end of the connection", func() bool { return !p.idle[0].silent() })
		mustDeliver(t, p, mail(greeting))
		if srv.connections() != 2 || len(srv.received()) != 2 {
			t.Errorf("%d connections, %d messages", srv.connections(), len(srv.received()))
		}
	}
}

func TestUpstreamThatSaysMoreThanItIsAskedIsLeft(t *testing.T) {
	t.Parallel()
	for _, keywords := range [][]string{chunking["in one flight"], pipelining["pipelined"]} {
		srv := newServer(t, script{mode: config.TLSNone, keywords: keywords, on: func(_ int, verb, _ string) string {
			if verb == "BDAT" || verb == "END" {
				return "250 2.0.0 Ok\r\n250 2.0.0 Ok"
			}
			return ""
		}})
		p := chunkPool(t, srv)
		mustDeliver(t, p, mail(greeting))
		mustDeliver(t, p, mail(greeting))
		if srv.connections() != 2 {
			t.Errorf("%d connections", srv.connections())
		}
	}
}

func TestUpstreamThatTakesAChunkForNobodyIsLeft(t *testing.T) {
	t.Parallel()
	for _, at := range []string{"MAIL", "RCPT"} {
		srv := newServer(t, script{mode: config.TLSNone, keywords: chunking["in one flight"], on: answers(map[string]string{
			at: "550 5.7.1 no", "BDAT": "250 2.0.0 Ok",
		})})
		p := chunkPool(t, srv)
		if err := mustFail(t, p, mail(greeting)); err.Code != 550 || err.Temporary || len(p.idle) != 0 {
			t.Errorf("%s: %+v, %d connections kept", at, err, len(p.idle))
		}
	}
}

// writeChunk writes content in pieces of the given size as one chunk of an announced size.
func writeChunk(content string, announced int64, size int) (string, error) {
	var out bytes.Buffer
	w := &chunkWriter{w: &out, left: announced}
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

func TestChunkIsNeverCompleteWhenSomethingIsWrong(t *testing.T) {
	t.Parallel()
	type chunk struct {
		content   string
		announced int64
		want      error
	}
	tests := []chunk{
		{"a\r\nb\r\n", 6, nil}, {"a", 1, nil}, {"", 0, nil},
		{"a\r\nb\r\n", 5, errChunkSize}, {"a\r\nb\r\n", 3, errChunkSize}, {"a\r\nb\r\n", 7, errChunkSize}, {"", 1, errChunkSize},
		{"a\r\nb\r", 5, errLineEnds},
	}
	for _, sequence := range smuggled {
		content := "a" + sequence
		tests = append(tests, chunk{content, int64(len(content)), errLineEnds})
	}
	for _, test := range tests {
		for size := 1; size <= len(test.content)+1; size++ {
			got, err := writeChunk(test.content, test.announced, size)
			if !errors.Is(err, test.want) {
				t.Errorf("%q in pieces of %d: %v", test.content, size, err)
			}
			if complete := int64(len(got)) >= test.announced && test.announced > 0; complete != (test.want == nil && test.announced > 0) {
				t.Errorf("%q in pieces of %d: %d of %d octets left", test.content, size, len(got), test.announced)
			}
		}
	}
}

func TestContentThatMustNotGoOutIsNoCompleteChunk(t *testing.T) {
	t.Parallel()
	withChunking(t, func(t *testing.T, keywords []string) {
		srv := newServer(t, script{mode: config.TLSNone, keywords: keywords})
		p := chunkPool(t, srv)
		if err := mustFail(t, p, mail("a: b\r\n\r\nx\n.\nQUIT\r\n")); err.Temporary || err.Enhanced != "5.6.0" || err.Class != ClassMessage {
			t.Errorf("bare LF: %+v", err)
		}
		longer := mail(greeting)
		longer.size--
		if err := mustFail(t, p, longer); !errors.Is(err, errChunkSize) || !err.Temporary || err.concernsUpstream() {
			t.Errorf("wrong size: %+v", err)
		}
		eventually(t, "the connections closed", func() bool { srv.mu.Lock(); defer srv.mu.Unlock(); return srv.open == 0 })
		if len(srv.received()) != 0 {
			t.Errorf("received %q", srv.received())
		}
	})
}

func FuzzChunkWriter(f *testing.F) {
	for _, seed := range append(smuggled, "a\r\n.\r\nb", "", ".") {
		f.Add([]byte(seed), int64(len(seed)), 3)
	}
	f.Fuzz(func(t *testing.T, content []byte, announced int64, size int) {
		got, err := writeChunk(string(content), announced, max(1, size))
		bare := strings.ContainsAny(strings.ReplaceAll(string(content), "\r\n", ""), "\r\n")
		if right := announced == int64(len(content)) && !bare; right != (err == nil) {
			t.Fatalf("%q announced with %d: %v", content, announced, err)
		}
		if err == nil && got != string(content) {
			t.Fatalf("%q became %q", content, got)
		}
		if err != nil && announced > 0 && int64(len(got)) >= announced {
			t.Fatalf("%q left although %v", got, err)
		}
	})
}
