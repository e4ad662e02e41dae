package controllers

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	msgauth "github.com/emersion/go-msgauth/dkim"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/mailrelay-dev/mailrelay-operator/api/v1alpha1"
	made "github.com/mailrelay-dev/mailrelay-operator/controllers/dkim"
	"github.com/mailrelay-dev/mailrelay-operator/controllers/resources"
	"github.com/mailrelay-dev/mailrelay-operator/relay/config"
	"github.com/mailrelay-dev/mailrelay-operator/relay/message/dkim"
)

const dkimSecret = "relay-dkim-mail.example.com"

// generating is a relay whose DKIM keys the operator makes.
func generating(namespace string, algorithms ...string) *v1alpha1.MailRelay {
	relay := newRelay(namespace)
	for i, algorithm := range algorithms {
		relay.Spec.DKIM = append(relay.Spec.DKIM, v1alpha1.DKIMKey{
			Domain: "example.com", Selector: []string{"mail", "second"}[i], Generate: &v1alpha1.DKIMGenerate{Algorithm: algorithm},
		})
	}
	return relay
}

// keyIn waits until status has a key in this state.
func (c *cluster) keyIn(t *testing.T, relay *v1alpha1.MailRelay, state string) v1alpha1.DKIMStatus {
	t.Helper()
	var found v1alpha1.DKIMStatus
	eventually(t, "a key to be "+state, func() error {
		c.mustGet(t, relay)
		for _, k := range relay.Status.DKIM {
			if k.State == state {
				found = k
				return nil
			}
		}
		return fmt.Errorf("status.dkim is %+v", relay.Status.DKIM)
	})
	return found
}

// signsWith waits until the relay is told to sign with exactly these keys.
func (c *cluster) signsWith(t *testing.T, namespace string, selectors ...string) {
	t.Helper()
	eventually(t, fmt.Sprintf("the relay signs with %q", selectors), func() error {
		if got := c.signing(t, namespace); strings.Join(got, " ") != strings.Join(selectors, " ") {
			return fmt.Errorf("it signs with %q", got)
		}
		return nil
	})
}

func (c *cluster) signing(t *testing.T, namespace string) []string {
	t.Helper()
	written := secretNamed(namespace, "relay-config-v1")
	c.mustGet(t, written)
	parsed, err := config.Parse(written.Data["relay.yaml"])
	if err != nil {
		t.Fatal(err)
	}
	var selectors []string
	for _, k := range parsed.DKIM {
		selectors = append(selectors, k.Selector)
	}
	return selectors
}

// publish is what a person does with status.
func (c *cluster) publish(k v1alpha1.DKIMStatus) { c.dns.Set(k.Record.Name, k.Record.Value) }

// verifySignature signs a message as the relay does, with what it mounts, and verifies it with
// what the DNS shows.
func (c *cluster) verifySignature(t *testing.T, namespace string, selectors ...string) {
	t.Helper()
	upstreams := secretNamed(namespace, "relay-upstreams")
	c.mustGet(t, upstreams)
	var keys []dkim.Key
	for _, selector := range selectors {
		private, err := config.ParseDKIMKey(upstreams.Data[selector+"._domainkey.example.com"])
		if err != nil {
			t.Fatal(err)
		}
		keys = append(keys, dkim.Key{Domain: "example.com", Selector: selector, Signer: private})
	}
	message := []byte("From: app@example.com\r\nTo: bob@example.net\r\nSubject: hello\r\n\r\nhello\r\n")
	signer := dkim.NewSigner(keys, nil)
	defer signer.Close()
	_, writeErr := signer.Write(message)
	signatures, err := signer.Signatures()
	if err = errors.Join(writeErr, err); err != nil {
		t.Fatal(err)
	}
	resolver := made.NewResolver(c.dns.Address)
	verified, err := msgauth.VerifyWithOptions(bytes.NewReader(append(signatures, message...)), &msgauth.VerifyOptions{
		LookupTXT: func(name string) ([]string, error) { return resolver.LookupTXT(t.Context(), name+".") },
	})
	if err != nil || len(verified) != len(selectors) {
		t.Fatalf("%d signatures, %v", len(verified), err)
	}
	for _, v := range verified {
		if v.Err != nil {
			t.Errorf("signature: %v", v.Err)
		}
	}
}

