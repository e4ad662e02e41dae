package relay_test

import (
	"strings"
	"testing"
	"time"

	"github.com/emersion/go-smtp"

	"github.com/mailrelay-dev/mailrelay-operator/relay/config"
)

func TestFailedMessagesAreKeptForATime(t *testing.T) {
	t.Parallel()
	u := newUpstream(t)
	u.setRefusal(&smtp.SMTPError{Code: 550, EnhancedCode: smtp.EnhancedCode{5, 1, 1}, Message: "No such user here"})
	site := newSite(t, u)
	r := site.start()
	if err := r.submit(t, "submissions", "app.shop", body("to nobody")); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the dead letter", func() bool { q := r.status(t).Queue; return q.Messages == 0 && q.DeadLetters == 1 })
	if _, metrics := get(t, r.Metrics, "/metrics"); !strings.Contains(metrics, "mailrelay_dead_letters 1") ||
		!strings.Contains(metrics, `mailrelay_notifications_total{kind="failure"} 1`) {
		t.Error("the metrics do not show it")
	}
	if err := r.stop(); err != nil {
		t.Fatal(err)
	}
	site.change(func(c *config.Config) { c.Queue.DeadLetterRetention = time.Hour })
	r = site.start()
	if n := r.status(t).Queue.DeadLetters; n != 1 {
		t.Errorf("%d dead letters after a restart", n)
	}
	if err := r.stop(); err != nil {
		t.Fatal(err)
	}
	site.change(func(c *config.Config) { c.Queue.DeadLetterRetention = time.Millisecond })
	r = site.start()
	eventually(t, "the end of their time", func() bool { return r.status(t).Queue.DeadLetters == 0 })
}
