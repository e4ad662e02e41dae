package controllers

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/mailrelay-dev/mailrelay-operator/api/v1alpha1"
	"github.com/mailrelay-dev/mailrelay-operator/controllers/resources"
	"github.com/mailrelay-dev/mailrelay-operator/controllers/trust"
	"github.com/mailrelay-dev/mailrelay-operator/relay/config"
)

// newCertificateUser logs in with a certificate.
func newCertificateUser(namespace, name string, relay *v1alpha1.MailRelay) *v1alpha1.RelayUser {
	user := newUser(namespace, name, relay)
	user.Spec.Authentication = &v1alpha1.UserAuthentication{ClientCertificate: &v1alpha1.ClientCertificateAuthentication{}}
	return user
}

// shown is what a user's Secret lets it show, as the relay with the CAs in its configuration and
// its list of users sees it.
type shown struct {
	key         string
	certificate []byte
	// name is what the relay knows the user by.
	name string
}

// certificate reads the pair in the Secret of a user and checks that a relay would take it.
func (c *cluster) certificate(t *testing.T, user *v1alpha1.RelayUser) (shown, error) {
	t.Helper()
	secret := secretNamed(user.Namespace, resources.CredentialsName(user))
	if err := c.Get(t.Context(), keyOf(secret), secret); err != nil {
		return shown{}, err
	}
	pair, err := tls.X509KeyPair(secret.Data["tls.crt"], secret.Data["tls.key"])
	if err != nil {
		return shown{}, err
	}
	roots := x509.NewCertPool()
	if relay := relayRef(user); !roots.AppendCertsFromPEM(c.clientCAs(t, relay.Namespace)) {
		return shown{}, fmt.Errorf("relay %s accepts no certificates", relay)
	}
	_, err = pair.Leaf.Verify(x509.VerifyOptions{Roots: roots, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}})
	key := config.KeyName(pair.Leaf.RawSubjectPublicKeyInfo)
	found := shown{key: key, certificate: secret.Data["tls.crt"], name: fmt.Sprintf("URI:mailrelay://%s/%s/%s", user.Namespace, user.Name, key)}
	if err == nil && (len(pair.Leaf.URIs) != 1 || "URI:"+pair.Leaf.URIs[0].String() != found.name) {
		err = fmt.Errorf("it has the names %v, want %s", pair.Leaf.URIs, found.name)
	}
	return found, err
}

// clientCAs are the CAs whose certificates a relay in a namespace accepts.
func (c *cluster) clientCAs(t *testing.T, namespace string) []byte {
	t.Helper()
	written := secretNamed(namespace, "relay-config-v1")
	c.mustGet(t, written)
	return written.Data["client-ca.crt"]
}

// awaitNames waits until the relay takes a user by just these names.
func (c *cluster) awaitNames(t *testing.T, relay *v1alpha1.MailRelay, user *v1alpha1.RelayUser, want ...string) {
	t.Helper()
	eventually(t, "the names that "+user.Name+" is known by", func() error {
		var got []string
		if known := c.known(t, relay, resources.Username(user)); known != nil {
			got = known.Certificates
		}
		if !slices.Equal(got, want) {
			return fmt.Errorf("they are %q, want %q", got, want)
		}
		return nil
	})
}

// awaitNewKey waits until the Secret of a user holds another certificate, and returns it.
func (c *cluster) awaitNewKey(t *testing.T, user *v1alpha1.RelayUser, old shown) (fresh shown) {
	t.Helper()
	eventually(t, "a new key", func() (err error) {
		if fresh, err = c.certificate(t, user); err == nil && fresh.key == old.key {
			return fmt.Errorf("it is the old one")
		}
		return err
	})
	return fresh
}

func (c *cluster) readyCertificateUser(t *testing.T, relay *v1alpha1.MailRelay, user *v1alpha1.RelayUser) shown {
	t.Helper()
	c.mustCreate(t, user)
	c.awaitCondition(t, user, v1alpha1.ConditionReady, metav1.ConditionTrue, "CredentialsReady")
	found, err := c.certificate(t, user)
	if err != nil {
		t.Fatal(err)
	}
	c.awaitNames(t, relay, user, found.name)
	return found
}

