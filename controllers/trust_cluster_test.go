package controllers

import (
	"crypto/x509"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	cmv1 "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/mailrelay-dev/mailrelay-operator/api/v1alpha1"
	"github.com/mailrelay-dev/mailrelay-operator/controllers/resources"
	"github.com/mailrelay-dev/mailrelay-operator/controllers/trust"
)

// certificatesIn are the common names of the certificates in PEM.
func certificatesIn(content []byte) []string {
	var names []string
	for block := range strings.SplitSeq(string(content), "-----END CERTIFICATE-----\n") {
		if c := trust.Parse([]byte(block + "-----END CERTIFICATE-----\n")); c != nil {
			names = append(names, c.Subject.CommonName)
		}
	}
	return names
}

func (c *cluster) bundle(t *testing.T, namespace string) []byte {
	t.Helper()
	published := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "relay-ca"}}
	c.mustGet(t, published)
	return []byte(published.Data["ca.crt"])
}

// awaitBundle waits until apps are told of these generations, and no others.
func (c *cluster) awaitBundle(t *testing.T, namespace string, generations ...int) []byte {
	t.Helper()
	var want []string
	for _, number := range generations {
		want = append(want, fmt.Sprint("relay internal CA ", number))
	}
	var bundle []byte
	eventually(t, fmt.Sprint("bundle of ", generations), func() error {
		bundle = c.bundle(t, namespace)
		if got := certificatesIn(bundle); !slices.Equal(got, want) {
			return fmt.Errorf("it holds %v", got)
		}
		return nil
	})
	return bundle
}

// mustTrust fails the test when an app with the bundle would not trust what the pods show.
func (c *cluster) mustTrust(t *testing.T, namespace string, bundle []byte) {
	t.Helper()
	shown := secretNamed(namespace, "relay-tls")
	c.mustGet(t, shown)
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(bundle)
	if _, err := trust.Parse(shown.Data["tls.crt"]).Verify(x509.VerifyOptions{Roots: roots, DNSName: "relay." + namespace + ".svc"}); err != nil {
		t.Errorf("an app that trusts %v: %v", certificatesIn(bundle), err)
	}
}

func (c *cluster) awaitGoneOf(t *testing.T, object client.Object) {
	t.Helper()
	eventually(t, object.GetName()+" goes", func() error {
		if err := c.Get(t.Context(), keyOf(object), object); !apierrors.IsNotFound(err) {
			return fmt.Errorf("%T is there, or %w", object, err)
		}
		return nil
	})
}

