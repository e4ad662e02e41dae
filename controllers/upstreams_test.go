package controllers

import (
	"fmt"
	"strings"
	"testing"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/mailrelay-dev/mailrelay-operator/api/v1alpha1"
)

// The API server bounds what its rules may cost, in the CRD and for each object.
func TestAPITakesTheLargestListsOfUpstreamsAndRoutes(t *testing.T) {
	c, namespace := onCluster(t)
	relay := newRelay(namespace)
	relay.Spec.Upstreams = nil
	var names []string
	for i := range 16 {
		name := fmt.Sprintf("%s-%02d", strings.Repeat("u", 37), i)
		names = append(names, name)
		relay.Spec.Upstreams = append(relay.Spec.Upstreams, v1alpha1.Upstream{Name: name, Provider: "sendgrid", Weight: ptr(int32(1))})
	}
	for i := range 32 {
		r := v1alpha1.Route{Upstreams: names}
		for n := range 32 {
			address := fmt.Sprintf("%s-%02d-%02d@%s", strings.Repeat("a", 58), i, n, strings.TrimSuffix(strings.Repeat("example-domain.", 12), "."))
			r.Senders, r.Recipients = append(r.Senders, address), append(r.Recipients, address)
		}
		relay.Spec.Routes = append(relay.Spec.Routes, r)
	}
	relay.Spec.Routes[31] = v1alpha1.Route{Upstreams: names}
	if err := c.Create(t.Context(), relay, client.DryRunAll); err != nil {
		t.Error(err)
	}
}
