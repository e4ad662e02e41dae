package frontdoor

import (
	"testing"
	"time"
)

func TestDeadlines(t *testing.T) {
	t.Parallel()
	began := time.Unix(1000, 0)
	limits := Timeouts{Login: 2 * time.Minute, Command: 5 * time.Minute, Body: 3 * time.Minute, Session: time.Hour}
	stranger := dialogue{greeted: true}
	inLogin := dialogue{greeted: true, challenge: true}
	idle := dialogue{greeted: true, loggedIn: true}
	inTransaction := dialogue{greeted: true, loggedIn: true, transaction: true}
	inBody := dialogue{greeted: true, loggedIn: true, transaction: true, body: true}
	tests := []struct {
		name     string
		d        dialogue
		asked    time.Duration // since began, as are the others
		received int64
		waited   time.Duration
		now      time.Duration
		want     time.Duration
	}{
		{"a stranger has to log in", stranger, 0, 0, 0, 0, 2 * time.Minute},
		{"whatever it says until then", stranger, 90 * time.Second, 0, 0, 90 * time.Second, 2 * time.Minute},
		{"and be done with it", inLogin, 90 * time.Second, 0, 0, 90 * time.Second, 2 * time.Minute},
		{"a command has its time", idle, 0, 0, 0, 0, 5 * time.Minute},
		{"parts of a command win no time", idle, 0, 3, 4 * time.Minute, 4 * time.Minute, 5 * time.Minute},
		{"the session ends between messages", idle, 58 * time.Minute, 0, 0, 58 * time.Minute, time.Hour},
		{"a transaction may be finished", inTransaction, 58 * time.Minute, 0, 0, 58 * time.Minute, 63 * time.Minute},
		{"but not for ever", inTransaction, 64 * time.Minute, 0, 0, 64 * time.Minute, 65 * time.Minute},
		{"a body has a head start", inBody, 0, 0, 0, time.Minute, 4 * time.Minute},
		{"which waiting uses up", inBody, 0, 0, 2 * time.Minute, 2 * time.Minute, 3 * time.Minute},
		{"bytes earn time", inBody, 0, 30000, 2 * time.Minute, 2 * time.Minute, 4 * time.Minute},
		{"never more than one wait", inBody, 0, 1 << 30, 2 * time.Minute, 2 * time.Minute, 5 * time.Minute},
		{"time of the relay is not the client's", inBody, 0, 0, time.Minute, 10 * time.Minute, 12 * time.Minute},
		{"a body that is too slow is over", inBody, 0, 500, 10 * time.Minute, 10 * time.Minute, 3*time.Minute + time.Second},
	}
	for _, tt := range tests {
		p := pace{timeouts: limits, minRate: 500, began: began, asked: began.Add(tt.asked), received: tt.received, waited: tt.waited}
		if got := p.deadline(&tt.d, began.Add(tt.now)).Sub(began); got != tt.want {
			t.Errorf("%s: got %v, want %v", tt.name, got, tt.want)
		}
	}
}

func TestATurnStartsAfresh(t *testing.T) {
	t.Parallel()
	now := time.Unix(1000, 0)
	p := pace{timeouts: Timeouts{Login: time.Hour, Command: time.Minute, Session: time.Hour}, minRate: 1, began: now, asked: now}
	p.got(10, now, now.Add(30*time.Second))
	p.reset(now.Add(30 * time.Second))
	if p.received != 0 || p.waited != 0 {
		t.Errorf("kept %d bytes and %v", p.received, p.waited)
	}
	if got := p.deadline(&dialogue{greeted: true}, now); got != now.Add(90*time.Second) {
		t.Errorf("deadline is %v", got)
	}
}