func TestGeneratedKeysSignOnceTheirRecordsArePublished(t *testing.T) {
	c, namespace := onCluster(t)
	relay, _ := c.readyRelay(t, namespace, func(r *v1alpha1.MailRelay) {
		r.Spec.DKIM = generating(namespace, "", v1alpha1.DKIMAlgorithmEd25519).Spec.DKIM
	})
	set := statefulSetOf(relay)
	c.mustGet(t, set)
	message := c.awaitCondition(t, relay, v1alpha1.ConditionDKIMPublished, metav1.ConditionFalse, "DKIMRecordMissing")
	if len(relay.Status.DKIM) != 2 {
		t.Fatalf("status.dkim is %+v", relay.Status.DKIM)
	}
	rsaKey, edKey := relay.Status.DKIM[0], relay.Status.DKIM[1]
	if !strings.Contains(message, "publish the TXT record "+rsaKey.Record.Name) || !strings.Contains(message, "1 more") {
		t.Errorf("message = %q", message)
	}
	if rsaKey.SecretName != dkimSecret || rsaKey.Record.Type != "TXT" || rsaKey.Record.Name != rsaKey.Selector+"._domainkey.example.com" || rsaKey.Signing {
		t.Errorf("status.dkim is %+v", rsaKey)
	}
	secret := secretNamed(namespace, dkimSecret)
	c.mustGet(t, secret)
	if !metav1.IsControlledBy(secret, relay) || secret.Labels[resources.RelayLabel] != relay.Name {
		t.Errorf("the Secret is not the relay's: %+v", secret.ObjectMeta)
	}
	c.signsWith(t, namespace)

	c.dns.Set(rsaKey.Record.Name, edKey.Record.Value)
	message = c.awaitCondition(t, relay, v1alpha1.ConditionDKIMPublished, metav1.ConditionFalse, "DKIMRecordDiffers")
	if !strings.Contains(message, "another algorithm") {
		t.Errorf("message = %q", message)
	}
	c.signsWith(t, namespace)
	c.publish(rsaKey)
	c.signsWith(t, namespace, rsaKey.Selector)
	c.dns.Set(edKey.Record.Name, " "+strings.ReplaceAll(edKey.Record.Value, "; ", " ;\t")+"; t=y")
	c.signsWith(t, namespace, rsaKey.Selector, edKey.Selector)
	c.awaitCondition(t, relay, v1alpha1.ConditionDKIMPublished, metav1.ConditionTrue, "Published")
	c.verifySignature(t, namespace, rsaKey.Selector, edKey.Selector)
	if k := c.keyIn(t, relay, v1alpha1.DKIMPublished); !k.Signing || k.Message != "" || k.Observed == nil {
		t.Errorf("status.dkim is %+v", k)
	}

	// What is gone again may be gone by mistake.
	c.dns.Set(rsaKey.Record.Name)
	message = c.awaitCondition(t, relay, v1alpha1.ConditionDKIMPublished, metav1.ConditionFalse, "DKIMRecordMissing")
	if !strings.Contains(message, "still signed") {
		t.Errorf("message = %q", message)
	}
	c.signsWith(t, namespace, rsaKey.Selector, edKey.Selector)
	c.awaitCondition(t, relay, v1alpha1.ConditionReady, metav1.ConditionTrue, "Serving")
	generation := set.Generation
	c.mustGet(t, set)
	if set.Generation != generation {
		t.Errorf("the StatefulSet's generation went from %d to %d", generation, set.Generation)
	}
}

