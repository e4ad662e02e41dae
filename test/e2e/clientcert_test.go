//go:build e2e

package e2e

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"math/big"
	"strings"
	"testing"
	"time"

	cmv1 "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/mailrelay-dev/mailrelay-operator/api/v1alpha1"
)

// certified is the name of users with a client certificate, and of their Secrets.
const certified = "certified"

func (s *site) certificateUser(t *testing.T, relay *site, shape func(*v1alpha1.UserAuthentication)) {
	t.Helper()
	user := &v1alpha1.RelayUser{ObjectMeta: metav1.ObjectMeta{Name: certified}}
	user.Spec.RelayRef = v1alpha1.RelayReference{Name: relayName, Namespace: relay.namespace}
	user.Spec.Authentication = &v1alpha1.UserAuthentication{ClientCertificate: &v1alpha1.ClientCertificateAuthentication{}}
	if shape != nil {
		shape(user.Spec.Authentication)
	}
	s.create(t, user)
	s.waitCondition(t, certified, user, v1alpha1.ConditionReady, metav1.ConditionTrue, "")
}

func TestAppOfAnotherNamespaceLogsInWithACertificateOnBothPorts(t *testing.T) {
	t.Parallel()
	p, s, team := commonProvider(t), newSite(t, "certified"), newSite(t, "certified-team")
	relay := newRelay(p)
	relay.Spec.Access = &v1alpha1.Access{Rules: []v1alpha1.AccessRule{
		{}, {Namespaces: &v1alpha1.NamespaceRule{Names: []string{team.namespace}}},
	}}
	s.startRelay(t, p, relay)
	before := s.pod(t, relayPod)
	team.certificateUser(t, s, nil)
	a := team.startApp(t, certified)
	var sent []string
	for _, mode := range []string{"implicit", "starttls"} {
		subject := fmt.Sprintf("%s Python %s", s.namespace, mode)
		if reply := a.python(t, certificateLogin, mode, "own", "external", sender, recipient, subject); !strings.HasPrefix(reply, "235 ") {
			t.Fatalf("%s: %s", mode, reply)
		}
		sent = append(sent, subject)
	}
	for _, implicit := range []string{"yes", "no"} {
		for name, script := range certificateScripts {
			subject := fmt.Sprintf("%s %s implicit %s", s.namespace, name, implicit)
			text := fmt.Sprintf("From: %s\nTo: %s\nSubject: %s\n\nhello\n", sender, recipient, subject)
			a.must(t, text, "bash", "-c", clientPrologue+script, name, sender, recipient, implicit)
			sent = append(sent, subject)
		}
	}
	// Who shows none logs in with a password as before.
	b := s.startApp(t, defaultUser)
	subject := s.namespace + " without a certificate"
	b.python(t, sendOne, "implicit", sender, recipient, subject)
	p.waitForMail(t, 30*time.Second, s.namespace, append(sent, subject))
	s.mustBeSame(t, before)

	waitFor(t, 45*time.Second, "requests that were answered to go", func(ctx context.Context) (bool, string) {
		var left cmv1.CertificateRequestList
		err := s.List(ctx, &left, client.InNamespace(s.namespace), client.HasLabels{"mailrelay.dev/user-namespace"})
		return err == nil && len(left.Items) == 0, fmt.Sprintf("%d are left, %v", len(left.Items), err)
	})
}

func TestTwoFactorsAreBothNeededOnACluster(t *testing.T) {
	t.Parallel()
	p, s := commonProvider(t), newSite(t, "two-factors")
	s.startRelay(t, p, newRelay(p))
	s.certificateUser(t, s, func(a *v1alpha1.UserAuthentication) {
		a.Password, a.Require = &v1alpha1.PasswordAuthentication{}, v1alpha1.RequireAll
	})
	a := s.startApp(t, certified)
	other := s.pairSignedForTheServer(t)
	var sent []string
	for _, tt := range []struct{ mode, whose, how, want string }{
		{"implicit", "own", "external", "534 5.7.9 "},
		{"starttls", "none", "password", "535 5.7.8 "},
		{"implicit", "own", "password", "235 "},
		{"starttls", "own", "password", "235 "},
	} {
		subject := fmt.Sprintf("%s %s %s %s", s.namespace, tt.mode, tt.whose, tt.how)
		reply := a.must(t, other, "python3", "-c", certificateLogin, tt.mode, tt.whose, tt.how, sender, recipient, subject)
		// Python's login tries each mechanism, and tells what the last said.
		if !strings.HasPrefix(strings.TrimSpace(reply), tt.want) {
			t.Errorf("%+v: %s", tt, reply)
		}
		if tt.want == "235 " {
			sent = append(sent, subject)
		}
	}
	reply := a.must(t, other, "python3", "-c", certificateLogin, "implicit", "given", "external", sender, recipient, s.namespace+" server")
	if !strings.HasPrefix(strings.TrimSpace(reply), "504 5.5.4 ") {
		t.Errorf("the relay's own certificate: %s", reply)
	}
	p.waitForMail(t, 30*time.Second, s.namespace, sent)
}

