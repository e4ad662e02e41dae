package readiness

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/mailrelay-dev/mailrelay-operator/api/v1alpha1"
)

// MadeDKIMKey is a DKIM key that the operator made, and that is in use or waits for it.
type MadeDKIMKey struct {
	v1alpha1.DKIMStatus
	// Problem is why the DNS does not say what it shows; empty when it does.
	Problem string
}

// dkimPublished is true when the DNS shows the records of the keys that the operator makes.
var dkimPublished = condition[*Facts]{
	name: v1alpha1.ConditionDKIMPublished,
	predicates: []predicate[*Facts]{
		keysAreMade,       // Something is in the way of their Secret
		recordsAreTheKeys, // Something else there is a mistake, and costs signatures
		recordsAreThere,   // A new key is used once its record is
		dnsAnswers,        // What was seen holds until the DNS says something else
	},
	holds: func(f *Facts) finding {
		if len(f.DKIMKeys) == 0 {
			return finding{reason: "NotRequested", message: "the operator makes no DKIM keys: spec.dkim[].generate asks for them"}
		}
		return finding{reason: "Published", message: "the DNS shows the records of all DKIM keys in use"}
	},
}

func keysAreMade(f *Facts) *finding {
	for i := range f.Relay.Spec.DKIM {
		entry := &f.Relay.Spec.DKIM[i]
		made := func(k MadeDKIMKey) bool {
			return k.Domain == entry.Domain && strings.HasPrefix(k.Selector, entry.Selector+"-")
		}
		if entry.Generate != nil && !slices.ContainsFunc(f.DKIMKeys, made) {
			return &finding{reason: "DKIMKeyMissing", message: fmt.Sprintf(
				"the DKIM key for %s with the selector %s cannot be made or read: see the condition Stalled", entry.Domain, entry.Selector)}
		}
	}
	return nil
}

func recordsAreTheKeys(f *Facts) *finding {
	return firstKey(f, "DKIMRecordDiffers", func(k *MadeDKIMKey) bool { return k.State == v1alpha1.DKIMDiffers })
}

func recordsAreThere(f *Facts) *finding {
	return firstKey(f, "DKIMRecordMissing", func(k *MadeDKIMKey) bool {
		return k.State == v1alpha1.DKIMWaiting || k.State == v1alpha1.DKIMMissing
	})
}

func dnsAnswers(f *Facts) *finding {
	return firstKey(f, "DNSUnavailable", func(k *MadeDKIMKey) bool { return k.Problem != "" })
}

// firstKey tells of the first such key, and how many there are.
func firstKey(f *Facts, reason string, is func(*MadeDKIMKey) bool) *finding {
	var first *MadeDKIMKey
	more := 0
	for i := range f.DKIMKeys {
		k := &f.DKIMKeys[i]
		switch {
		case !is(k):
		case first == nil:
			first = k
		default:
			more++
		}
	}
	if first == nil {
		return nil
	}
	message := first.Message
	if more > 0 {
		message += fmt.Sprintf(". The same is true of %d more, see status.dkim", more)
	}
	return &finding{reason: reason, message: message}
}

// DKIMMessage says what to do about a key; empty when there is nothing to do. Detail is how the
// record differs, signed is set when there is a key to sign with, and problem is why the DNS does
// not say what it shows.
func DKIMMessage(k *v1alpha1.DKIMStatus, detail string, signed bool, problem string) string {
	name := k.Record.Name
	meanwhile := "go out without its signature"
	if signed {
		meanwhile = "are signed with the key before it"
	}
	var message string
	switch k.State {
	case v1alpha1.DKIMWaiting:
		message = fmt.Sprintf("publish the TXT record %s with the value in status.dkim; until the DNS shows it, messages from %s %s", name, k.Domain, meanwhile)
	case v1alpha1.DKIMDiffers:
		message = fmt.Sprintf("the TXT record %s in the DNS is not that of the key (%s): write the value in status.dkim; until the DNS shows it, messages from %s %s", name, detail, k.Domain, meanwhile)
	case v1alpha1.DKIMMissing:
		message = fmt.Sprintf("the DNS does not show the TXT record %s any more, and messages from %s are still signed with its key: publish it again with the value in status.dkim", name, k.Domain)
	case v1alpha1.DKIMRetired:
		message = fmt.Sprintf("leave the TXT record %s in the DNS until %s: messages signed with its key are still on their way", name, k.KeepRecordUntil.UTC().Format(time.RFC3339))
	case v1alpha1.DKIMObsolete:
		message = fmt.Sprintf("the TXT record %s can be removed from the DNS", name)
	}
	if problem == "" || k.State == v1alpha1.DKIMRetired || k.State == v1alpha1.DKIMObsolete {
		return message
	}
	if message == "" {
		return fmt.Sprintf("%s when asked for the TXT record %s; what it last showed holds until it does. See that the operator reaches it", problem, name)
	}
	return strings.TrimSuffix(message, ".") + ". At present " + problem + ": see that the operator reaches it"
}
