package delivery

import (
	"io"
	"slices"
	"time"

	"github.com/mailrelay-dev/mailrelay-operator/relay/spool"
)

// submitWith submits a message to a@x.test with a changed envelope.
func (r *testRelay) submitWith(change func(*spool.Envelope)) string {
	r.Helper()
	draft, err := r.store.Spool.Create(r.Context())
	if err != nil {
		r.Fatal(err)
	}
	if _, err := io.WriteString(draft, greeting); err != nil {
		r.Fatal(err)
	}
	e := &spool.Envelope{
		Accepted: r.clock.Now(), User: "app", ReversePath: "app@example.com", MessageID: "<1@app.test>",
		Recipients: []spool.Recipient{{Address: "a@x.test"}},
	}
	change(e)
	if err := draft.Commit(r.Context(), e); err != nil {
		r.Fatal(err)
	}
	return draft.ID()
}

// notices are the notifications that are in the spool or were delivered, each once.
func (r *testRelay) notices() []string {
	r.Helper()
	found := r.first().bounces()
	slices.Sort(found)
	found = slices.Compact(found)
	err := r.store.Each(func(e *spool.Envelope) error {
		if e.User != "" {
			return nil
		}
		content, err := r.store.Spool.Open(e.ID)
		if err != nil {
			return err
		}
		defer content.Close()
		body, err := io.ReadAll(content)
		if !slices.Contains(found, string(body)) {
			found = append(found, string(body))
		}
		return err
	})
	if err != nil {
		r.Fatal(err)
	}
	return found
}

// pass lets time go by in steps, each with the attempts that fall into it.
func (r *testRelay) pass(d, step time.Duration) {
	for ; d > 0; d -= step {
		r.clock.advance(min(d, step))
		r.rest()
	}
}

// only answers with an error for a@x.test.
func only(e *Error) func(int, string) *Error {
	return func(_ int, recipient string) *Error {
		if recipient == "a@x.test" {
			return e
		}
		return nil
	}
}

// deadLetters are those of the spool by who did not get them.
func (r *testRelay) deadLetters() map[string]*spool.Envelope {
	r.Helper()
	found := make(map[string]*spool.Envelope)
	err := r.store.EachDeadLetter(func(e *spool.Envelope) error {
		for _, recipient := range e.Recipients {
			if recipient.Outcome.Failed() {
				found[recipient.Address] = e
			}
		}
		return nil
	})
	if err != nil {
		r.Fatal(err)
	}
	return found
}

// senders of all transactions.
func (u *testUpstream) senders() []string {
	u.mu.Lock()
	defer u.mu.Unlock()
	var senders []string
	for _, m := range u.messages {
		senders = append(senders, m.reversePath)
	}
	return senders
}