// pairSignedForTheServer is what the relay itself shows, which the CA of users signed too.
func (s *site) pairSignedForTheServer(t *testing.T) string {
	t.Helper()
	var secret corev1.Secret
	s.get(t, relayName+"-tls", &secret)
	return string(secret.Data["tls.crt"]) + string(secret.Data["tls.key"])
}

func TestCertificateIsRenewedWithoutAFailedLoginAndEndsWhenItLeaked(t *testing.T) {
	t.Parallel()
	p, s := commonProvider(t), newSite(t, "new-key")
	s.startRelay(t, p, newRelay(p))
	s.certificateUser(t, s, nil)
	a := s.startApp(t, certified)
	ended := make(chan string, 1)
	go func() {
		out, err := a.run(t.Context(), "", "python3", "-c", watchPair, "180")
		ended <- fmt.Sprint(out, err)
	}()
	old := s.ageCertificate(t)
	fresh := s.waitPair(t, old)
	// The kubelet shows the app the new pair within a minute or two.
	result := <-ended
	t.Logf("logins with the pair of the Secret and with the first: %s", result)
	if strings.Contains(result, "failed") || !strings.Contains(result, "pairs 2") {
		t.Fatalf("it ended with %s", result)
	}

	var user v1alpha1.RelayUser
	s.change(t, certified, &user, func() { user.Annotations = map[string]string{v1alpha1.AnnotationLeaked: "today"} })
	told := time.Now()
	last := s.waitPair(t, fresh)
	t.Logf("a new pair is there %s after the leak was told", time.Since(told))
	a.waitLogin(t, "the new pair", last, "235 ")
	t.Logf("it logs in after %s", time.Since(told))
	a.waitLogin(t, "the leaked pair", fresh, "535 ")
	a.waitLogin(t, "the pair before", old, "535 ")
	t.Logf("the others are refused after %s", time.Since(told))
}

// waitLogin waits until the relay answers a login with a pair as it should.
func (a *app) waitLogin(t *testing.T, what, pair, want string) {
	t.Helper()
	waitFor(t, 10*time.Second, what+" to get "+want, func(ctx context.Context) (bool, string) {
		out, err := a.run(ctx, pair, "python3", "-c", certificateLogin, "implicit", "given", "external", sender, recipient, a.namespace+" leak")
		return err == nil && strings.HasPrefix(out, want), fmt.Sprint(out, err)
	})
}

// waitPair waits until the Secret holds another pair than the old one, and returns it.
func (s *site) waitPair(t *testing.T, old string) (pair string) {
	t.Helper()
	waitFor(t, 30*time.Second, "a new certificate", func(ctx context.Context) (bool, string) {
		var secret corev1.Secret
		if err := s.Get(ctx, client.ObjectKey{Namespace: s.namespace, Name: certified}, &secret); err != nil {
			return false, err.Error()
		}
		key := secret.Data["tls.key"]
		pair = string(secret.Data["tls.crt"]) + string(key)
		return len(key) > 0 && !strings.Contains(old, string(key)), "the key is the old one, or none"
	})
	return pair
}

// ageCertificate puts a certificate of the same key into the Secret that has only days left, as if
// the operator had long ago, and returns the pair.
func (s *site) ageCertificate(t *testing.T) string {
	t.Helper()
	var ca, secret corev1.Secret
	s.get(t, relayName+"-ca-1", &ca)
	signer, err := tls.X509KeyPair(ca.Data["tls.crt"], ca.Data["tls.key"])
	if err != nil {
		t.Fatal(err)
	}
	var pair string
	s.change(t, certified, &secret, func() {
		held, err := tls.X509KeyPair(secret.Data["tls.crt"], secret.Data["tls.key"])
		if err != nil {
			t.Fatal(err)
		}
		aged, err := x509.CreateCertificate(rand.Reader, &x509.Certificate{
			SerialNumber: big.NewInt(time.Now().UnixNano()), URIs: held.Leaf.URIs, ExtKeyUsage: held.Leaf.ExtKeyUsage,
			NotBefore: time.Now().AddDate(0, 0, -70), NotAfter: time.Now().AddDate(0, 0, 20),
		}, signer.Leaf, held.Leaf.PublicKey, signer.PrivateKey.(*ecdsa.PrivateKey))
		if err != nil {
			t.Fatal(err)
		}
		secret.Data["tls.crt"] = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: aged})
		pair = string(bytes.Join([][]byte{secret.Data["tls.crt"], secret.Data["tls.key"]}, nil))
	}, client.FieldOwner("mailrelay-operator"))
	return pair
}
