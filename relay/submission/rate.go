package submission

import (
	"fmt"
	"math"
	"time"

	"github.com/mailrelay-dev/mailrelay-operator/relay/config"
)

// checkRate refuses mail of a user whose rate is set to refuse and has no place for it now.
func (s *session) checkRate(user *config.User, recipients int) *refusal {
	return tooFast(user, s.meters.Wait(user, s.now(), recipients))
}

// takeRate counts a message against the user's rate, or refuses it. One that came to nothing
// after all is given back.
func (s *session) takeRate(tx *transaction) (giveBack func(), r *refusal) {
	now, recipients := s.now(), len(tx.recipients)
	giveBack = func() { s.meters.Return(tx.user, now, recipients) }
	return giveBack, tooFast(tx.user, s.meters.Take(tx.user, now, recipients))
}

func tooFast(user *config.User, wait time.Duration) *refusal {
	if wait == 0 {
		return nil
	}
	return refuse(reasonRate, 450, 4, 7, 1, fmt.Sprintf(
		"User %s has sent all that its rate allows: try again in %s", user.Name, inWords(wait)))
}

// inWords rounds a wait up to what a person would say.
func inWords(wait time.Duration) string {
	for _, unit := range []struct {
		name string
		size time.Duration
	}{{"hour", time.Hour}, {"minute", time.Minute}} {
		if wait > 2*unit.size {
			return counted(units(wait, unit.size), unit.name)
		}
	}
	return counted(units(wait, time.Second), "second")
}

func units(wait, unit time.Duration) int { return int(math.Ceil(wait.Seconds() / unit.Seconds())) }

func counted(n int, name string) string {
	if n != 1 {
		name += "s"
	}
	return fmt.Sprintf("%d %s", n, name)
}
