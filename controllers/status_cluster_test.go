package controllers

import (
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/mailrelay-dev/mailrelay-operator/api/v1alpha1"
	"github.com/mailrelay-dev/mailrelay-operator/relay/config"
)

// A status that is not what the last pass found, whoever wrote it, is looked at again.
func TestWrongStatusHeals(t *testing.T) {
	c, namespace := onCluster(t)
	relay, _ := c.readyRelay(t, namespace, nil)
	user := newUser(namespace, "app", relay)
	c.mustCreate(t, user)
	c.awaitCondition(t, user, v1alpha1.ConditionReady, metav1.ConditionTrue, "CredentialsReady")
	c.settle(t, namespace)
	c.changeStatus(t, relay, func() { relay.Status.Conditions = nil })
	c.changeStatus(t, user, func() { user.Status.Conditions = nil })
	c.awaitCondition(t, relay, v1alpha1.ConditionReady, metav1.ConditionTrue, "Serving")
	c.awaitCondition(t, user, v1alpha1.ConditionReady, metav1.ConditionTrue, "CredentialsReady")
}

// A provider's port and TLS mode that do not fit are named where the MailRelay's owner looks first.
func TestWrongTLSModeReachesStatus(t *testing.T) {
	c, namespace := onCluster(t)
	relay, pods := c.readyRelay(t, namespace, nil)
	pass := func(what string) {
		c.change(t, relay, func() { relay.Annotations = map[string]string{"test/pass": what} })
	}
	const sentence = "587 answers in plaintext, this upstream is set to Implicit: set tls to StartTLS"
	c.fleet.change(keyOf(pods[0]), func(report *config.Report) {
		finds(report, config.ProbeReport{Time: time.Now(), Fault: config.FaultExpectsPlaintext, Error: sentence})
	})
	pass("wrong")
	message := c.awaitCondition(t, relay, v1alpha1.ConditionReady, metav1.ConditionFalse, "UpstreamWrongTLSMode")
	if !strings.Contains(message, sentence) {
		t.Errorf("message = %q", message)
	}
	u := relay.Status.Upstreams[0]
	if u.Name != "provider" || u.Reachable || u.Reason != "ExpectsPlaintext" || u.LastError != sentence || u.Authenticated != nil || u.Observed == nil {
		t.Errorf("status.upstreams[0] = %+v", u)
	}

	c.fleet.change(keyOf(pods[0]), func(report *config.Report) { finds(report, goodProbe(time.Now())) })
	pass("right")
	c.awaitCondition(t, relay, v1alpha1.ConditionReady, metav1.ConditionTrue, "Serving")
	u = relay.Status.Upstreams[0]
	if !u.Reachable || u.Reason != "" || u.LastError != "" || u.Authenticated == nil || !*u.Authenticated || u.TLSVersion != "1.3" ||
		!u.CertificateNotAfter.Time.Equal(noon.Add(24*time.Hour)) {
		t.Errorf("status.upstreams[0] = %+v", u)
	}
}

// A relay that fails over goes on being ready, and says what to mend.
func TestRelayWithASpareUpstreamStaysReady(t *testing.T) {
	c, namespace := onCluster(t)
	relay, pods := c.readyRelay(t, namespace, func(relay *v1alpha1.MailRelay) {
		relay.Spec.Upstreams = append(relay.Spec.Upstreams, v1alpha1.Upstream{Name: "spare", Host: "smtp.example.org", Port: 465})
	})
	c.fleet.change(keyOf(pods[0]), func(report *config.Report) {
		good := goodProbe(time.Now())
		report.Upstreams = []config.UpstreamReport{
			{Name: "provider", Probe: &config.ProbeReport{Time: time.Now(), Fault: config.FaultSilent, Error: "it does not greet"}},
			{Name: "spare", Probe: &good},
		}
	})
	c.change(t, relay, func() { relay.Annotations = map[string]string{"test/pass": "broken"} })
	message := c.awaitCondition(t, relay, v1alpha1.ConditionUpstreamReady, metav1.ConditionFalse, "UpstreamUnreachable")
	if !strings.Contains(message, "upstream provider") || strings.Contains(message, "spare") {
		t.Errorf("message = %q", message)
	}
	c.awaitCondition(t, relay, v1alpha1.ConditionReady, metav1.ConditionTrue, "Serving")
	if len(relay.Status.Upstreams) != 2 {
		t.Errorf("status.upstreams = %+v", relay.Status.Upstreams)
	}
}
