package policy

import (
	"testing"
	"time"

	"github.com/mailrelay-dev/mailrelay-operator/relay/config"
)

func TestLimitsOfAUserOnlyNarrowThoseOfTheRelay(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		user       config.User
		size       int64
		recipients int
	}{
		{config.User{}, 1000, 100},
		{config.User{MaxSize: 999, MaxRecipients: 99}, 999, 99},
		{config.User{MaxSize: 1001, MaxRecipients: 101}, 1000, 100},
	} {
		size, recipients := MaxSize(&tc.user, 1000), MaxRecipients(&tc.user, 100)
		if size != tc.size || recipients != tc.recipients {
			t.Errorf("%+v: %d bytes, %d recipients", tc.user, size, recipients)
		}
	}
	if MaxSize(&config.User{MaxSize: 5}, 0) != 5 || MaxRecipients(&config.User{}, 0) != 0 {
		t.Error("no limit of the relay")
	}
}

func TestMetersCountUsersWhoseMailIsRefused(t *testing.T) {
	t.Parallel()
	rates := []config.Rate{{Messages: 2, Recipients: 5, Period: time.Minute}}
	refused := &config.User{Name: "a", OnExceed: config.OnExceedRefuse, Rates: rates}
	paced := &config.User{Name: "b", OnExceed: config.OnExceedPace, Rates: rates}
	var m Meters
	for range 3 {
		if m.Take(paced, noon, 100) != 0 || m.Wait(paced, noon, 100) != 0 {
			t.Error("mail that is paced has to wait")
		}
	}
	if m.Take(refused, noon, 4) != 0 || m.Wait(refused, noon, 1) != 0 || m.Wait(refused, noon, 2) == 0 {
		t.Error("the fifth recipient fits, the sixth does not")
	}
	if wait := m.Take(refused, noon, 2); wait < time.Minute {
		t.Errorf("wait %s", wait)
	}
	if m.Take(refused, noon, 1) != 0 || m.Take(refused, noon, 1) == 0 {
		t.Error("the second message fits, the third does not")
	}
	m.Return(refused, noon, 1)
	m.Return(paced, noon, 1)
	if m.Take(refused, noon, 1) != 0 || m.Take(refused, noon, 1) == 0 {
		t.Error("what was given back is one message")
	}
	changed := *refused
	changed.Senders = []string{"*"}
	if m.Wait(&changed, noon, 1) == 0 {
		t.Error("a change of the user began the count anew")
	}
	later := noon.Add(time.Hour)
	m.Take(&config.User{Name: "c", OnExceed: config.OnExceedRefuse}, later, 1)
	if len(m.byUser) != 1 {
		t.Errorf("%d users are remembered", len(m.byUser))
	}
}