func TestUserOfAnotherNamespaceGetsACertificate(t *testing.T) {
	c, namespace := onCluster(t)
	elsewhere := c.namespace(t, nil)
	relay, _ := c.readyRelay(t, namespace, func(relay *v1alpha1.MailRelay) {
		relay.Spec.Access = &v1alpha1.Access{Rules: []v1alpha1.AccessRule{{}, {Namespaces: &v1alpha1.NamespaceRule{Names: []string{elsewhere}}}}}
	})
	if written := c.relayConfig(t, relay); written.TLS.ClientCAFile != "" {
		t.Errorf("clients are asked for certificates that none has: %s", written.TLS.ClientCAFile)
	}
	user := newCertificateUser(elsewhere, "app", relay)
	c.readyCertificateUser(t, relay, user)

	secret := secretNamed(elsewhere, "app")
	c.mustGet(t, secret)
	if _, ok := secret.Data["password"]; ok || secret.Type != v1alpha1.SecretTypeSMTP || string(secret.Data["username"]) != "app."+elsewhere {
		t.Errorf("Secret of type %s for %s, with a password: %t", secret.Type, secret.Data["username"], ok)
	}
	if known := c.known(t, relay, "app."+elsewhere); len(known.Passwords) > 0 || known.Require == config.RequireAll {
		t.Errorf("the relay knows %+v", known)
	}
	if file := c.relayConfig(t, relay).TLS.ClientCAFile; file != resources.ConfigDir+"/client-ca.crt" {
		t.Errorf("the relay asks for certificates of %s", file)
	}
	eventually(t, "the request goes when it has served", func() error {
		if left := c.requests(t, namespace); len(left) > 0 {
			return fmt.Errorf("%d are left", len(left))
		}
		return nil
	})
	if err := c.Delete(t.Context(), user); err != nil {
		t.Fatal(err)
	}
	eventually(t, "nobody is asked for certificates", func() error {
		if file := c.relayConfig(t, relay).TLS.ClientCAFile; file != "" {
			return fmt.Errorf("they are, of %s", file)
		}
		return nil
	})
}

func (c *cluster) relayConfig(t *testing.T, relay *v1alpha1.MailRelay) *config.Config {
	t.Helper()
	written := secretNamed(relay.Namespace, resources.ConfigName(relay))
	c.mustGet(t, written)
	parsed, err := config.Parse(written.Data["relay.yaml"])
	if err != nil {
		t.Fatal(err)
	}
	return parsed
}

func TestTwoFactorsAreRequiredWhenBothAreThere(t *testing.T) {
	c, namespace := onCluster(t)
	relay, _ := c.readyRelay(t, namespace, nil)
	user := newCertificateUser(namespace, "app", relay)
	user.Spec.Authentication.Password = &v1alpha1.PasswordAuthentication{}
	user.Spec.Authentication.Require = v1alpha1.RequireAll
	found := c.readyCertificateUser(t, relay, user)
	known := c.known(t, relay, "app."+namespace)
	if known.Require != config.RequireAll || len(known.Passwords) != 1 || !slices.Equal(known.Certificates, []string{found.name}) {
		t.Errorf("the relay knows %+v", known)
	}
	c.change(t, user, func() { user.Spec.Authentication.Require = v1alpha1.RequireAny })
	eventually(t, "one is enough", func() error {
		if c.known(t, relay, "app."+namespace).Require == config.RequireAll {
			return fmt.Errorf("it is not")
		}
		return nil
	})
	c.change(t, user, func() { user.Spec.Authentication.ClientCertificate = nil })
	c.awaitNames(t, relay, user)
	secret := secretNamed(namespace, "app")
	c.mustGet(t, secret)
	if secret.Data["tls.key"] != nil || secret.Data["password"] == nil {
		t.Error("the Secret holds the wrong credentials")
	}
}

func TestHalfOfTwoFactorsLetsNobodyIn(t *testing.T) {
	c, namespace := onCluster(t)
	relay, _ := c.readyRelay(t, namespace, nil)
	space := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: namespace}}
	c.change(t, space, func() { space.Labels[deniedLabel] = "yes" })
	user := newUser(namespace, "app", relay)
	c.mustCreate(t, user)
	c.awaitCondition(t, user, v1alpha1.ConditionReady, metav1.ConditionTrue, "CredentialsReady")
	c.change(t, user, func() {
		user.Spec.Authentication = &v1alpha1.UserAuthentication{
			Password: &v1alpha1.PasswordAuthentication{}, ClientCertificate: &v1alpha1.ClientCertificateAuthentication{}, Require: v1alpha1.RequireAll,
		}
	})
	c.awaitCondition(t, user, v1alpha1.ConditionReady, metav1.ConditionFalse, "CertificateRefused")
	c.awaitUnknown(t, relay, "app."+namespace)
	// The other users of the relay are none the worse.
	other := newUser(namespace, "other", relay)
	c.mustCreate(t, other)
	c.awaitCondition(t, other, v1alpha1.ConditionReady, metav1.ConditionTrue, "CredentialsReady")
}

