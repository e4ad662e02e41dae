package resources

import (
	"cmp"
	"strings"
	"time"

	"github.com/mailrelay-dev/mailrelay-operator/api/v1alpha1"
	"github.com/mailrelay-dev/mailrelay-operator/controllers/dkim"
)

// defaultDKIMOverlap is for how long servers keep trying (RFC 5321 §4.5.4.1).
const defaultDKIMOverlap = 5 * 24 * time.Hour

// WantedDKIM is what spec asks of the keys that the operator makes for an entry.
func WantedDKIM(relay *v1alpha1.MailRelay, key *v1alpha1.DKIMKey) dkim.Wanted {
	generate := key.Generate
	return dkim.Wanted{
		Prefix:    key.Selector,
		Algorithm: cmp.Or(generate.Algorithm, v1alpha1.DKIMAlgorithmRSA2048),
		Interval:  duration(generate.Rotation.Interval),
		Overlap:   cmp.Or(duration(generate.Rotation.Overlap), defaultDKIMOverlap),
		Request:   relay.Annotations[RotateDKIMAnnotation],
	}
}

// SelectorOf is the selector of a DKIMFile of the domain.
func SelectorOf(file, domain string) (selector string, ok bool) {
	return strings.CutSuffix(file, DKIMFile("", domain))
}
