package readiness

import (
	"fmt"
	"strings"
	"time"

	"github.com/mailrelay-dev/mailrelay-operator/api/v1alpha1"
)

// reasonQuarantined is that of damaged mail.
const reasonQuarantined = "MailQuarantined"

// queueHealthy is true when queued mail is leaving.
var queueHealthy = condition[*Facts]{
	name: v1alpha1.ConditionQueueHealthy,
	predicates: []predicate[*Facts]{
		queueIsKnown,
		noSenderIsRefused, // More to the point than that its mail is old
		mailIsLeaving,
		noMailIsDamaged, // What is left to say of mail that leaves
	},
	holds: always[*Facts]("Delivering", "queued mail is leaving"),
}

func queueIsKnown(f *Facts) *finding {
	if f.Queue != nil {
		return nil
	}
	return &finding{reason: "NoReport", message: "no pod has told the state of its queue yet", unknown: true}
}

// mailIsLeaving looks at the whole relay: single messages are put off for days, as when a
// mailbox is full, while others leave.
func mailIsLeaving(f *Facts) *finding {
	long := longWait(f.Relay)
	if f.Queue.Oldest == nil || f.Now.Sub(f.Queue.Oldest.Time) < long {
		return nil
	}
	last, since := lastDelivery(f), "since its pods started"
	if f.Now.Sub(last) < long {
		return nil
	}
	if !last.IsZero() {
		since = "since " + last.UTC().Format(time.RFC3339)
	}
	// The count stays out of the message: it would change, and be written, all the time.
	return &finding{reason: "OldMail", message: fmt.Sprintf(
		"the oldest queued message waits since %s, and the relay has delivered none %s: see the condition UpstreamReady, and the relay's log for the upstream's replies",
		f.Queue.Oldest.UTC().Format(time.RFC3339), since)}
}

// noMailIsDamaged: it says so for as long as the volume lasts, since nobody else learns of it.
func noMailIsDamaged(f *Facts) *finding {
	var pods []string
	messages := int64(0)
	for _, p := range f.Pods {
		if p.Report != nil && p.Report.Queue.Quarantined > 0 {
			pods = append(pods, p.Name)
			messages += p.Report.Queue.Quarantined
		}
	}
	if messages == 0 {
		return nil
	}
	return &finding{reason: reasonQuarantined, message: fmt.Sprintf(
		"%d messages were damaged on disk, put aside and not delivered: see in the log of pod %s which, have their senders send them again, and look at its volume's disk; other mail goes on",
		messages, strings.Join(pods, ", "))}
}

// longWait is how long mail has evidently stopped leaving when none did: longer than most
// greylisting, and than the pause between two attempts at one message.
func longWait(relay *v1alpha1.MailRelay) time.Duration {
	if longest := relay.Spec.Queue.Retry.Max; longest != nil {
		return max(time.Hour, 2*longest.Duration)
	}
	return time.Hour
}

// lastDelivery is when any pod last delivered a message.
func lastDelivery(f *Facts) time.Time {
	var last time.Time
	for _, p := range f.Pods {
		if p.Report != nil && p.Report.Queue.LastDelivery.After(last) {
			last = p.Report.Queue.LastDelivery
		}
	}
	return last
}
