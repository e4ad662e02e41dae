//go:build e2e

package e2e

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/mailrelay-dev/mailrelay-operator/api/v1alpha1"
)

func TestCARotatesTwiceUnderLoadAndNoConnectionFails(t *testing.T) {
	t.Parallel()
	p, s := commonProvider(t), newSite(t, "rotation")
	relay := newRelay(p)
	relay.Spec.Replicas = ptr.To[int32](2)
	relay.Spec.TLS = &v1alpha1.RelayTLS{CAOverlap: &metav1.Duration{Duration: time.Second}}
	s.startRelay(t, p, relay)
	s.waitTrust(t, "1 Signing", "2 Next")
	a := s.startApp(t, defaultUser)
	var user corev1.Secret
	s.get(t, defaultUser, &user)
	password := user.Data["password"]
	ready := s.readySince(t)

	for round, want := range [][]string{
		{"1 ClientsOnly", "2 Signing", "3 Next"},
		{"1 ClientsOnly", "2 ClientsOnly", "3 Signing", "4 Next"},
	} {
		name := fmt.Sprintf("/tmp/stop-%d", round)
		report := make(chan string, 1)
		go func() {
			out, err := a.run(t.Context(), "", "python3", "-c", keepConnecting, name)
			report <- fmt.Sprintf("%s%v", out, err)
		}()
		time.Sleep(2 * time.Second)
		s.change(t, relayName, relay, func() {
			relay.Annotations = map[string]string{"mailrelay.dev/rotate-ca": fmt.Sprint(round)}
		})
		s.waitTrust(t, want...)
		bundle := s.bundle(t)
		// Clients that read their Secret anew go on with the new bundle.
		waitFor(t, 2*time.Minute, "the app to see the new bundle", func(ctx context.Context) (bool, string) {
			out, err := a.run(ctx, "", "cat", bindings+"/certificates")
			return err == nil && strings.TrimSpace(out) == strings.TrimSpace(bundle), fmt.Sprint(err)
		})
		time.Sleep(2 * time.Second)
		a.must(t, "", "touch", name)
		checkConnections(t, <-report)
	}

	s.get(t, defaultUser, &user)
	if !bytes.Equal(user.Data["password"], password) {
		t.Error("the password changed with the CA")
	}
	if string(user.Data["certificates"]) != s.bundle(t) {
		t.Error("the user's Secret and the ConfigMap differ")
	}
	if after := s.readySince(t); !after.Equal(&ready) {
		t.Errorf("the relay was not Ready all the time: since %v, before since %v", after, ready)
	}
	s.get(t, relayName, relay)
	if served := relay.Status.Certificates; len(served) != 1 || !slices.Equal(served[0].Ports, []int32{465, 587}) ||
		served[0].Issuer != relayName+" internal CA 3" || !ptr.Deref(served[0].Verified, false) {
		t.Errorf("status.certificates = %+v", served)
	}
}

// checkConnections reads what keepConnecting has printed.
func checkConnections(t *testing.T, report string) {
	t.Helper()
	t.Log(report)
	if strings.Contains(report, "failed") {
		t.Error("connections failed")
	}
	for _, kind := range []string{"previous 465", "previous 587", "current 465", "current 587"} {
		var count int
		_, rest, _ := strings.Cut(report, "connected "+kind+" ")
		if _, err := fmt.Sscan(rest, &count); err != nil || count < 20 {
			t.Errorf("%s: %d connections, %v", kind, count, err)
		}
	}
}

// waitTrust waits until the generations of the CA are these.
func (s *site) waitTrust(t *testing.T, want ...string) {
	t.Helper()
	waitFor(t, 2*time.Minute, fmt.Sprint("generations ", want), func(ctx context.Context) (bool, string) {
		var relay v1alpha1.MailRelay
		if err := s.Get(ctx, client.ObjectKey{Namespace: s.namespace, Name: relayName}, &relay); err != nil || relay.Status.Trust == nil {
			return false, fmt.Sprint("no status.trust, ", err)
		}
		var got []string
		for _, g := range relay.Status.Trust.Generations {
			got = append(got, fmt.Sprint(g.Generation, " ", g.Role))
		}
		return slices.Equal(got, want), fmt.Sprint(got)
	})
}

// bundle is what apps are told to trust.
func (s *site) bundle(t *testing.T) string {
	t.Helper()
	var relay v1alpha1.MailRelay
	s.get(t, relayName, &relay)
	var published corev1.ConfigMap
	s.get(t, relay.Status.Trust.ConfigMapName, &published)
	return published.Data["ca.crt"]
}

// readySince is when the relay last became Ready.
func (s *site) readySince(t *testing.T) metav1.Time {
	t.Helper()
	var relay v1alpha1.MailRelay
	s.get(t, relayName, &relay)
	return meta.FindStatusCondition(relay.Status.Conditions, v1alpha1.ConditionReady).LastTransitionTime
}
