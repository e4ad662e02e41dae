//go:build e2e

package e2e

import (
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/mailrelay-dev/mailrelay-operator/api/v1alpha1"
)

func TestRelayGetsReadyByItselfWhenTheUpstreamSecretComesLate(t *testing.T) {
	t.Parallel()
	p, s := commonProvider(t), newSite(t, "late")
	s.create(t, newRelay(p))
	missing := s.waitCondition(t, relayName, &v1alpha1.MailRelay{},
		v1alpha1.ConditionUpstreamReady, metav1.ConditionFalse, "UpstreamSecretMissing")
	if !strings.Contains(missing.Message, "Secret provider,") || !strings.Contains(missing.Message, s.namespace) {
		t.Errorf("the condition does not say which Secret to create where: %s", missing.Message)
	}
	s.upstreamSecrets(t, p)
	s.waitReady(t)
	subject := s.namespace + " after all"
	s.startApp(t, defaultUser).python(t, sendOne, "implicit", sender, recipient, subject)
	p.waitForMail(t, 30*time.Second, s.namespace, []string{subject})
}

func TestMendedUpstreamPasswordTakesEffectWithoutRestart(t *testing.T) {
	t.Parallel()
	p, s := commonProvider(t), newSite(t, "mended")
	s.secret(t, "provider", map[string][]byte{"username": []byte("relay"), "password": []byte("outdated")})
	s.secret(t, "provider-ca", map[string][]byte{"ca.crt": p.ca})
	s.create(t, newRelay(p))
	// It is known before there is mail.
	refused := s.waitCondition(t, relayName, &v1alpha1.MailRelay{},
		v1alpha1.ConditionUpstreamReady, metav1.ConditionFalse, "UpstreamLoginRefused")
	if !strings.Contains(refused.Message, "Secret provider") {
		t.Errorf("the condition does not name the Secret to mend: %s", refused.Message)
	}
	s.waitCondition(t, defaultUser, &v1alpha1.RelayUser{}, v1alpha1.ConditionReady, metav1.ConditionTrue, "")
	before := s.pod(t, relayPod)
	subject := s.namespace + " held back"
	s.startApp(t, defaultUser).python(t, sendOne, "implicit", sender, recipient, subject)
	s.setSecret(t, "provider", "password", []byte(p.password))
	p.waitForMail(t, time.Minute, s.namespace, []string{subject})
	s.waitReady(t)
	s.mustBeSame(t, before)
}