func TestDNSThatFailsStopsNoSignatures(t *testing.T) {
	c, namespace := onCluster(t)
	relay, key := c.signingRelay(t, namespace)
	c.settle(t, namespace)
	written := secretNamed(namespace, "relay-config-v1")
	c.mustGet(t, written)
	before := written.ResourceVersion
	c.dns.Fail(key.Record.Name, true)
	message := c.awaitCondition(t, relay, v1alpha1.ConditionDKIMPublished, metav1.ConditionFalse, "DNSUnavailable")
	if !strings.Contains(message, key.Record.Name) {
		t.Errorf("message = %q", message)
	}
	if relay.Status.DKIM[0].State != v1alpha1.DKIMPublished || !relay.Status.DKIM[0].Signing {
		t.Errorf("status.dkim is %+v", relay.Status.DKIM)
	}
	c.dns.Fail(key.Record.Name, false)
	c.awaitCondition(t, relay, v1alpha1.ConditionDKIMPublished, metav1.ConditionTrue, "Published")
	c.mustGet(t, written)
	if written.ResourceVersion != before {
		t.Error("relay.yaml was changed meanwhile")
	}
}

// signingRelay is a relay with a key that is published.
func (c *cluster) signingRelay(t *testing.T, namespace string) (*v1alpha1.MailRelay, v1alpha1.DKIMStatus) {
	t.Helper()
	relay := generating(namespace, v1alpha1.DKIMAlgorithmEd25519)
	c.mustCreate(t, providerSecret(namespace), relay)
	key := c.keyIn(t, relay, v1alpha1.DKIMWaiting)
	c.publish(key)
	c.signsWith(t, namespace, key.Selector)
	return relay, c.keyIn(t, relay, v1alpha1.DKIMPublished)
}

func TestRotationOfAGeneratedKey(t *testing.T) {
	c, namespace := onCluster(t)
	relay, first := c.signingRelay(t, namespace)
	c.change(t, relay, func() { relay.Annotations = map[string]string{resources.RotateDKIMAnnotation: "leak of 2026-03"} })
	second := c.keyIn(t, relay, v1alpha1.DKIMWaiting)
	if second.Selector == first.Selector || second.Record.Value == first.Record.Value || !strings.Contains(second.Message, "signed with the key before it") {
		t.Errorf("the second key is %+v", second)
	}
	c.signsWith(t, namespace, first.Selector)
	c.publish(second)
	c.signsWith(t, namespace, second.Selector)
	retired := c.keyIn(t, relay, v1alpha1.DKIMRetired)
	if retired.Selector != first.Selector || retired.KeepRecordUntil == nil || time.Until(retired.KeepRecordUntil.Time) < 119*time.Hour {
		t.Errorf("the first key is %+v", retired)
	}
	c.verifySignature(t, namespace, second.Selector)

	secret := secretNamed(namespace, dkimSecret)
	c.change(t, secret, func() { secret.Data["keys.json"] = retiredDaysAgo(t, secret, 6) })
	obsolete := c.keyIn(t, relay, v1alpha1.DKIMObsolete)
	if obsolete.Selector != first.Selector || obsolete.SecretName != "" || !strings.Contains(obsolete.Message, "can be removed") {
		t.Errorf("the first key is %+v", obsolete)
	}
	upstreams := secretNamed(namespace, "relay-upstreams")
	eventually(t, "the old key is gone", func() error {
		c.mustGet(t, secret)
		c.mustGet(t, upstreams)
		if secret.Data[first.Selector+".key"] != nil || upstreams.Data[first.Record.Name] != nil {
			return errors.New("it is there")
		}
		return nil
	})
	c.dns.Set(first.Record.Name)
	eventually(t, "the old record is forgotten", func() error {
		c.mustGet(t, relay)
		if len(relay.Status.DKIM) != 1 || relay.Status.DKIM[0].Selector != second.Selector {
			return fmt.Errorf("status.dkim is %+v", relay.Status.DKIM)
		}
		return nil
	})
}

// retiredDaysAgo is the state of the keys as if those that are retired were so for longer.
func retiredDaysAgo(t *testing.T, secret *corev1.Secret, days int) []byte {
	t.Helper()
	var ring made.Ring
	if err := json.Unmarshal(secret.Data["keys.json"], &ring); err != nil {
		t.Fatal(err)
	}
	for i := range ring.Keys {
		if !ring.Keys[i].Retired.IsZero() {
			ring.Keys[i].Retired = time.Now().UTC().Truncate(time.Second).AddDate(0, 0, -days)
		}
	}
	state, err := json.Marshal(ring)
	if err != nil {
		t.Fatal(err)
	}
	return state
}

