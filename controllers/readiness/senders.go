package readiness

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/mailrelay-dev/mailrelay-operator/relay/config"
)

// reasonSenderRefused is that of senders whose mail an upstream does not take.
const reasonSenderRefused = "SenderRefused"

// shownSenders is how many senders a message names.
const shownSenders = 3

// noSenderIsRefused: mail of other senders goes on.
func noSenderIsRefused(f *Facts) *finding {
	refused := RefusedSenders(f.Pods)
	if len(refused) == 0 {
		return nil
	}
	return &finding{reason: reasonSenderRefused, message: listed(refused, func(r config.SenderReport) string {
		of := ""
		if r.User != "" {
			of = " of user " + r.User
		}
		return fmt.Sprintf("mail%s from %s", of, shown(r.Sender))
	}) + ". Verify the sender at the provider, or have the user send as another one; until then its mail is held, and bounced after a day"}
}

// RefusedSenders are those that any pod tells of, each once, since when it is longest, sorted.
func RefusedSenders(pods []Pod) []config.SenderReport {
	type key struct{ user, sender, upstream string }
	first := map[key]config.SenderReport{}
	for _, p := range pods {
		if p.Report == nil {
			continue
		}
		for _, r := range p.Report.SendersRefused {
			k := key{r.User, r.Sender, r.Upstream}
			if known, ok := first[k]; !ok || r.Since.Before(known.Since) {
				first[k] = r
			}
		}
	}
	var all []config.SenderReport
	for _, r := range first {
		all = append(all, r)
	}
	slices.SortFunc(all, func(a, b config.SenderReport) int {
		return cmp.Or(a.Since.Compare(b.Since), cmp.Compare(a.User, b.User), cmp.Compare(a.Sender, b.Sender), cmp.Compare(a.Upstream, b.Upstream))
	})
	return all
}

// listed says of the first senders which upstream refuses what of them.
func listed(refused []config.SenderReport, what func(config.SenderReport) string) string {
	var parts []string
	for _, r := range refused[:min(len(refused), shownSenders)] {
		parts = append(parts, fmt.Sprintf("upstream %s does not take %s since %s (%s)", r.Upstream, what(r), r.Since.UTC().Format(time.RFC3339), r.Reply))
	}
	if more := len(refused) - shownSenders; more > 0 {
		parts = append(parts, fmt.Sprintf("and %d more", more))
	}
	return strings.Join(parts, "; ")
}

// shown is a reverse-path in words.
func shown(sender string) string { return cmp.Or(sender, "the null sender <>") }

// sendersAreAccepted tells an app's team what its relay's owner sees as well.
func sendersAreAccepted(f *UserFacts) *finding {
	if len(f.SendersRefused) == 0 {
		return nil
	}
	refused, whole := f.SendersRefused, ""
	if f.foreign() {
		refused = slices.Clone(refused)
		for i := range refused {
			refused[i].Reply = cmp.Or(codesOf.FindString(refused[i].Reply), "without a code")
		}
		whole = fmt.Sprintf("; the owner of MailRelay %s sees the whole reply in its status", f.Relay)
	}
	return &finding{reason: reasonSenderRefused, message: listed(refused, func(r config.SenderReport) string {
		return "mail from " + shown(r.Sender)
	}) + ". Send as another one, or have it verified at the provider; until then its mail is held, and bounced after a day" + whole}
}

// codesOf are the reply code and the enhanced status code of a reply (RFC 5321 §4.2, RFC 3463).
// What follows them can name accounts of the provider's customer.
var codesOf = regexp.MustCompile(`^[2-5][0-9]{2}( [245]\.[0-9]{1,3}\.[0-9]{1,3})?`)
