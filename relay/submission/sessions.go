package submission

import (
	"sync"
	"time"

	"github.com/mailrelay-dev/mailrelay-operator/relay/config"
)

// revokedGrace is how long a client may take to finish a message when the login behind it has
// ended.
const revokedGrace = 3 * time.Second

// sessions are those that have logged in and are not over.
type sessions struct {
	mu  sync.Mutex
	all map[*session]struct{}
}

func (o *sessions) add(s *session) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.all == nil {
		o.all = map[*session]struct{}{}
	}
	o.all[s] = struct{}{}
}

// remove reports whether the session was one of them.
func (o *sessions) remove(s *session) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	_, open := o.all[s]
	delete(o.all, s)
	return open
}

func (o *sessions) list() []*session {
	o.mu.Lock()
	defer o.mu.Unlock()
	list := make([]*session, 0, len(o.all))
	for s := range o.all {
		list = append(list, s)
	}
	return list
}

// EndRevoked ends the sessions whose login is no longer good: at once, or a little later those
// in which a message is under way. It is to be called when the users have changed, and now and then,
// since passwords and tokens can end by themselves.
func (s *Server) EndRevoked() {
	for _, open := range s.backend.open.list() {
		open.endIfRevoked()
	}
	s.backend.previous.forget(s.backend.stillReplaced)
}

func (s *session) endIfRevoked() {
	s.mu.Lock()
	_, r := s.stillIn()
	s.mu.Unlock()
	// Several may come to look at the same time.
	if r == nil || !s.open.remove(s) {
		return
	}
	s.metrics.ended.Inc()
	s.log.Info("session ended", s.about("reply", replyLine(r.reply))...)
	s.leave(replyLine(r.reply), revokedGrace)
}

// stillIn is the user who logged in, as far as what the session logged in with lets it in now.
// s.mu is held.
func (s *session) stillIn() (*config.User, *refusal) {
	user, ok := s.users.Lookup(s.user)
	if !ok {
		return nil, refuse(reasonLogin, 421, 4, 7, 0, "This user was removed: log in as another").andHangUp()
	}
	if !s.holds() {
		return nil, refuse(reasonLogin, 421, 4, 7, 0, "What this session logged in with is no longer valid: log in again").andHangUp()
	}
	return user, nil
}
