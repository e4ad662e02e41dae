package access

import (
	"cmp"
	"fmt"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/utils/ptr"

	"github.com/mailrelay-dev/mailrelay-operator/api/v1alpha1"
	"github.com/mailrelay-dev/mailrelay-operator/relay/config"
)

// shownEntries bounds what status shows of a list of recipients, and shownLists the lists.
const shownEntries, shownLists = 8, 16

// Shown are the limits of the decision together with those of the relay, as status shows them;
// nil for a user who is refused. A user of another namespace sees that the relay has lists of
// recipients for all its users, and not whom they name: they are its owner's.
func (d Decision) Shown(relay *v1alpha1.MailRelay) *v1alpha1.GrantedLimits {
	if !d.Granted() {
		return nil
	}
	message := &relay.Spec.Message
	shown := &v1alpha1.GrantedLimits{MaxRecipients: ptr.Deref(message.MaxRecipients, 0)}
	var size int64
	if message.MaxSize != nil {
		size = message.MaxSize.Value()
	}
	allow, deny := message.Recipients.Allow, message.Recipients.Deny
	if d.foreign {
		allow, deny = onlyThat(allow), onlyThat(deny)
	}
	showRecipients(shown, allow, deny)
	for i := range d.Limits {
		limits := &d.Limits[i]
		showRecipients(shown, limits.Recipients.Allow, limits.Recipients.Deny)
		shown.MaxRecipients = smaller(shown.MaxRecipients, ptr.Deref(limits.MaxRecipients, 0))
		if limits.MaxSize != nil {
			size = smaller(size, max(limits.MaxSize.Value(), smallestSize))
		}
		if limits.Rate != nil {
			showRate(shown, limits.Rate)
		}
	}
	if size > 0 {
		shown.MaxSize = resource.NewQuantity(size, resource.BinarySI)
	}
	return shown
}

// onlyThat stands for a list that there is.
func onlyThat(list []string) []string {
	if len(list) == 0 {
		return nil
	}
	return []string{fmt.Sprintf("what the relay itself lists (%d)", len(list))}
}

func showRate(shown *v1alpha1.GrantedLimits, rate *v1alpha1.Rate) {
	period := time.Minute
	if rate.Period != nil {
		period = rate.Period.Duration
	}
	for _, bound := range []struct {
		count *int32
		of    string
	}{{rate.Messages, "messages"}, {rate.Recipients, "recipients"}} {
		if bound.count != nil {
			shown.Rates = append(shown.Rates, fmt.Sprintf("%d %s in %s", *bound.count, bound.of, short(period)))
		}
	}
	if shown.OnExceed != config.OnExceedRefuse {
		shown.OnExceed = cmp.Or(rate.OnExceed, config.OnExceedPace)
	}
	shown.MaxQueued = smaller(shown.MaxQueued, ptr.Deref(rate.MaxQueued, 0))
}

// short writes a minute as 1m, not as 1m0s.
func short(d time.Duration) string {
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}

func showRecipients(shown *v1alpha1.GrantedLimits, allow, deny []string) {
	for _, list := range []struct {
		word    string
		entries []string
	}{{"only", allow}, {"not", deny}} {
		if len(list.entries) == 0 || len(shown.Recipients) == shownLists {
			continue
		}
		first := list.entries[:min(len(list.entries), shownEntries)]
		line := list.word + " " + strings.Join(first, ", ")
		if more := len(list.entries) - len(first); more > 0 {
			line += fmt.Sprintf(" and %d more", more)
		}
		shown.Recipients = append(shown.Recipients, line)
	}
}
