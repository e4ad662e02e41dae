//go:build e2e

package e2e

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/mailrelay-dev/mailrelay-operator/api/v1alpha1"
)

// spareUpstream is a second provider that is used only while the first cannot be, with Secrets
// of its own.
func (s *site) spareUpstream(t *testing.T, p *provider) v1alpha1.Upstream {
	t.Helper()
	s.secret(t, "spare", map[string][]byte{"username": []byte("relay"), "password": []byte(p.password)})
	s.secret(t, "spare-ca", map[string][]byte{"ca.crt": p.ca})
	u := p.upstream("spare")
	u.Order = 1
	u.Auth.SecretRef = &v1alpha1.LocalSecretReference{Name: "spare"}
	u.CASecretRef = &v1alpha1.LocalSecretReference{Name: "spare-ca"}
	return u
}

// waitUpstream waits until status says of an upstream what is wanted.
func (s *site) waitUpstream(t *testing.T, name, what string, wanted func(v1alpha1.UpstreamStatus) bool) v1alpha1.UpstreamStatus {
	t.Helper()
	var found v1alpha1.UpstreamStatus
	waitFor(t, 2*time.Minute, fmt.Sprintf("status to say that upstream %s %s", name, what), func(ctx context.Context) (bool, string) {
		var relay v1alpha1.MailRelay
		if err := s.Get(ctx, client.ObjectKey{Namespace: s.namespace, Name: relayName}, &relay); err != nil {
			return false, err.Error()
		}
		for _, u := range relay.Status.Upstreams {
			if u.Name == name {
				found = u
				return wanted(u), fmt.Sprintf("%+v", u)
			}
		}
		return false, "it is not in status"
	})
	return found
}

func TestMailGoesToTheSpareProviderWhileTheFirstIsDown(t *testing.T) {
	t.Parallel()
	spare, s := commonProvider(t), newSite(t, "failover")
	first := newProvider(t, newSite(t, "failing"))
	relay := newRelay(first)
	relay.Spec.Upstreams = append(relay.Spec.Upstreams, s.spareUpstream(t, spare))
	s.startRelay(t, first, relay)
	a := s.startApp(t, defaultUser)
	up := func(u v1alpha1.UpstreamStatus) bool {
		return u.Reachable && u.Authenticated != nil && *u.Authenticated && u.TLSVersion == "1.3" && u.CertificateNotAfter != nil
	}
	s.waitUpstream(t, "mailpit", "works", up)
	s.waitUpstream(t, "spare", "works", up)

	one := s.namespace + " one"
	a.python(t, sendOne, "implicit", sender, recipient, one)
	first.waitForMail(t, 30*time.Second, s.namespace, []string{one})

	first.scale(t, 0)
	two := s.namespace + " two"
	a.python(t, sendOne, "starttls", sender, recipient, two)
	spare.waitForMail(t, time.Minute, s.namespace, []string{two})
	broken := s.waitCondition(t, relayName, &v1alpha1.MailRelay{},
		v1alpha1.ConditionUpstreamReady, metav1.ConditionFalse, "UpstreamUnreachable")
	if !strings.Contains(broken.Message, "upstream mailpit") {
		t.Errorf("the condition does not name the upstream: %s", broken.Message)
	}
	s.waitCondition(t, relayName, &v1alpha1.MailRelay{}, v1alpha1.ConditionReady, metav1.ConditionTrue, "")

	first.scale(t, 1)
	s.waitUpstream(t, "mailpit", "works again", up)
	s.waitCondition(t, relayName, &v1alpha1.MailRelay{}, v1alpha1.ConditionUpstreamReady, metav1.ConditionTrue, "")
	three := s.namespace + " three"
	a.python(t, sendOne, "implicit", sender, recipient, three)
	// Mailpit has lost what it had.
	first.waitForMail(t, time.Minute, s.namespace, []string{three})
}

func TestRecipientsTakeTheirRoutes(t *testing.T) {
	t.Parallel()
	rest, s := commonProvider(t), newSite(t, "routes")
	eu := newProvider(t, newSite(t, "european"))
	relay := newRelay(eu)
	relay.Spec.Upstreams = append(relay.Spec.Upstreams, s.spareUpstream(t, rest))
	relay.Spec.Routes = []v1alpha1.Route{{Recipients: []string{"example.eu"}, Upstreams: []string{"mailpit"}}}
	s.startRelay(t, eu, relay)
	a := s.startApp(t, defaultUser)
	here, there := s.namespace+" here", s.namespace+" there"
	a.python(t, sendOne, "implicit", sender, "anna@example.eu", here)
	a.python(t, sendOne, "implicit", sender, "bob@example.net", there)
	eu.waitForMail(t, time.Minute, s.namespace, []string{here})
	rest.waitForMail(t, time.Minute, s.namespace, []string{there})
}

func TestWrongModeOfAnUpstreamIsNamedWithoutAnyMail(t *testing.T) {
	t.Parallel()
	p, s := commonProvider(t), newSite(t, "wrongmode")
	relay := newRelay(p)
	relay.Spec.Upstreams[0].TLS = v1alpha1.UpstreamTLSStartTLS // on the port of implicit TLS
	s.upstreamSecrets(t, p)
	s.create(t, relay)
	began := time.Now()
	named := s.waitCondition(t, relayName, &v1alpha1.MailRelay{},
		v1alpha1.ConditionUpstreamReady, metav1.ConditionFalse, "UpstreamWrongTLSMode")
	if !strings.Contains(named.Message, "Implicit") {
		t.Errorf("the condition does not say what to set: %s", named.Message)
	}
	t.Logf("named %s after apply: %s", time.Since(began).Round(time.Second), named.Message)
	found := s.waitUpstream(t, "mailpit", "expects TLS", func(u v1alpha1.UpstreamStatus) bool { return u.Reason == "ExpectsTLS" })
	if found.Reachable || found.LastError == "" {
		t.Errorf("status %+v", found)
	}
	s.change(t, relayName, relay, func() { relay.Spec.Upstreams[0].TLS = v1alpha1.UpstreamTLSImplicit })
	s.waitReady(t)
}
