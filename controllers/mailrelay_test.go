package controllers

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	cmv1 "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/mailrelay-dev/mailrelay-operator/api/v1alpha1"
	"github.com/mailrelay-dev/mailrelay-operator/relay/config"
)

func statefulSetOf(relay *v1alpha1.MailRelay) *appsv1.StatefulSet {
	return &appsv1.StatefulSet{ObjectMeta: metav1.ObjectMeta{Namespace: relay.Namespace, Name: relay.Name}}
}

func secretNamed(namespace, name string) *corev1.Secret {
	return &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name}}
}

// children are the names of all that the operator has made in a namespace, with their
// versions.
func (c *cluster) children(t *testing.T, namespace string) map[string]string {
	t.Helper()
	found := map[string]string{}
	for _, l := range []client.ObjectList{
		&appsv1.StatefulSetList{}, &corev1.ServiceList{}, &corev1.ServiceAccountList{}, &corev1.SecretList{}, &corev1.ConfigMapList{},
		&networkingv1.NetworkPolicyList{}, &policyv1.PodDisruptionBudgetList{}, &cmv1.CertificateList{}, &cmv1.IssuerList{},
		&v1alpha1.RelayUserList{}, &v1alpha1.MailRelayList{},
	} {
		if err := c.List(t.Context(), l, client.InNamespace(namespace)); err != nil {
			t.Fatal(err)
		}
		for name, object := range objects(l) {
			for _, owner := range object.GetOwnerReferences() {
				if owner.BlockOwnerDeletion != nil && *owner.BlockOwnerDeletion {
					t.Errorf("%s goes first in a foreground deletion, so the queue could not drain", name)
				}
			}
			if len(object.GetOwnerReferences()) > 0 || strings.HasPrefix(name, "MailRelay/") {
				found[name] = object.GetResourceVersion()
			}
		}
	}
	return found
}

func TestRelayGetsItsChildren(t *testing.T) {
	c, namespace := onCluster(t)
	relay, _ := c.readyRelay(t, namespace, nil)
	c.awaitCondition(t, &v1alpha1.RelayUser{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "relay-default"}},
		v1alpha1.ConditionReady, metav1.ConditionTrue, "CredentialsReady")

	want := []string{
		"Certificate/relay-ca-1", "Certificate/relay-ca-2", "Certificate/relay-tls",
		"ConfigMap/relay-ca", "Issuer/relay-ca-1", "Issuer/relay-ca-2", "Issuer/relay-selfsigned",
		"MailRelay/relay", "NetworkPolicy/relay", "PodDisruptionBudget/relay", "RelayUser/relay-default",
		"Secret/relay-config-v1", "Secret/relay-default", "Secret/relay-upstreams", "Service/relay", "Service/relay-pods",
		"ServiceAccount/relay", "StatefulSet/relay",
	}
	got := slices.DeleteFunc(slices.Sorted(maps.Keys(c.children(t, namespace))), func(name string) bool {
		return strings.HasPrefix(name, "Secret/relay-users-")
	})
	if !slices.Equal(got, want) {
		t.Errorf("children are\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}

	upstreams := secretNamed(namespace, "relay-upstreams")
	c.mustGet(t, upstreams)
	if string(upstreams.Data["provider.password"]) != "a password" {
		t.Errorf("the upstream's password is not copied; keys are %v", slices.Sorted(maps.Keys(upstreams.Data)))
	}
	written := secretNamed(namespace, "relay-config-v1")
	c.mustGet(t, written)
	if _, err := config.Parse(written.Data["relay.yaml"]); err != nil {
		t.Errorf("relay.yaml: %v", err)
	}
	eventually(t, "status tells all", func() error {
		c.mustGet(t, relay)
		if relay.Status.ReadyReplicas != 1 || relay.Status.Users != 1 || len(relay.Status.Endpoints) != 2 || relay.Status.Queue == nil {
			return fmt.Errorf("it is %+v", relay.Status)
		}
		return nil
	})
}

func TestNothingIsWrittenInSteadyState(t *testing.T) {
	c, namespace := onCluster(t)
	relay, pods := c.readyRelay(t, namespace, func(r *v1alpha1.MailRelay) {
		r.Spec.Upstreams[0].Limits.Rates = []v1alpha1.UpstreamRate{{Messages: ptr(int32(14)), Period: &metav1.Duration{Duration: time.Second}}}
		r.Spec.Upstreams = append(r.Spec.Upstreams, v1alpha1.Upstream{Name: "bulk", Provider: "microsoft-365", Order: 1, Weight: ptr(int32(3))})
		r.Spec.Routes = []v1alpha1.Route{{Senders: []string{"news.example.com"}, Upstreams: []string{"bulk"}}}
	})
	user := &v1alpha1.RelayUser{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "relay-default"}}
	c.awaitCondition(t, user, v1alpha1.ConditionReady, metav1.ConditionTrue, "CredentialsReady")
	c.readyCertificateUser(t, relay, newCertificateUser(namespace, "certified", relay))
	c.fleet.change(keyOf(pods[0]), func(report *config.Report) { finds(report, goodProbe(time.Now())) })
	c.change(t, relay, func() { relay.Annotations = map[string]string{"test/pass": "probed"} })
	eventually(t, "what the probe found", func() error {
		c.mustGet(t, relay)
		if len(relay.Status.Upstreams) != 1 {
			return fmt.Errorf("status.upstreams is %+v", relay.Status.Upstreams)
		}
		return nil
	})
	settled := c.settle(t, namespace)
	before := c.writes.in(namespace)
	for i := range 3 {
		// Each pass finds the result of another probe, and status that may be written again.
		c.changeStatus(t, relay, func() { relay.Status.Upstreams[0].Observed = &metav1.Time{Time: time.Now().Add(-time.Hour)} })
		c.fleet.change(keyOf(pods[0]), func(report *config.Report) { finds(report, goodProbe(time.Now().Add(time.Duration(i+1)*time.Hour))) })
		polls := c.fleet.polls(keyOf(pods[0]))
		// A new annotation wakes the loop; its own write is the test's.
		c.change(t, relay, func() { relay.Annotations = map[string]string{"test/pass": fmt.Sprint(i)} })
		eventually(t, "a pass", func() error {
			if c.fleet.polls(keyOf(pods[0])) == polls {
				return fmt.Errorf("the pod was not asked since")
			}
			return nil
		})
		time.Sleep(300 * time.Millisecond)
	}
	after := c.children(t, namespace)
	delete(settled, "MailRelay/relay")
	delete(after, "MailRelay/relay")
	if !maps.Equal(settled, after) {
		t.Errorf("children changed from\n%v\nto\n%v", settled, after)
	}
	if writes := c.writes.in(namespace)[len(before):]; len(writes) > 0 {
		t.Errorf("the operator wrote:\n%s", strings.Join(writes, "\n"))
	}
}