// What policies say in the relay's namespace is for its owner.
func TestRefusedCertificateIsExplainedToTheOwnerOfTheRelayAlone(t *testing.T) {
	c, namespace := onCluster(t)
	elsewhere := c.namespace(t, nil)
	relay, _ := c.readyRelay(t, namespace, func(relay *v1alpha1.MailRelay) {
		relay.Spec.Access = &v1alpha1.Access{Rules: []v1alpha1.AccessRule{{}, {Namespaces: &v1alpha1.NamespaceRule{Names: []string{elsewhere}}}}}
	})
	space := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: namespace}}
	c.change(t, space, func() { space.Labels[deniedLabel] = "yes" })
	user := newCertificateUser(elsewhere, "app", relay)
	c.mustCreate(t, user)
	message := c.awaitCondition(t, user, v1alpha1.ConditionReady, metav1.ConditionFalse, "CertificateRefused")
	if strings.Contains(message, "no policy allows it") || !strings.Contains(message, "CertificateRequest "+namespace+"/") {
		t.Errorf("message = %q", message)
	}
	e := c.awaitEvent(t, namespace, "CertificateRefused", "no policy allows it", elsewhere+"/app")
	if e.Regarding.Kind != "MailRelay" {
		t.Errorf("it is told of %s %s", e.Regarding.Kind, e.Regarding.Name)
	}
	for range 2 {
		c.change(t, relay, func() { metav1.SetMetaDataAnnotation(&relay.ObjectMeta, "test/pass", time.Now().String()) })
		c.settle(t, namespace)
	}
	told := 0
	for _, e := range c.eventsOf(t, namespace) {
		if e.Reason == "CertificateRefused" {
			told++
		}
	}
	if told != 1 || len(c.eventsOf(t, elsewhere)) == 0 {
		t.Errorf("the owner is told %d times", told)
	}
	for _, e := range c.eventsOf(t, elsewhere) {
		if strings.Contains(e.Note, "no policy allows it") {
			t.Errorf("the user's namespace is told %q", e.Note)
		}
	}
}

// age puts a certificate for the same key into a user's Secret that has only days left, as the
// operator would have written it long ago.
func (c *cluster) age(t *testing.T, relay *v1alpha1.MailRelay, user *v1alpha1.RelayUser) (until time.Time) {
	t.Helper()
	until = time.Now().AddDate(0, 0, 20).Truncate(time.Second)
	c.rewrite(t, relay, user, resources.Credentials{
		Client:      c.certify(t, relay, user, time.Now().AddDate(0, 0, -70), until),
		Annotations: map[string]string{resources.KeyAnnotation: c.keyRecord(t, user).String()},
	})
	return until
}

func (c *cluster) keyRecord(t *testing.T, user *v1alpha1.RelayUser) resources.KeyRecord {
	t.Helper()
	secret := secretNamed(user.Namespace, resources.CredentialsName(user))
	c.mustGet(t, secret)
	return resources.ParseKeyRecord(secret.Annotations[resources.KeyAnnotation])
}

// endOf is when the relay no longer takes a user by a name; zero for never.
func (c *cluster) endOf(t *testing.T, relay *v1alpha1.MailRelay, user *v1alpha1.RelayUser, which shown) time.Time {
	t.Helper()
	for _, end := range c.known(t, relay, resources.Username(user)).CertificateEnds {
		if end.Name == which.name {
			return end.Until
		}
	}
	return time.Time{}
}

