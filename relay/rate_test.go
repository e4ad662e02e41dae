package relay_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/mailrelay-dev/mailrelay-operator/relay/config"
)

// rates gives one user a rate and a quota, and another user neither.
func (s *site) rates(user, other string, rate config.Rate, maxQueued int) {
	s.t.Helper()
	passwords, senders := []config.Verifier{s.verifier}, []string{"example.com"}
	data, err := config.MarshalUserFile(&config.UserFile{Version: config.Version, Users: []config.User{
		{Name: user, Passwords: passwords, Senders: senders, Rates: []config.Rate{rate}, MaxQueued: maxQueued},
		{Name: other, Passwords: passwords, Senders: senders},
	}})
	s.ca.must(err)
	s.write("users/users.yaml", string(data))
}

func TestPacedUserIsAcceptedAndDeliveredAtTheRate(t *testing.T) {
	t.Parallel()
	const period = 3 * time.Second
	u := newUpstream(t)
	s := newSite(t, u)
	s.rates("fast.shop", "calm.shop", config.Rate{Messages: 2, Period: period}, 4)
	r := s.start()

	began := time.Now()
	submit := func(from, to int) {
		for n := from; n < to; n++ {
			if err := r.submit(t, "submissions", "fast.shop", body(fmt.Sprintf("fast %d", n))); err != nil {
				t.Fatalf("message %d: %v", n, err)
			}
		}
	}
	submit(0, 2)
	eventually(t, "the first two", func() bool { return u.count() == 2 && r.status(t).Queue.Messages == 0 })
	submit(2, 6)
	// Four wait now, as many as may, unless all of this was too slow.
	all := 7
	if err := r.submit(t, "submissions", "fast.shop", body("fast 6")); err == nil {
		all++
	} else if code(err) != 450 || !strings.Contains(err.Error(), "User fast.shop has 4 messages waiting") {
		t.Errorf("past the quota: %v", err)
	}
	if all > 7 && time.Since(began) < period {
		t.Error("a fifth message waits")
	}
	if err := r.submit(t, "submission", "calm.shop", body("calm")); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the other user's message", func() bool { _, ok := u.find("calm"); return ok })
	if n := u.count(); time.Since(began) < period && n != 3 {
		t.Errorf("%d messages delivered within the period, want 2 and the other user's", n)
	}
	eventually(t, "all of them", func() bool { return u.count() == all })
	if took := time.Since(began); took < 2*period {
		t.Errorf("six messages at 2 in %s took only %s", period, took)
	}
}