func TestGeneratedKeyThatAPersonDeletesOrSpoilsIsPutBack(t *testing.T) {
	c, namespace := onCluster(t)
	relay, key := c.signingRelay(t, namespace)
	c.settle(t, namespace)
	written := secretNamed(namespace, "relay-config-v1")
	c.mustGet(t, written)
	secret := secretNamed(namespace, dkimSecret)
	c.mustGet(t, secret)
	private := string(secret.Data[key.Selector+".key"])
	isBack := func() error {
		if err := c.Get(t.Context(), keyOf(secret), secret); err != nil {
			return err
		}
		if string(secret.Data[key.Selector+".key"]) != private {
			return errors.New("it has another key")
		}
		return nil
	}
	c.change(t, secret, func() { secret.Data[key.Selector+".key"] = ed25519PEM(t) })
	eventually(t, "the changed key is put right", isBack)
	if err := c.Delete(t.Context(), secret); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the deleted Secret is back", isBack)
	c.awaitEvent(t, namespace, "DKIMKeyRestored", key.Selector)
	before := written.ResourceVersion
	c.mustGet(t, written)
	if written.ResourceVersion != before {
		t.Error("relay.yaml was changed meanwhile")
	}
	if k := c.keyIn(t, relay, v1alpha1.DKIMPublished); k.Selector != key.Selector || len(relay.Status.DKIM) != 1 {
		t.Errorf("status.dkim is %+v", relay.Status.DKIM)
	}
}

func TestGeneratedKeyThatIsLostGetsAnotherSelector(t *testing.T) {
	c, namespace := onCluster(t)
	relay, key := c.signingRelay(t, namespace)
	c.change(t, relay, func() { relay.Spec.Paused = true })
	c.awaitCondition(t, relay, v1alpha1.ConditionStalled, metav1.ConditionTrue, "Paused")
	for _, name := range []string{dkimSecret, "relay-upstreams"} {
		if err := c.Delete(t.Context(), secretNamed(namespace, name)); err != nil {
			t.Fatal(err)
		}
	}
	c.change(t, relay, func() { relay.Spec.Paused = false })
	next := c.keyIn(t, relay, v1alpha1.DKIMWaiting)
	if next.Selector == key.Selector || len(relay.Status.DKIM) != 1 {
		t.Errorf("status.dkim is %+v", relay.Status.DKIM)
	}
	c.signsWith(t, namespace)
	c.awaitEvent(t, namespace, "DKIMKeyLost", key.Selector, next.Record.Name)
}

func TestEntryThatComesBackHasItsKey(t *testing.T) {
	c, namespace := onCluster(t)
	relay, key := c.signingRelay(t, namespace)
	entries := relay.Spec.DKIM
	c.change(t, relay, func() { relay.Spec.DKIM = nil })
	c.signsWith(t, namespace)
	c.awaitCondition(t, relay, v1alpha1.ConditionDKIMPublished, metav1.ConditionTrue, "NotRequested")
	if len(relay.Status.DKIM) != 0 {
		t.Errorf("status.dkim is %+v", relay.Status.DKIM)
	}
	c.change(t, relay, func() { relay.Spec.DKIM = entries })
	c.signsWith(t, namespace, key.Selector)
}

func TestForeignSecretOfTheKeysNameIsLeftAlone(t *testing.T) {
	c, namespace := onCluster(t)
	foreign := secretNamed(namespace, dkimSecret)
	foreign.Data = map[string][]byte{"mine": []byte("x")}
	relay := generating(namespace, v1alpha1.DKIMAlgorithmEd25519)
	c.mustCreate(t, providerSecret(namespace), foreign, relay)
	message := c.awaitCondition(t, relay, v1alpha1.ConditionStalled, metav1.ConditionTrue, "NameTaken")
	if !strings.Contains(message, dkimSecret) || len(relay.Status.DKIM) != 0 {
		t.Errorf("message %q, status.dkim %+v", message, relay.Status.DKIM)
	}
	c.awaitCondition(t, relay, v1alpha1.ConditionDKIMPublished, metav1.ConditionFalse, "DKIMKeyMissing")
	c.mustGet(t, foreign)
	if len(foreign.Data) != 1 || len(foreign.Labels) != 0 {
		t.Errorf("it was changed: %+v", foreign)
	}
	// The rest of the relay does not wait for it.
	c.signsWith(t, namespace)
}