func TestCARotatesAndAppsWithAnOldBundleDoNotNotice(t *testing.T) {
	c, namespace := onCluster(t)
	relay, _ := c.readyRelay(t, namespace, nil)
	user := &v1alpha1.RelayUser{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "relay-default"}}
	c.awaitCondition(t, user, v1alpha1.ConditionReady, metav1.ConditionTrue, "CredentialsReady")
	credentials := secretNamed(namespace, "relay-default")
	c.mustGet(t, credentials)
	password := string(credentials.Data["password"])
	first := c.awaitBundle(t, namespace, 1, 2)

	c.change(t, relay, func() { relay.Annotations = map[string]string{resources.RotateCAAnnotation: "monday"} })
	second := c.awaitBundle(t, namespace, 2, 3)
	c.mustTrust(t, namespace, first)
	c.mustTrust(t, namespace, second)
	c.awaitGoneOf(t, &cmv1.Issuer{ObjectMeta: named(relay, "relay-ca-1")})
	eventually(t, "the user's Secret holds the new bundle", func() error {
		c.mustGet(t, credentials)
		if got := credentials.Data["certificates"]; string(got) != string(second) {
			return fmt.Errorf("it holds %v", certificatesIn(got))
		}
		return nil
	})
	if string(credentials.Data["password"]) != password {
		t.Error("a new CA made a new password")
	}
	written := secretNamed(namespace, "relay-config-v1")
	eventually(t, "certificates of clients are accepted of all generations", func() error {
		c.mustGet(t, written)
		if got := certificatesIn(written.Data["client-ca.crt"]); len(got) != 3 {
			return fmt.Errorf("of %v", got)
		}
		return nil
	})

	// Apps that hold the second bundle have not had the time to read a third.
	c.change(t, relay, func() { relay.Annotations = map[string]string{resources.RotateCAAnnotation: "tuesday"} })
	eventually(t, "status tells when", func() error {
		c.mustGet(t, relay)
		if at := relay.Status.Trust.NextRotation; at == nil || time.Until(at.Time) > 24*time.Hour || time.Until(at.Time) < 23*time.Hour {
			return fmt.Errorf("it says %v", at)
		}
		return nil
	})
	if roles := rolesOf(relay); !slices.Equal(roles, []string{"1 ClientsOnly", "2 Signing", "3 Next"}) {
		t.Errorf("status.trust = %v", roles)
	}
	c.change(t, relay, func() { relay.Spec.TLS = &v1alpha1.RelayTLS{CAOverlap: &metav1.Duration{}} })
	third := c.awaitBundle(t, namespace, 3, 4)
	c.mustTrust(t, namespace, second)
	c.mustTrust(t, namespace, third)
	c.awaitCondition(t, relay, v1alpha1.ConditionReady, metav1.ConditionTrue, "Serving")

	// Who deletes an old generation ends the time of its clients.
	if err := c.Delete(t.Context(), &cmv1.Certificate{ObjectMeta: named(relay, "relay-ca-1")}); err != nil {
		t.Fatal(err)
	}
	c.awaitGoneOf(t, secretNamed(namespace, "relay-ca-1"))
	c.awaitBundle(t, namespace, 3, 4)
}

func rolesOf(relay *v1alpha1.MailRelay) []string {
	var roles []string
	for _, g := range relay.Status.Trust.Generations {
		roles = append(roles, fmt.Sprint(g.Generation, " ", g.Role))
	}
	return roles
}

// As long as one pod has not loaded the new certificate, apps must trust the old one.
func TestOldCAStaysUntilTheLastPodNeedsItNoMore(t *testing.T) {
	c, namespace := onCluster(t)
	relay, pods := c.readyRelay(t, namespace, func(r *v1alpha1.MailRelay) { r.Spec.Replicas = ptr(int32(2)) })
	c.awaitBundle(t, namespace, 1, 2)
	c.fleet.stick(keyOf(pods[1]), true)
	c.change(t, relay, func() { relay.Annotations = map[string]string{resources.RotateCAAnnotation: "now"} })
	c.awaitBundle(t, namespace, 1, 2, 3)
	polls := c.fleet.polls(keyOf(pods[1]))
	eventually(t, "some passes", func() error {
		if c.fleet.polls(keyOf(pods[1])) < polls+3 {
			return fmt.Errorf("not yet")
		}
		return nil
	})
	c.awaitBundle(t, namespace, 1, 2, 3)
	c.fleet.stick(keyOf(pods[1]), false)
	c.awaitBundle(t, namespace, 2, 3)
}

// cert-manager makes another key when someone deletes the Secret of the generation that signs.
func TestLostKeyOfTheCAIsReplaced(t *testing.T) {
	c, namespace := onCluster(t)
	c.readyRelay(t, namespace, func(r *v1alpha1.MailRelay) { r.Spec.TLS = &v1alpha1.RelayTLS{CAOverlap: &metav1.Duration{}} })
	first := c.awaitBundle(t, namespace, 1, 2)
	if err := c.Delete(t.Context(), secretNamed(namespace, "relay-ca-1")); err != nil {
		t.Fatal(err)
	}
	second := c.awaitBundle(t, namespace, 2, 3)
	c.mustTrust(t, namespace, first)
	c.mustTrust(t, namespace, second)
}
