package readiness

import (
	"slices"

	"github.com/mailrelay-dev/mailrelay-operator/relay/config"
)

// Found is what the pods of a relay found of one upstream, taken together.
type Found struct {
	// Probe is the report of the pod for which the upstream looks worst, of several the first.
	Probe *config.ProbeReport
	// Pod is that pod where others see the upstream better, empty where all agree.
	Pod string
	// Login is the newest login that any pod tried, nil when none did. All pods have the same
	// credentials, so that the newest answer is the one that holds.
	Login *config.LoginReport
}

// FoundOf takes together what the pods found of an upstream; nil while none has found anything.
func FoundOf(pods []Pod, upstream string) *Found {
	var found *Found
	var faults []config.Fault
	for _, p := range pods {
		probe := ProbeOf(p.Report, upstream)
		if probe == nil {
			continue
		}
		faults = append(faults, probe.Fault)
		if found == nil {
			found = &Found{Probe: probe, Pod: p.Name, Login: probe.Login}
			continue
		}
		if severity(probe.Fault) > severity(found.Probe.Fault) {
			found.Probe, found.Pod = probe, p.Name
		}
		if l := probe.Login; l != nil && (found.Login == nil || l.Time.After(found.Login.Time)) {
			found.Login = l
		}
	}
	if found != nil && !slices.ContainsFunc(faults, func(f config.Fault) bool { return f != found.Probe.Fault }) {
		found.Pod = ""
	}
	return found
}

// ProbeOf is what one pod found of an upstream, nil when it has found nothing yet.
func ProbeOf(report *config.Report, upstream string) *config.ProbeReport {
	if report == nil {
		return nil
	}
	for i := range report.Upstreams {
		if report.Upstreams[i].Name == upstream {
			return report.Upstreams[i].Probe
		}
	}
	return nil
}

// bySeverity are the faults, from what passes by itself to what only a change of spec mends, so
// that status does not go back and forth between pods. One that is not known, as of a newer relay,
// comes first but for none at all.
var bySeverity = []config.Fault{
	config.FaultThrottled,
	config.FaultSession,
	config.FaultSilent,
	config.FaultUnreachable,
	config.FaultUnresolved,
	config.FaultNotSMTP,
	config.FaultTLS,
	config.FaultUntrusted,
	config.FaultRequiresTLS,
	config.FaultNoSTARTTLS,
	config.FaultExpectsPlaintext,
	config.FaultExpectsTLS,
}

func severity(fault config.Fault) int {
	if fault == "" {
		return -2
	}
	return slices.Index(bySeverity, fault)
}

// Fault is why the upstream cannot be used, and a sentence about it; empty when nothing is known
// to be wrong. That it wants less mail just now comes last.
func (f *Found) Fault() (fault config.Fault, sentence string) {
	if login := f.Login; login != nil && !login.Authenticated && (f.Probe.Fault == "" || f.Probe.Fault == config.FaultThrottled) {
		return login.Fault, login.Error
	}
	return f.Probe.Fault, f.Probe.Error
}
