package readiness

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/mailrelay-dev/mailrelay-operator/api/v1alpha1"
	"github.com/mailrelay-dev/mailrelay-operator/controllers/resources"
	"github.com/mailrelay-dev/mailrelay-operator/relay/config"
)

// probesFindNoFault names every upstream that cannot be used, also while others take its mail: a
// spare that is broken has to be mended before it is needed. Ready is another matter, see
// othersTakeOver.
func probesFindNoFault(f *Facts) *finding {
	var reasons, sentences []string
	for i := range f.Relay.Spec.Upstreams {
		upstream := &f.Relay.Spec.Upstreams[i]
		if is := probeFinding(f, upstream); is != nil {
			reasons = append(reasons, is.reason)
			sentences = append(sentences, is.message+". "+meanwhile(f, upstream.Name))
		}
	}
	if len(reasons) == 0 {
		return nil
	}
	return &finding{reason: reasons[0], message: strings.Join(sentences, "; ")}
}

// probeFinding is what the probes of all pods have against an upstream. One that wants less mail
// just now can be used.
func probeFinding(f *Facts, upstream *v1alpha1.Upstream) *finding {
	found := FoundOf(f.Pods, upstream.Name)
	if found == nil {
		return nil
	}
	fault, sentence := found.Fault()
	if fault == "" || fault == config.FaultThrottled {
		return nil
	}
	seenBy := ""
	if fault == found.Probe.Fault && found.Pod != "" {
		seenBy = fmt.Sprintf(" from pod %s, though others see it better", found.Pod)
	}
	message := fmt.Sprintf("upstream %s (%s:%d, tls %s) cannot be used%s: %s",
		upstream.Name, resources.UpstreamHost(upstream), resources.UpstreamPort(upstream), resources.UpstreamTLS(upstream), seenBy, sentence)
	if fault == config.FaultLoginRefused && upstream.Auth != nil {
		message += ": mend " + credentialsOf(upstream.Auth)
	}
	return &finding{reason: reasonOf(fault), message: message}
}

// reasonOf is the condition's reason for a fault. Faults that are mended in the same place have the
// same.
func reasonOf(fault config.Fault) string {
	if slices.Contains(config.WrongModes(), fault) {
		return "UpstreamWrongTLSMode"
	}
	return cmp.Or(map[config.Fault]string{
		config.FaultUntrusted:        "UpstreamCertificateUntrusted",
		config.FaultTLS:              "UpstreamTLSFailed",
		config.FaultLoginRefused:     "UpstreamLoginRefused",
		config.FaultLoginUnsupported: "UpstreamLoginUnsupported",
		config.FaultNoToken:          "UpstreamTokenMissing",
	}[fault], "UpstreamUnreachable")
}