// settle waits until nothing has changed for a while.
func (c *cluster) settle(t *testing.T, namespace string) map[string]string {
	t.Helper()
	last := c.children(t, namespace)
	eventually(t, "children come to rest", func() error {
		time.Sleep(500 * time.Millisecond)
		now := c.children(t, namespace)
		if !maps.Equal(last, now) {
			last = now
			return fmt.Errorf("still changing")
		}
		return nil
	})
	return last
}

func TestConfigurationNeverTouchesThePods(t *testing.T) {
	c, namespace := onCluster(t)
	relay, pods := c.readyRelay(t, namespace, nil)
	set := statefulSetOf(relay)
	c.mustGet(t, set)
	generation := set.Generation

	provider := secretNamed(namespace, "provider")
	c.change(t, provider, func() { provider.Data["client-id"], provider.Data["client-secret"] = []byte("id"), []byte("a secret") })
	c.change(t, relay, func() {
		relay.Spec.Upstreams = append(relay.Spec.Upstreams, v1alpha1.Upstream{Name: "second", Provider: "postmark", Order: 1, Chunking: true, CIDRs: []string{"192.0.2.0/24"}})
		relay.Spec.Upstreams[0].Limits.Connections = ptr(int32(4))
		relay.Spec.Upstreams[0].Auth.OAuth2 = &v1alpha1.UpstreamOAuth2{TokenURL: "https://oauth2.example/token", Grant: v1alpha1.GrantClientCredentials}
		relay.Spec.Routes = []v1alpha1.Route{{Senders: []string{"news.example.com"}, Upstreams: []string{"second"}}, {Upstreams: []string{"provider", "second"}}}
	})
	if message := c.awaitCondition(t, relay, v1alpha1.ConditionUpstreamReady, metav1.ConditionTrue, "Configured"); message != "mail goes to upstreams provider, second" {
		t.Errorf("message = %q", message)
	}
	c.change(t, provider, func() { provider.Data["client-secret"] = []byte("another secret") })
	user := &v1alpha1.RelayUser{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "app"}}
	user.Spec.RelayRef.Name = relay.Name
	c.mustCreate(t, user)
	c.awaitCondition(t, user, v1alpha1.ConditionReady, metav1.ConditionTrue, "CredentialsReady")

	upstreams := secretNamed(namespace, "relay-upstreams")
	eventually(t, "the new secret arrives", func() error {
		c.mustGet(t, upstreams)
		if got := string(upstreams.Data["provider.client-secret"]); got != "another secret" {
			return fmt.Errorf("it is %q", got)
		}
		return nil
	})
	written := secretNamed(namespace, "relay-config-v1")
	c.mustGet(t, written)
	parsed, err := config.Parse(written.Data["relay.yaml"])
	if err != nil || len(parsed.Routes) != 2 || parsed.Upstreams[1].Host != "smtp.postmarkapp.com" || parsed.Upstreams[0].Limits.Connections != 4 {
		t.Errorf("relay.yaml: %v, %+v", err, parsed)
	}
	if c.fleet.nudges(client.ObjectKeyFromObject(pods[0])) == 0 {
		t.Error("the pod was told of no change")
	}
	c.mustGet(t, set)
	if set.Generation != generation {
		t.Errorf("the StatefulSet's generation went from %d to %d", generation, set.Generation)
	}
}

func TestChangedListenerRestartsThePods(t *testing.T) {
	c, namespace := onCluster(t)
	relay, _ := c.readyRelay(t, namespace, nil)
	set := statefulSetOf(relay)
	c.mustGet(t, set)
	generation := set.Generation
	off := false
	c.change(t, relay, func() { relay.Spec.Listeners.Submission.Enabled = &off })
	eventually(t, "the pod template changes", func() error {
		c.mustGet(t, set)
		if set.Generation == generation {
			return fmt.Errorf("generation is still %d", generation)
		}
		return nil
	})
	service := &corev1.Service{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "relay"}}
	c.mustGet(t, service)
	if len(service.Spec.Ports) != 1 || service.Spec.Ports[0].Port != 465 {
		t.Errorf("ports = %+v, want 465 only", service.Spec.Ports)
	}
}
