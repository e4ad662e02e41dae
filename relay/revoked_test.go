package relay_test

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net/smtp"
	"strings"
	"testing"
	"time"

	"github.com/mailrelay-dev/mailrelay-operator/relay/config"
)

// revocationLimit is how soon a session is over once its user is gone.
const revocationLimit = 5 * time.Second

// nextReply waits for a reply that answers nothing.
func nextReply(c *smtp.Client) (string, error) {
	line, err := c.Text.ReadLine()
	if err == nil {
		_, err = c.Text.ReadLine()
		if err == io.EOF {
			return line, nil
		}
		err = fmt.Errorf("the connection is open after %q: %w", line, err)
	}
	return line, err
}

func TestSessionsEndWithTheirUser(t *testing.T) {
	t.Parallel()
	fresh, err := config.NewVerifier(rand.Text())
	if err != nil {
		t.Fatal(err)
	}
	for name, tc := range map[string]struct {
		passwords []config.Verifier
		want      string
	}{
		"removed":  {nil, "421 4.7.0 This user was removed"},
		"replaced": {[]config.Verifier{fresh}, "421 4.7.0 What this session logged in with is no longer valid"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			site := newSite(t, newUpstream(t))
			site.users("app.shop", "stays.shop")
			r := site.start()
			open := func(service, user string) *smtp.Client {
				c := r.dial(t, service)
				if err := r.login(c, user, site.password); err != nil {
					t.Fatal(err)
				}
				return c
			}
			stays, finishes := open("submissions", "stays.shop"), open("submission", "app.shop")
			ends := map[string]*smtp.Client{
				"idle on 465": open("submissions", "app.shop"), "idle on 587": open("submission", "app.shop"),
				"in a transaction": open("submissions", "app.shop"), "in a body": open("submissions", "app.shop"),
			}
			if err := ends["in a transaction"].Mail("app@example.com"); err != nil {
				t.Fatal(err)
			}
			stuck, body := beginBody(t, ends["in a body"]), beginBody(t, finishes)
			_, _ = io.WriteString(stuck, "From: app@example.com\r\n\r\nwill not")

			changed := []config.User{{Name: "stays.shop", Passwords: []config.Verifier{site.verifier}, Senders: []string{"example.com"}}}
			if tc.passwords != nil {
				changed = append(changed, config.User{Name: "app.shop", Passwords: tc.passwords, Senders: []string{"example.com"}})
			}
			from := time.Now()
			site.userFile(changed...)
			mustEnd(t, map[string]*smtp.Client{"idle on 465": ends["idle on 465"]}, tc.want)
			if _, err := io.WriteString(body, "From: app@example.com\r\n\r\nThe end.\r\n"); err != nil || body.Close() != nil {
				t.Errorf("a message under way is not taken: %v", err)
			}
			delete(ends, "idle on 465")
			mustEnd(t, ends, tc.want)
			if took := time.Since(from); took > revocationLimit {
				t.Errorf("the sessions ended after %s", took)
			}
			mustEnd(t, map[string]*smtp.Client{"after the message": finishes}, tc.want)
			if err := send(stays, "From: app@example.com\r\n\r\nstill here\r\n"); err != nil {
				t.Errorf("the session of another user: %v", err)
			}
		})
	}
}

func mustEnd(t *testing.T, sessions map[string]*smtp.Client, want string) {
	t.Helper()
	for where, c := range sessions {
		if reply, err := nextReply(c); err != nil || !strings.HasPrefix(reply, want) {
			t.Errorf("%s: %q, %v, want %s", where, reply, err, want)
		}
	}
}

// beginBody sends everything that comes before a body.
func beginBody(t *testing.T, c *smtp.Client) io.WriteCloser {
	t.Helper()
	if err := errors.Join(c.Mail("app@example.com"), c.Rcpt("bob@example.net")); err != nil {
		t.Fatal(err)
	}
	w, err := c.Data()
	if err != nil {
		t.Fatal(err)
	}
	return w
}
