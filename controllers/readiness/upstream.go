package readiness

import (
	"fmt"
	"strings"
	"time"

	"github.com/mailrelay-dev/mailrelay-operator/api/v1alpha1"
	"github.com/mailrelay-dev/mailrelay-operator/controllers/resources"
	"github.com/mailrelay-dev/mailrelay-operator/relay/config"
)

// upstreamReady is true when what the relay needs to reach its upstream is there and the last
// use of it worked.
var upstreamReady = condition[*Facts]{
	name: v1alpha1.ConditionUpstreamReady,
	predicates: []predicate[*Facts]{
		upstreamSecretsExist,    // The references lead somewhere
		upstreamSecretsHaveKeys, // with the keys that the relay reads
		dkimKeysExist,           // Mail of a domain whose key is missing waits
		probesFindNoFault,       // They say more than the failures of deliveries
		upstreamTakesOurLogin,   // A login that fails names the Secret to mend
		upstreamIsReachable,
	},
	holds: func(f *Facts) finding {
		return finding{reason: "Configured", message: "mail goes to " + namesOf(f.Relay.Spec.Upstreams)}
	},
}

// namesOf names upstreams in a sentence.
func namesOf(upstreams []v1alpha1.Upstream) string {
	names := make([]string, len(upstreams))
	for i := range upstreams {
		names[i] = upstreams[i].Name
	}
	if len(names) == 1 {
		return "upstream " + names[0]
	}
	return "upstreams " + strings.Join(names, ", ")
}

func upstreamSecretsExist(f *Facts) *finding {
	for _, p := range f.Upstreams {
		if len(p.MissingKeys) == 0 && p.Invalid == "" {
			return &finding{reason: "UpstreamSecretMissing", message: fmt.Sprintf(
				"upstream %s refers to Secret %s, which does not exist: create it in namespace %s, or change the reference; the relay goes on by itself",
				p.Upstream, p.Secret, f.Relay.Namespace)}
		}
	}
	return nil
}

func upstreamSecretsHaveKeys(f *Facts) *finding {
	for _, p := range f.Upstreams {
		if p.Invalid != "" {
			return &finding{reason: "UpstreamSecretInvalid", message: fmt.Sprintf("Secret %s of upstream %s: %s", p.Secret, p.Upstream, p.Invalid)}
		}
		if len(p.MissingKeys) > 0 {
			return &finding{reason: "UpstreamSecretIncomplete", message: fmt.Sprintf(
				"Secret %s of upstream %s has no %s: add it", p.Secret, p.Upstream, strings.Join(p.MissingKeys, " and no "))}
		}
	}
	return nil
}

func dkimKeysExist(f *Facts) *finding {
	for _, p := range f.DKIM {
		return &finding{reason: "DKIMKeyUnusable", message: fmt.Sprintf(
			"mail cannot be signed with the DKIM key %s: Secret %s in namespace %s %s", p.Name, p.Secret, f.Relay.Namespace, p.Message)}
	}
	return nil
}

const (
	classAuthentication = "authentication"
	classThrottle       = "throttle"
)

func upstreamTakesOurLogin(f *Facts) *finding {
	for i := range f.Relay.Spec.Upstreams {
		upstream := &f.Relay.Spec.Upstreams[i]
		report := newestFailure(f, upstream.Name)
		if report == nil || report.LastErrorClass != classAuthentication {
			continue
		}
		if upstream.Auth == nil {
			return &finding{reason: "UpstreamWantsLogin", message: fmt.Sprintf(
				"upstream %s does not take mail without a login (%s): set auth.secretRef. %s", upstream.Name, report.LastError, meanwhile(f, upstream.Name))}
		}
		return &finding{reason: "UpstreamLoginRefused", message: fmt.Sprintf(
			"upstream %s refuses the login (%s): mend %s. %s", upstream.Name, report.LastError, credentialsOf(upstream.Auth), meanwhile(f, upstream.Name))}
	}
	return nil
}

// credentialsOf names the keys and Secrets that an upstream's login is made of.
func credentialsOf(auth *v1alpha1.UpstreamAuth) string {
	var parts []string
	if auth.SecretRef != nil {
		keys := resources.LoginKeys(auth)
		last := len(keys) - 1
		named := keys[last]
		if last > 0 {
			named = strings.Join(keys[:last], ", ") + " and " + named
		}
		parts = append(parts, fmt.Sprintf("%s in Secret %s", named, auth.SecretRef.Name))
	}
	if auth.CertificateSecretRef != nil {
		parts = append(parts, "the certificate in Secret "+auth.CertificateSecretRef.Name)
	}
	return strings.Join(parts, " or ")
}

func upstreamIsReachable(f *Facts) *finding {
	for i := range f.Relay.Spec.Upstreams {
		upstream := &f.Relay.Spec.Upstreams[i]
		report := newestFailure(f, upstream.Name)
		if report == nil || report.LastErrorClass == classThrottle {
			continue
		}
		return &finding{reason: "UpstreamUnreachable", message: fmt.Sprintf(
			"upstream %s (%s:%d, tls %s) cannot be used: %s. %s", upstream.Name,
			resources.UpstreamHost(upstream), resources.UpstreamPort(upstream), resources.UpstreamTLS(upstream), report.LastError, meanwhile(f, upstream.Name))}
	}
	return nil
}

// newestFailure is the newest report of any pod about an upstream when it tells of a failure.
func newestFailure(f *Facts, upstream string) *config.UpstreamReport {
	var newest *config.UpstreamReport
	for _, p := range f.Pods {
		if p.Report == nil {
			continue
		}
		for i := range p.Report.Upstreams {
			r := &p.Report.Upstreams[i]
			if r.Name == upstream && (newest == nil || lastUse(r).After(lastUse(newest))) {
				newest = r
			}
		}
	}
	if newest == nil || newest.LastError == "" {
		return nil
	}
	return newest
}

func lastUse(r *config.UpstreamReport) time.Time {
	if r.LastErrorTime.After(r.LastSuccess) {
		return r.LastErrorTime
	}
	return r.LastSuccess
}
