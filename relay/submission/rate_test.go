package submission

import (
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/mailrelay-dev/mailrelay-operator/relay/config"
)

// handClock is a clock that is moved by hand.
type handClock struct{ moved atomic.Int64 }

var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func (c *handClock) now() time.Time { return noon.Add(time.Duration(c.moved.Load())) }

func (c *handClock) advance(d time.Duration) { c.moved.Add(int64(d)) }

func TestRateThatRefuses(t *testing.T) {
	t.Parallel()
	clock := &handClock{}
	f := start(t, func(f *fixture) {
		f.now = clock.now
		f.setUser(config.User{
			Senders: []string{"example.com"}, OnExceed: config.OnExceedRefuse,
			Rates: []config.Rate{{Messages: 2, Recipients: 5, Period: time.Minute}},
		})
	})
	c := f.login()
	for range 2 {
		c.begin()
		c.do("From: app@example.com\r\n\r\nx\r\n.", "250 ")
	}
	c.do("MAIL FROM:<app@example.com>", "450 4.7.1 User app.shop has sent all that its rate allows: try again in 61 seconds")
	clock.advance(61 * time.Second)
	c.begin()
	c.do("From: app@example.com\r\n\r\nx\r\n.", "250 ")
	if n := f.value("mailrelay_messages_refused_total", "rate"); n != 1 {
		t.Errorf("%v refusals counted", n)
	}
}

func TestRecipientsThatARateHasNoPlaceFor(t *testing.T) {
	t.Parallel()
	f := start(t, func(f *fixture) {
		f.setUser(config.User{
			Senders: []string{"example.com"}, OnExceed: config.OnExceedRefuse,
			Rates: []config.Rate{{Recipients: 3, Period: time.Hour}},
		})
	})
	c := f.login()
	c.begin() // one recipient
	c.do("From: app@example.com\r\n\r\nx\r\n.", "250 ")
	c.do("MAIL FROM:<app@example.com>", "250 ")
	c.do("RCPT TO:<a@example.net>", "250 ")
	c.do("RCPT TO:<b@example.net>", "250 ")
	c.do("RCPT TO:<c@example.net>", "450 4.7.1 User app.shop has sent all that its rate allows: try again in 61 minutes")
	c.do("DATA", "354 ")
	c.do("From: app@example.com\r\n\r\nx\r\n.", "250 ")
	c.do("MAIL FROM:<app@example.com>", "450 4.7.1 ")
}

// TestLimitsAreNotPassedByConnectionsAtOnce has many begin while there is place for two.
func TestLimitsAreNotPassedByConnectionsAtOnce(t *testing.T) {
	t.Parallel()
	for name, user := range map[string]config.User{
		"rate":  {OnExceed: config.OnExceedRefuse, Rates: []config.Rate{{Messages: 2, Period: time.Hour}}},
		"queue": {OnExceed: config.OnExceedPace, MaxQueued: 2},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := start(t, func(f *fixture) {
				f.backlog = func(string) (int, time.Duration) { return len(f.spool.messages()), 0 }
				user.Senders = []string{"example.com"}
				f.setUser(user)
			})
			var clients []*client
			for range 8 {
				c := f.login()
				c.begin()
				clients = append(clients, c)
			}
			var accepted atomic.Int32
			var wg sync.WaitGroup
			for _, c := range clients {
				wg.Go(func() {
					switch got := c.do("From: app@example.com\r\n\r\nx\r\n.", ""); {
					case strings.HasPrefix(got, "250 "):
						accepted.Add(1)
					case !strings.HasPrefix(got, "450 4.7.1 "):
						t.Errorf("reply %q", got)
					}
				})
			}
			wg.Wait()
			if accepted.Load() != 2 || len(f.spool.messages()) != 2 {
				t.Errorf("%d accepted, %d stored", accepted.Load(), len(f.spool.messages()))
			}
		})
	}
}

// TestMessageThatCouldNotBeStoredCountsForNothing: the client is told to try again, and must
// find its place then.
func TestMessageThatCouldNotBeStoredCountsForNothing(t *testing.T) {
	t.Parallel()
	f := start(t, func(f *fixture) {
		f.backlog = func(string) (int, time.Duration) { return len(f.spool.messages()), 0 }
		f.setUser(config.User{
			Senders: []string{"example.com"}, OnExceed: config.OnExceedRefuse, MaxQueued: 1,
			Rates: []config.Rate{{Messages: 1, Period: time.Hour}},
		})
		f.spool.failures = 1
	})
	c := f.login()
	c.begin()
	c.do("From: app@example.com\r\n\r\nx\r\n.", "451 4.3.0 ")
	c.begin()
	c.do("From: app@example.com\r\n\r\nx\r\n.", "250 ")
}

func TestRateThatPacesRefusesOnlyPastTheQuota(t *testing.T) {
	t.Parallel()
	var queued atomic.Int64
	f := start(t, func(f *fixture) {
		f.setUser(config.User{
			Senders: []string{"example.com"}, OnExceed: config.OnExceedPace, MaxQueued: 3,
			Rates: []config.Rate{{Messages: 1, Period: time.Hour}},
		})
		f.backlog = func(user string) (int, time.Duration) {
			if user != testUser {
				t.Errorf("asked about %q", user)
			}
			return int(queued.Load()), 150 * time.Second
		}
	})
	c := f.login()
	for n := range int64(3) {
		queued.Store(n)
		c.begin()
		c.do("From: app@example.com\r\n\r\nx\r\n.", "250 ")
	}
	queued.Store(3)
	c.do("MAIL FROM:<app@example.com>", "450 4.7.1 User app.shop has 3 messages waiting for delivery, as many as it may have: try again in 3 minutes")
	if n := f.value("mailrelay_messages_refused_total", "queue_full"); n != 1 {
		t.Errorf("%v refusals counted", n)
	}
}

func TestLimitsOfTheUser(t *testing.T) {
	t.Parallel()
	f := start(t, func(f *fixture) {
		f.setUser(config.User{Senders: []string{"example.com"}, MaxSize: 2000, MaxRecipients: 2})
	})
	c := f.login()
	c.do("MAIL FROM:<app@example.com> SIZE=2001", "552 5.3.4 The message is too large: the limit is 2000 octets")
	c.do("MAIL FROM:<app@example.com> SIZE=2000", "250 ")
	c.do("RCPT TO:<a@example.net>", "250 ")
	c.do("RCPT TO:<b@example.net>", "250 ")
	c.do("RCPT TO:<c@example.net>", "452 4.5.3 A message can have 2 recipients")
	c.do("DATA", "354 ")
	c.do("From: app@example.com\r\n\r\n"+strings.Repeat("x", 2000)+"\r\n.", "552 5.3.4 The message is too large: the limit is 2000 octets")
	c.begin()
	c.do("From: app@example.com\r\n\r\nsmall\r\n.", "250 ")
}

func TestWaitsAreSaidInWords(t *testing.T) {
	t.Parallel()
	for wait, want := range map[time.Duration]string{
		time.Nanosecond: "1 second", time.Second: "1 second", 1500 * time.Millisecond: "2 seconds", 90 * time.Second: "90 seconds",
		121 * time.Second: "3 minutes", 2 * time.Hour: "120 minutes", 2*time.Hour + time.Second: "3 hours", 24 * time.Hour: "24 hours",
	} {
		if got := inWords(wait); got != want {
			t.Errorf("%s: %q, want %q", wait, got, want)
		}
	}
}