func TestRenewedCertificateIsKnownBeforeItIsWrittenAndTheOldOneWorksOn(t *testing.T) {
	c, namespace := onCluster(t)
	relay, pods := c.readyRelay(t, namespace, nil)
	user := newCertificateUser(namespace, "app", relay)
	old := c.readyCertificateUser(t, relay, user)

	// A pod that takes nothing up: the app must not be given what it would refuse.
	c.fleet.stick(keyOf(pods[0]), true)
	until := c.age(t, relay, user)
	eventually(t, "the next key is announced", func() error {
		if known := c.known(t, relay, "app."+namespace); len(known.Certificates) != 2 || known.Certificates[0] != old.name {
			return fmt.Errorf("the relay knows %q", known.Certificates)
		}
		return nil
	})
	time.Sleep(500 * time.Millisecond)
	if now, err := c.certificate(t, user); err != nil || now.key != old.key {
		t.Fatalf("the Secret has %v, %v before the relay has loaded it", now.key, err)
	}
	c.awaitCondition(t, user, v1alpha1.ConditionReady, metav1.ConditionTrue, "CredentialsReady")
	c.fleet.stick(keyOf(pods[0]), false)

	fresh := c.awaitNewKey(t, user, old)
	c.awaitNames(t, relay, user, fresh.name, old.name)
	if got := c.endOf(t, relay, user, old); !got.Equal(until) {
		t.Errorf("the old one is taken until %v, want its end %v", got, until)
	}
	eventually(t, "status", func() error {
		c.mustGet(t, user)
		now, record := certificateOf(user), c.keyRecord(t, user)
		if now == nil || now.PreviousUntil == nil || !now.PreviousUntil.Time.Equal(until) || !now.Issued.Time.Equal(record.Issued) ||
			now.Next.Sub(record.Issued) < 53*day || now.NotAfter.Sub(record.Issued) < 89*day || user.Status.Rotation.Issued != nil {
			return fmt.Errorf("certificate is %+v in %+v", now, user.Status.Rotation)
		}
		return nil
	})
	if e := c.awaitEvent(t, namespace, "Rotated"); !strings.Contains(e.Note, "the client certificate in Secret app was replaced, since its certificate ends at") ||
		!strings.Contains(e.Note, "works until "+until.UTC().Format(time.RFC3339)) {
		t.Errorf("event: %s", e.Note)
	}
	for range 5 {
		c.mustGet(t, user)
		if ready := user.Status.Conditions[0]; ready.Status != metav1.ConditionTrue {
			t.Fatalf("%s is %s: %s", ready.Type, ready.Status, ready.Message)
		}
		time.Sleep(50 * time.Millisecond)
	}
}

func TestKeyThatIsAskedForOverlapsAsRotationSays(t *testing.T) {
	c, namespace := onCluster(t)
	relay, _ := c.readyRelay(t, namespace, nil)
	user := newCertificateUser(namespace, "app", relay)
	user.Spec.Rotation = &v1alpha1.Rotation{Overlap: &metav1.Duration{Duration: 5 * time.Second}}
	old := c.readyCertificateUser(t, relay, user)
	c.change(t, user, func() { user.Annotations = map[string]string{v1alpha1.AnnotationRotate: "1"} })
	fresh := c.awaitNewKey(t, user, old)
	c.awaitNames(t, relay, user, fresh.name, old.name)
	c.awaitNames(t, relay, user, fresh.name)
	c.awaitEvent(t, namespace, "PreviousEnded")
	c.change(t, user, func() { user.Annotations = map[string]string{"test/pass": "1"} })
	time.Sleep(500 * time.Millisecond)
	if now, err := c.certificate(t, user); err != nil || now.key != fresh.key {
		t.Errorf("the key is %s, %v; one was asked for and two were made", now.key, err)
	}
}

func TestOperatorThatRestartsAsksForAnotherKeyAndTakesTheOldRequestAway(t *testing.T) {
	crds, err := certManagerCRDs()
	if err != nil {
		t.Fatal(err)
	}
	c, stopOperator := ownCluster(t, crds)
	namespace := c.namespace(t, nil)
	relay, _ := c.readyRelay(t, namespace, nil)
	space := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: namespace}}
	c.change(t, space, func() { space.Labels[heldLabel] = "yes" })
	user := newCertificateUser(namespace, "app", relay)
	c.mustCreate(t, user)
	c.awaitCondition(t, user, v1alpha1.ConditionReady, metav1.ConditionFalse, "SigningCertificate")
	before := c.requests(t, namespace)
	stopOperator()
	time.Sleep(500 * time.Millisecond)
	// It ended with the operator.
	go issueForever(t.Context(), c)
	if err := c.startOperator(t.Context()); err != nil {
		t.Fatal(err)
	}
	eventually(t, "another request alone", func() error {
		now := c.requests(t, namespace)
		if len(before) != 1 || len(now) != 1 || now[0].Name == before[0].Name {
			return fmt.Errorf("there were %d requests and are %d", len(before), len(now))
		}
		return nil
	})
	c.change(t, space, func() { delete(space.Labels, heldLabel) })
	c.awaitCondition(t, user, v1alpha1.ConditionReady, metav1.ConditionTrue, "CredentialsReady")
	if _, err := c.certificate(t, user); err != nil {
		t.Error(err)
	}
}

