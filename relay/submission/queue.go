package submission

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/mailrelay-dev/mailrelay-operator/relay/config"
	"github.com/mailrelay-dev/mailrelay-operator/relay/spool"
)

// places counts the messages of each user that are on their way into the queue, so that those
// that come at the same time do not all go for the last place in it.
type places struct {
	mu     sync.Mutex
	byUser map[string]int
}

// take keeps a place when the user may have as many messages as fits is told.
func (p *places) take(user string, fits func(onTheWay int) bool) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !fits(p.byUser[user]) {
		return false
	}
	if p.byUser == nil {
		p.byUser = make(map[string]int)
	}
	p.byUser[user]++
	return true
}

func (p *places) giveBack(user string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.byUser[user]--
	if p.byUser[user] == 0 {
		delete(p.byUser, user)
	}
}

// checkQueue refuses mail of a user who has all the messages in the queue that it may have.
func (s *session) checkQueue(user *config.User, onTheWay int) *refusal {
	if user.MaxQueued == 0 || s.backlog == nil {
		return nil
	}
	messages, wait := s.backlog(user.Name)
	messages += onTheWay
	if messages < user.MaxQueued {
		return nil
	}
	// Without a rate in the way it is an upstream that is waited for, nobody knows how long.
	return refuse(reasonQueue, 450, 4, 7, 1, fmt.Sprintf(
		"User %s has %s waiting for delivery, as many as it may have: try again in %s",
		user.Name, counted(messages, "message"), inWords(max(wait, time.Minute))))
}

// commit puts a message into the spool when the user has a place for it in the queue and in
// the rate; both may be gone since MAIL.
func (s *session) commit(tx *transaction, draft spool.Draft, envelope *spool.Envelope) (r *refusal) {
	user := tx.user.Name
	if !s.places.take(user, func(onTheWay int) bool { r = s.checkQueue(tx.user, onTheWay); return r == nil }) {
		return r
	}
	// The spool has told Backlog of the message when Commit returns.
	defer s.places.giveBack(user)
	giveBack, r := s.takeRate(tx)
	if r != nil {
		return r
	}
	// Not bound to the connection: whether the client still listens must not decide whether
	// a message is half committed.
	if err := draft.Commit(context.Background(), envelope); err != nil {
		giveBack()
		return spoolRefusal(err)
	}
	return nil
}
