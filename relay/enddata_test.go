package relay_test

import (
	"fmt"
	"net/smtp"
	"net/textproto"
	"strings"
	"sync"
	"testing"

	"github.com/mailrelay-dev/mailrelay-operator/test/attack/hostile"
)

// endCase is one sequence, cut into writes in one way.
type endCase struct {
	id    string
	parts []string
	// sequence is what is tried; ends when it is an end of data.
	sequence string
	ends     bool
}

func (e *endCase) refused() bool { return hostile.MustBeRefused(e.sequence) }

func (e *endCase) bareCR() bool { return hostile.HasBareCR(e.sequence) }

// endCases are all sequences, each whole, split at every byte, and byte by byte. What is
// behind a sequence would be a second message if it were taken for the end.
func endCases(service string) []*endCase {
	var cases []*endCase
	add := func(sequence string, ends bool) {
		for n, parts := range hostile.Cuts(sequence) {
			id := fmt.Sprintf("%s %q cut %d.", service, sequence, n)
			tail := hostile.Smuggled + "end " + id + "\r\n.\r\n"
			if ends {
				tail = "NOOP\r\n"
			}
			parts[0] = "From: app@example.com\r\n\r\nbegin " + id + parts[0]
			parts[len(parts)-1] += tail
			cases = append(cases, &endCase{id: id, sequence: sequence, ends: ends, parts: parts})
		}
	}
	for _, sequence := range hostile.NotTheEnd {
		add(sequence, false)
	}
	for _, sequence := range hostile.TheEnd {
		add(sequence, true)
	}
	return cases
}

// TestEndOfDataMatrix sends every sequence, however it is split, through a whole relay. Only
// CRLF.CRLF ends a message; each one that is accepted is exactly one message at the provider,
// without a bare CR or LF; and no sequence makes the relay wait.
func TestEndOfDataMatrix(t *testing.T) {
	t.Parallel()
	provider := newCapture(t, "8BITMIME", "PIPELINING")
	r := newSite(t, provider.upstream).start()
	var accepted []*endCase
	var clients sync.WaitGroup
	for _, service := range []string{"submissions", "submission"} {
		cases := make(chan *endCase)
		for range 4 {
			clients.Go(func() { r.tryEnds(t, service, cases) })
		}
		clients.Go(func() {
			defer close(cases)
			for _, e := range endCases(service) {
				cases <- e
			}
		})
		for _, e := range endCases(service) {
			if !e.refused() {
				accepted = append(accepted, e)
			}
		}
	}
	clients.Wait()
	eventually(t, "an empty queue", func() bool { return r.status(t).Queue.Messages == 0 })
	bodies, strange := provider.captured()
	if len(strange) > 0 {
		t.Errorf("the provider was sent commands that nobody gave: %q", strange)
	}
	if len(bodies) != len(accepted) {
		t.Errorf("the provider got %d messages, %d were accepted", len(bodies), len(accepted))
	}
	for _, e := range accepted {
		e.check(t, bodies)
	}
}

// tryEnds plays cases, with as few connections as they allow.
func (r *running) tryEnds(t *testing.T, service string, cases <-chan *endCase) {
	var c *smtp.Client
	for e := range cases {
		if c == nil {
			c = r.dial(t, service)
			if err := r.login(c, "app.shop", r.site.password); err != nil {
				t.Errorf("login: %v", err)
				return
			}
		}
		if err := e.play(c.Text); err != nil {
			t.Errorf("%s%v", e.id, err)
		}
		if e.bareCR() {
			_ = c.Close()
			c = nil
		}
	}
}

// play submits the message and checks the replies.
func (e *endCase) play(c *textproto.Conn) error {
	for _, command := range []string{"MAIL FROM:<app@example.com>", "RCPT TO:<bob@example.net>", "DATA"} {
		if err := c.PrintfLine("%s", command); err != nil {
			return err
		}
		if _, _, err := c.ReadResponse(0); err != nil {
			return err
		}
	}
	for _, part := range e.parts {
		// After a bare CR the relay may have closed already.
		_, _ = c.W.WriteString(part)
		if err := c.W.Flush(); err != nil && !e.bareCR() {
			return err
		}
	}
	want := map[bool]int{true: 554, false: 250}[e.refused()]
	code, text, err := c.ReadResponse(0)
	switch {
	case err != nil:
		return fmt.Errorf("the reply to the message: %w", err)
	case code != want:
		return fmt.Errorf("answered %d %s, want %d", code, text, want)
	case e.bareCR():
		if line, err := c.ReadLine(); err == nil {
			return fmt.Errorf("the session goes on after a bare CR with %q", line)
		}
	case e.ends:
		if _, _, err := c.ReadResponse(250); err != nil {
			return fmt.Errorf("NOOP behind the end of data: %w", err)
		}
	}
	return nil
}

// check wants the message at the provider once and whole.
func (e *endCase) check(t *testing.T, bodies []string) {
	found := 0
	for _, body := range bodies {
		if !strings.Contains(body, "begin "+e.id) {
			continue
		}
		found++
		if !e.ends && !strings.HasSuffix(body, "end "+e.id+"\r\n.\r\n") {
			t.Errorf("%s lost its end: %q", e.id, body)
		}
		if strings.ContainsAny(strings.ReplaceAll(body, "\r\n", ""), "\r\n") || strings.Count(body, "\r\n.\r\n") != 1 {
			t.Errorf("%s has a bare CR or LF, or two ends: %q", e.id, body)
		}
	}
	if found != 1 {
		t.Errorf("%s came %d times", e.id, found)
	}
}

// TestACutBodyNeverCommits ends the connection at every byte of a message, with the farewell
// of TLS and without.
func TestACutBodyNeverCommits(t *testing.T) {
	t.Parallel()
	const content = "From: app@example.com\r\n\r\nx\r\n.\r" // one byte short of its end
	provider := newCapture(t, "8BITMIME", "PIPELINING")
	r := newSite(t, provider.upstream).start()
	var clients sync.WaitGroup
	cut := func(service string, at int, farewell bool) {
		c, conn := r.dialRaw(t, service)
		if err := r.login(c, "app.shop", r.site.password); err != nil {
			t.Error(err)
			return
		}
		for _, command := range []string{"MAIL FROM:<app@example.com>", "RCPT TO:<bob@example.net>", "DATA"} {
			_ = c.Text.PrintfLine("%s", command)
			if _, _, err := c.Text.ReadResponse(0); err != nil {
				t.Error(err)
			}
		}
		_, _ = c.Text.W.WriteString(content[:at])
		_ = c.Text.W.Flush()
		if farewell {
			_ = c.Close()
		}
		_ = conn.Close()
	}
	cuts := 0
	for _, service := range []string{"submissions", "submission"} {
		for _, farewell := range []bool{true, false} {
			cuts += len(content) + 1
			clients.Go(func() {
				for at := range len(content) + 1 {
					cut(service, at, farewell)
				}
			})
		}
	}
	clients.Wait()
	noticed := fmt.Sprintf(`mailrelay_messages_refused_total{reason="interrupted"} %d`, cuts)
	eventually(t, noticed, func() bool {
		_, metrics := get(t, r.Metrics, "/metrics")
		return strings.Contains(metrics, noticed)
	})
	if queued := r.status(t).Queue.Messages; queued != 0 {
		t.Errorf("%d messages are queued", queued)
	}
	if bodies, _ := provider.captured(); len(bodies) != 0 {
		t.Errorf("the provider got %q", bodies)
	}
}