func TestPairIsUsableOnlyAsTheRelayWouldTakeIt(t *testing.T) {
	t.Parallel()
	user := &v1alpha1.RelayUser{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "app"}}
	keys := &keyring{}
	made, err := keys.make(newRelay("mail"), user, "relay-ca", noon)
	if err != nil {
		t.Fatal(err)
	}
	key, err := privateKeyPEM(made.key)
	if err != nil {
		t.Fatal(err)
	}
	own := []*url.URL{resources.ClientURI(user, made.name)}
	ours, stranger := newTestCA(t), newTestCA(t)
	accepted := trust.Encode([]*x509.Certificate{ours.Leaf})
	now := time.Now()
	for _, tc := range []struct {
		name        string
		ca          *tls.Certificate
		uris        []*url.URL
		from, until time.Time
		usable      bool
	}{
		{"the user's own", ours, own, now, now.Add(time.Hour), true},
		{"signed by a clock that is ahead", ours, own, now.Add(time.Minute), now.Add(time.Hour), true},
		{"not yet valid", ours, own, now.Add(time.Hour), now.Add(2 * time.Hour), false},
		{"ended", ours, own, now.Add(-2 * time.Hour), now.Add(-time.Hour), false},
		{"of another CA", stranger, own, now, now.Add(time.Hour), false},
		{"with another key's name", ours, []*url.URL{resources.ClientURI(user, config.KeyName(nil))}, now, now.Add(time.Hour), false},
		{"without a name", ours, nil, now, now.Add(time.Hour), false},
	} {
		certificate, err := signClient(tc.ca, tc.uris, made.key.Public(), tc.from, tc.until)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := newClientPair(user, certificate, key, string(accepted), now); (err == nil) != tc.usable {
			t.Errorf("%s: %v", tc.name, err)
		}
		if keyName(certificate) != made.name {
			t.Errorf("%s: the key is named %q, want %q", tc.name, keyName(certificate), made.name)
		}
	}
	if keyName([]byte("no PEM")) != "" || keyName(key) != "" {
		t.Error("what is no certificate has a key")
	}
}

func TestKeyringKeepsAKeyForItsUserAlone(t *testing.T) {
	t.Parallel()
	keys, relay := &keyring{}, newRelay("mail")
	user := newUser("shop", "app", relay)
	user.UID = "1"
	first, err := keys.make(relay, user, "relay-ca", noon)
	if err != nil {
		t.Fatal(err)
	}
	again, err := keys.make(relay, user, "relay-ca", noon)
	if err != nil || again != first || !keys.awaits(first.requestName, keyOf(user)) {
		t.Errorf("a key is made for each pass, %v", err)
	}
	if next, err := keys.make(relay, user, "relay-ca-2", noon); err != nil || next == first || keys.awaits(first.requestName, keyOf(user)) {
		t.Errorf("a signer that went is waited for, %v", err)
	}
	elsewhere := newUser("shop", "app", newRelay("other"))
	elsewhere.UID = user.UID
	if keys.of(elsewhere) != nil {
		t.Error("another relay is told of the key")
	}
	user.UID = "2"
	if keys.of(user) != nil {
		t.Error("a user that took the name of another has its key")
	}
	keys.drop(keyOf(user))
	if len(keys.keys) != 0 {
		t.Error("a key that was dropped is kept")
	}
}

// A key that apps could read is not given to them once more, as when it has leaked since.
func TestKeyInTheSecretIsNotMadeAgain(t *testing.T) {
	t.Parallel()
	keys, relay := &keyring{}, newRelay("mail")
	user := newUser("shop", "app", relay)
	make := func() *newKey {
		t.Helper()
		key, err := keys.make(relay, user, "relay-ca", noon)
		if err != nil {
			t.Fatal(err)
		}
		return key
	}
	first := make()
	keys.use(keyOf(user), first.name)
	keys.cancel(keyOf(user))
	if keys.of(user) != first || keys.awaits(first.requestName, keyOf(user)) {
		t.Error("the relay's loop has not seen the key in the Secret, and is not told of it any more")
	}
	second := make()
	if second == first {
		t.Error("the key in the Secret is made again")
	}
	keys.written(keyOf(user), first.name)
	if make() != second {
		t.Error("the next key is gone with the one before")
	}
	keys.written(keyOf(user), second.name)
	if keys.of(user) != nil {
		t.Error("a key that the relay's loop has seen in the Secret is kept")
	}
}

// newTestCA is a CA of its own.
func newTestCA(t *testing.T) *tls.Certificate {
	t.Helper()
	data, err := newKeyPair(&x509.Certificate{
		NotBefore: time.Now().AddDate(-1, 0, 0), NotAfter: time.Now().AddDate(1, 0, 0),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}, nil)
	if err != nil {
		t.Fatal(err)
	}
	pair, err := tls.X509KeyPair(data["tls.crt"], data["tls.key"])
	if err != nil {
		t.Fatal(err)
	}
	return &pair
}
