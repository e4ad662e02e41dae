package delivery

import (
	"context"
	"errors"
	"time"

	"github.com/mailrelay-dev/mailrelay-operator/relay/spool"
)

// record writes down what the attempt brought. Nothing is forgotten before it is durable: a
// message that the spool does not let go of stays in the queue.
func (a *attempt) record(ctx context.Context) disposition {
	// An outcome has to be written even while the relay stops.
	ctx = context.WithoutCancel(ctx)
	err := a.write(ctx)
	switch {
	case errors.Is(err, spool.ErrNotFound):
		return disposition{done: true}
	case err != nil:
		if a.unrecorded++; a.unrecorded == 1 {
			a.scheduler.options.Logger.Error("cannot record the outcome of a delivery, trying again",
				"queue_id", a.entry.id, "error", err)
		}
		a.savePart(ctx)
		return disposition{unrecorded: true}
	case a.unrecorded > 0:
		a.scheduler.options.Logger.Info("the outcome of a delivery is recorded after all",
			"queue_id", a.entry.id, "tries", a.unrecorded+1)
		a.unrecorded = 0
	}
	return disposition{done: a.envelope.Done(), due: a.due()}
}

// due is when the message is to be tried again. A fault of the upstream does not delay it:
// it goes out as soon as the upstream is back.
func (a *attempt) due() time.Time {
	if a.fault != nil {
		return time.Time{}
	}
	return a.envelope.NextAttempt
}

// write makes the outcome durable: first what somebody is told, then the rest.
func (a *attempt) write(ctx context.Context) error {
	if !a.saved {
		if err := a.save(ctx); err != nil {
			return err
		}
		a.saved = true
	}
	store := a.scheduler.options.Spool
	switch {
	case a.envelope.Done() && a.envelope.Damaged:
		return store.Quarantine(ctx, a.envelope)
	case a.envelope.Done():
		return store.Remove(ctx, a.envelope.ID)
	}
	return nil
}

// save writes the envelope where it must not be lost: for the recipients that are pending,
// for who is told of the others, and for the dead letter that a message becomes which failed.
func (a *attempt) save(ctx context.Context) error {
	told, err := a.tell(ctx)
	if err != nil || told {
		return err
	}
	over := a.envelope.Done() && (a.envelope.Damaged || len(a.failed) == 0)
	if over || len(a.judged) == 0 {
		return nil
	}
	return a.scheduler.options.Spool.Update(ctx, a.envelope)
}

// savePart records the deliveries when the notification that belongs to the same attempt
// cannot be written, so that a crash does not repeat them. It is only a precaution: the whole
// outcome is recorded later.
func (a *attempt) savePart(ctx context.Context) {
	if len(a.failed)+len(a.relayed) == 0 || len(a.failed) == len(a.judged) || a.saved {
		return
	}
	part := a.envelope.Clone()
	for _, i := range a.failed {
		part.Recipients[i].Outcome = spool.Pending
	}
	_ = a.scheduler.options.Spool.Update(ctx, part)
}
