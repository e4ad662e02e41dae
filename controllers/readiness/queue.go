package readiness

import (
	"fmt"
	"time"

	"github.com/mailrelay-dev/mailrelay-operator/api/v1alpha1"
)

// oldAge is when a queued message is so old that mail has evidently stopped leaving: longer
// than the default longest pause between two attempts, and than most greylisting.
const oldAge = time.Hour

// queueHealthy is true when queued mail is leaving.
var queueHealthy = condition[*Facts]{
	name: v1alpha1.ConditionQueueHealthy,
	predicates: []predicate[*Facts]{
		queueIsKnown,
		oldestIsYoung,
	},
	holds: always[*Facts]("Delivering", "queued mail is leaving"),
}

func queueIsKnown(f *Facts) *finding {
	if f.Queue != nil {
		return nil
	}
	return &finding{reason: "NoReport", message: "no pod has told the state of its queue yet", unknown: true}
}

func oldestIsYoung(f *Facts) *finding {
	if f.Queue.Oldest == nil || f.Now.Sub(f.Queue.Oldest.Time) < oldAge {
		return nil
	}
	// The count stays out of the message: it would change, and be written, all the time.
	return &finding{reason: "OldMail", message: fmt.Sprintf(
		"the oldest queued message waits since %s: see the condition UpstreamReady and the relay's log for its reply", f.Queue.Oldest.UTC().Format(time.RFC3339))}
}
