package delivery

import (
	"testing"

	"github.com/mailrelay-dev/mailrelay-operator/relay/config"
	"github.com/mailrelay-dev/mailrelay-operator/relay/spool"
)

// TestPartsOfAMessageAreNotTriedAtOnce has two parts of a message ready at the same time: each
// attempt writes the whole envelope.
func TestPartsOfAMessageAreNotTriedAtOnce(t *testing.T) {
	t.Parallel()
	r := newTestRelay(t)
	r.use(alike, config.Route{Recipients: []string{"b.test"}, Upstreams: []string{"second"}})
	first, second := make(chan struct{}), make(chan struct{})
	r.first().block, r.second().block = first, second
	r.second().answer = always(errGrey)
	id := r.submit("app@example.com", "a@x.test", "b@b.test")
	r.run()
	eventually(t, "an attempt", func() bool { return r.first().transactions()+r.second().transactions() == 1 })
	close(first)
	close(second)
	r.rest()
	if e := r.envelope(id); e.Recipients[0].Outcome != spool.Delivered || e.Recipients[1].Reply == "" {
		t.Errorf("an outcome is lost: %+v", e.Recipients)
	}
	if r.first().transactions() != 1 || r.second().transactions() != 1 {
		t.Errorf("%d and %d transactions", r.first().transactions(), r.second().transactions())
	}
}
