package submission

import (
	"errors"
	"io"
	"net/mail"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"
)

// wholeReplies is what a server may say: lines of replies, none of them broken.
var wholeReplies = regexp.MustCompile(`^([2-5][0-9]{2}[ -][ -~]*\r\n)*$`)

// FuzzConnection has a client say anything, on either port, logged in or not. The connection
// ends, every answer is a reply, and what is stored is whole and from who may send it.
func FuzzConnection(f *testing.F) {
	const begin = "MAIL FROM:<app@example.com>\r\nRCPT TO:<bob@example.net>\r\nDATA\r\n"
	for _, seed := range []string{
		begin + "Subject: x\r\n\r\n..y\r\n.\r\nQUIT\r\nNOOP\r\n",
		strings.Replace(begin, "e.com", "E.com", 1) + "Subject: gr\u00fc\u00dfe\r\nFrom: J\u00f6rg <app@examplE.com>\r\n\r\n.\r\n",
		begin + "\n.\n\r\n.\n" + begin + "\r\n.\r\n",
		begin + "x\r\r\n.\r\n" + begin + "x\r\n.\r\n",
		begin + "From: <app@example.com>, boss@example.org\r\nReceived: x\r\n y\r\nBcc: z\r\n\r\n\x00\r\n.\r\n",
		"MAIL FROM:<app@example.com> SIZE=99999999999 BODY=8BITMIME SMTPUTF8 AUTH=<> RET=HDRS ENVID=+00\r\n",
		"MAIL FROM:<>\r\nMAIL FROM:<app@example.com>\r\nRCPT TO:<\"a b> NOTIFY=NEVER\"@example.net>\r\nRCPT TO:<postmaster>\r\n",
		"MAIL FROM:<app@example.com>\r\nRCPT TO:<@a,@b:b\u00f6b@ex\u00e4mple.net>\r\nBDAT 3 LAST\r\nabcRSET\r\nHELP\r\nVRFY x\r\n",
		"EHLO \r\x00<x>\r\nHELO [::1]\r\nSTARTTLS\r\nAUTH PLAIN AGEAYg==\r\nAUTH LOGIN\r\n*\r\nAUTH LOGIN YQ==\r\nYQ==\r\n",
		"AUTH SCRAM-SHA-256 biwsbj1hLHI9Yg==\r\nYz1iaXdzLHI9Yg==\r\nAUTH OAUTHBEARER biwsAWF1dGg9QmVhcmVyIHgBAQ==\r\n\r\n",
		"NOOP \r\nQUIT \r\nDATA x\r\nFROB\r\nBDAT\r\n",
		"NOOP\n",
		strings.Repeat("x", 17000),
	} {
		for _, submission := range []bool{false, true} {
			f.Add([]byte(seed), submission, true)
			f.Add([]byte(seed), submission, false)
		}
	}
	fix, implicit, explicit := behindFrontDoor(f)
	fix.address = implicit
	f.Fuzz(func(t *testing.T, input []byte, submission, login bool) {
		fix.t = t
		var c *client
		if submission {
			c = fix.startTLS(explicit)
		} else {
			c = fix.connect()
		}
		if login {
			c.do("AUTH PLAIN "+plainResponse("", testUser, testPassword), "235 ")
		}
		_ = c.conn.SetDeadline(time.Now().Add(5 * time.Second))
		go func() {
			_, _ = c.conn.Write(input)
			_ = c.conn.CloseWrite()
		}()
		said, err := io.ReadAll(c.in)
		if errors.Is(err, os.ErrDeadlineExceeded) {
			t.Fatalf("%q: the connection does not end", input)
		}
		if !wholeReplies.Match(said) {
			t.Fatalf("%q: the answer %q is no sequence of replies", input, said)
		}
		for _, m := range fix.spool.take() {
			checkStored(t, m, login)
		}
		if log := fix.log.take(); strings.Contains(log, "panic") || strings.Contains(log, testPassword) {
			t.Fatalf("%q: %s", input, log)
		}
	})
}

// checkStored wants what any message must be that was accepted.
func checkStored(t *testing.T, m stored, login bool) {
	t.Helper()
	head, _, found := strings.Cut(m.content, "\r\n\r\n")
	switch {
	case !login:
		t.Fatalf("stored without a login: %q", m.content)
	case m.envelope.User != testUser || !strings.HasSuffix(strings.ToLower(m.envelope.ReversePath), "@example.com"):
		t.Fatalf("stored from %s for %s", m.envelope.ReversePath, m.envelope.User)
	case len(m.envelope.Recipients) == 0 || len(m.envelope.Recipients) > 10:
		t.Fatalf("stored for %d recipients", len(m.envelope.Recipients))
	case !isFromTheUser(head):
		t.Fatalf("stored with a From that is not the user's: %q", m.content)
	case !found || !strings.HasPrefix(head, "Received: ") || !strings.HasSuffix(m.content, "\r\n"):
		t.Fatalf("stored without a header or an end: %q", m.content)
	case strings.ContainsAny(strings.ReplaceAll(m.content, "\r\n", ""), "\r\n\x00"):
		t.Fatalf("stored with a bare CR, LF or NUL: %q", m.content)
	}
}

// isFromTheUser reads the From of a header without the relay's own parsers.
func isFromTheUser(head string) bool {
	unfolded := strings.NewReplacer("\r\n ", " ", "\r\n\t", " ").Replace(head)
	from := 0
	for line := range strings.SplitSeq(unfolded, "\r\n") {
		name, value, _ := strings.Cut(line, ":")
		if !strings.EqualFold(strings.TrimSpace(name), "From") {
			continue
		}
		from++
		addresses, err := mail.ParseAddressList(strings.ToValidUTF8(value, "?"))
		if err != nil {
			return false
		}
		for _, a := range addresses {
			if !strings.HasSuffix(strings.ToLower(a.Address), "@example.com") || strings.Count(a.Address, "@") != 1 {
				return false
			}
		}
	}
	return from <= 1
}

// TestFromOfTheUserIsTold keeps the check of FuzzConnection honest.
func TestFromOfTheUserIsTold(t *testing.T) {
	t.Parallel()
	for head, want := range map[string]bool{
		"Received: x\r\nFrom: App <app@example.com>": true,
		"Subject: x":                                                   true,
		"From: boss@example.org":                                       false,
		"X: y\r\nFROM :\r\n boss@example.org":                          false,
		"From: app@example.com,\r\n\tboss@example.org":                 false,
		"From: app@example.com\r\nfrom: app@example.com":               false,
		"From: \"boss@example.org\"@example.com":                       false,
		"From: app@example.com boss@example.org":                       false,
		"From: app@example.com.evil.example":                           false,
		"Subject: x\r\n From: boss@example.org\r\nFrom: a@example.com": true,
	} {
		if got := isFromTheUser(head); got != want {
			t.Errorf("%q: %v", head, got)
		}
	}
}

// take returns what was stored and forgets it.
func (s *memorySpool) take() []stored {
	s.mu.Lock()
	defer s.mu.Unlock()
	taken := s.committed
	s.committed = nil
	return taken
}

// take returns the log and empties it.
func (b *syncBuffer) take() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	taken := b.b.String()
	b.b.Reset()
	return taken
}