func TestForeignSecretInThePlaceOfTheKeysStopsNoSignatures(t *testing.T) {
	c, namespace := onCluster(t)
	relay, key := c.signingRelay(t, namespace)
	c.change(t, relay, func() { relay.Spec.Paused = true })
	c.awaitCondition(t, relay, v1alpha1.ConditionStalled, metav1.ConditionTrue, "Paused")
	if err := c.Delete(t.Context(), secretNamed(namespace, dkimSecret)); err != nil {
		t.Fatal(err)
	}
	c.mustCreate(t, secretNamed(namespace, dkimSecret))
	c.change(t, relay, func() { relay.Spec.Paused = false })
	c.awaitCondition(t, relay, v1alpha1.ConditionStalled, metav1.ConditionTrue, "NameTaken")
	c.signsWith(t, namespace, key.Selector)
	c.verifySignature(t, namespace, key.Selector)
	if err := c.Delete(t.Context(), secretNamed(namespace, dkimSecret)); err != nil {
		t.Fatal(err)
	}
	// The loop looks again by itself, but only within half a minute: the Secret was not its.
	c.change(t, relay, func() { relay.Annotations = map[string]string{"test/pass": "1"} })
	c.awaitEvent(t, namespace, "DKIMKeyRestored", key.Selector)
	c.awaitCondition(t, relay, v1alpha1.ConditionDKIMPublished, metav1.ConditionTrue, "Published")
	c.signsWith(t, namespace, key.Selector)
}

func TestKeysThatCannotBeReadChangeNothing(t *testing.T) {
	c, namespace := onCluster(t)
	relay, key := c.signingRelay(t, namespace)
	upstreams := secretNamed(namespace, "relay-upstreams")
	c.mustGet(t, upstreams)
	before := upstreams.ResourceVersion
	path := "/api/v1/namespaces/" + namespace + "/secrets/" + dkimSecret
	c.writes.fail(path, true)
	c.change(t, relay, func() { relay.Annotations = map[string]string{resources.RotateDKIMAnnotation: "1"} })
	c.awaitCondition(t, relay, v1alpha1.ConditionDKIMPublished, metav1.ConditionUnknown, "Retrying")
	c.mustGet(t, upstreams)
	if upstreams.ResourceVersion != before {
		t.Error("the relay's keys were changed")
	}
	c.signsWith(t, namespace, key.Selector)
	c.writes.fail(path, false)
	c.keyIn(t, relay, v1alpha1.DKIMWaiting)
	c.signsWith(t, namespace, key.Selector)
}

func TestKeysAtRestWriteNothing(t *testing.T) {
	c, namespace := onCluster(t)
	relay, _ := c.readyRelay(t, namespace, func(r *v1alpha1.MailRelay) {
		r.Spec.DKIM = generating(namespace, v1alpha1.DKIMAlgorithmEd25519, v1alpha1.DKIMAlgorithmEd25519).Spec.DKIM
	})
	c.publish(c.keyIn(t, relay, v1alpha1.DKIMWaiting))
	c.keyIn(t, relay, v1alpha1.DKIMPublished)
	waiting := c.keyIn(t, relay, v1alpha1.DKIMWaiting)
	c.settle(t, namespace)
	before, asked := len(c.writes.in(namespace)), c.dns.Asked(waiting.Record.Name)
	eventually(t, "some more lookups", func() error {
		if now := c.dns.Asked(waiting.Record.Name); now < asked+10 {
			return fmt.Errorf("%d so far", now-asked)
		}
		return nil
	})
	if writes := c.writes.in(namespace)[before:]; len(writes) > 0 {
		t.Errorf("the operator wrote:\n%s", strings.Join(writes, "\n"))
	}
}
