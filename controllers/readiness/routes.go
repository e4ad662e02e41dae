package readiness

import (
	"slices"

	"github.com/mailrelay-dev/mailrelay-operator/api/v1alpha1"
)

// ways are the upstreams that share the mail of each route; the last are those of mail that no
// route matches.
func ways(relay *v1alpha1.MailRelay) [][]string {
	var all [][]string
	var rest []string
	for _, r := range relay.Spec.Routes {
		all = append(all, r.Upstreams)
	}
	for i := range relay.Spec.Upstreams {
		name := relay.Spec.Upstreams[i].Name
		if !slices.ContainsFunc(relay.Spec.Routes, func(r v1alpha1.Route) bool { return slices.Contains(r.Upstreams, name) }) {
			rest = append(rest, name)
		}
	}
	if len(rest) > 0 && !catchesAll(relay.Spec.Routes) {
		all = append(all, rest)
	}
	return all
}

// catchesAll reports whether the last route leaves no mail to the upstreams that no route names.
func catchesAll(routes []v1alpha1.Route) bool {
	n := len(routes)
	return n > 0 && len(routes[n-1].Senders) == 0 && len(routes[n-1].Recipients) == 0
}

// failed reports whether an upstream is known not to take mail.
func failed(f *Facts, upstream *v1alpha1.Upstream) bool {
	if slices.ContainsFunc(f.Upstreams, func(p UpstreamProblem) bool { return p.Upstream == upstream.Name }) {
		return true
	}
	report := newestFailure(f, upstream.Name)
	return probeFinding(f, upstream) != nil || report != nil && report.LastErrorClass != classThrottle
}

// someWorks reports whether one of the upstreams with these names is not known to fail.
func someWorks(f *Facts, names []string) bool {
	return slices.ContainsFunc(f.Relay.Spec.Upstreams, func(u v1alpha1.Upstream) bool {
		return slices.Contains(names, u.Name) && !failed(f, &u)
	})
}

// mailFlows reports whether all mail has an upstream that is not known to fail.
func mailFlows(f *Facts) bool {
	return !slices.ContainsFunc(ways(f.Relay), func(way []string) bool { return !someWorks(f, way) })
}

// meanwhile says what becomes of the mail of an upstream that fails.
func meanwhile(f *Facts, upstream string) string {
	if slices.ContainsFunc(ways(f.Relay), func(way []string) bool { return slices.Contains(way, upstream) && !someWorks(f, way) }) {
		return "Mail is kept and tried again"
	}
	return "Its mail goes to the other upstreams meanwhile"
}
