//go:build e2e

package e2e

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	cmv1 "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"
	cmmetav1 "github.com/cert-manager/cert-manager/pkg/apis/meta/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

func TestRenewedCertificateIsServedWithinFiveSecondsAndNoConnectionFails(t *testing.T) {
	t.Parallel()
	p, s := commonProvider(t), newSite(t, "renewal")
	s.startRelay(t, p, newRelay(p))
	a := s.startApp(t, defaultUser)
	before := s.pod(t, relayPod)

	serials, ended := a.watchCertificate(t)
	first := <-serials
	renewed := s.renew(t)
	select {
	case second := <-serials:
		if second.number == first.number || second.number == "" {
			t.Fatalf("serial numbers %q, then %q", first.number, second.number)
		}
		took := second.seen.Sub(renewed)
		t.Logf("served %s after the Secret changed", took)
		if took > 5*time.Second {
			t.Errorf("the new certificate was served after %s, want 5 s at most", took)
		}
	case <-time.After(time.Minute):
		t.Error("the new certificate was not served within a minute")
	}
	if problems := <-ended; problems != "" {
		t.Errorf("connections failed: %s", problems)
	}
	s.mustBeSame(t, before)
}

// serial is a certificate that the relay was seen to serve.
type serial struct {
	number string
	seen   time.Time
}

// watchCertificate connects all the time. Certificates come on the first channel as they are
// seen; what went wrong comes on the second, once, at the end.
func (a *app) watchCertificate(t *testing.T) (<-chan serial, <-chan string) {
	t.Helper()
	serials, ended := make(chan serial, 10), make(chan string, 1)
	reader, writer := io.Pipe()
	go func() {
		err := a.stream(t.Context(), "", writer, "python3", "-c", watchCertificate, "90")
		writer.CloseWithError(err)
	}()
	go func() {
		defer close(serials)
		var problems bytes.Buffer
		lines := bufio.NewScanner(reader)
		for lines.Scan() {
			if number, ok := strings.CutPrefix(lines.Text(), "serial "); ok {
				serials <- serial{number, time.Now()}
			} else if line := lines.Text(); line != "done" && line != "" {
				fmt.Fprintln(&problems, line)
			}
		}
		if err := lines.Err(); err != nil {
			fmt.Fprintln(&problems, err)
		}
		ended <- problems.String()
	}()
	return serials, ended
}

// renew has cert-manager issue the relay's certificate anew, and returns when its Secret
// changed.
func (s *site) renew(t *testing.T) time.Time {
	t.Helper()
	const name = relayName + "-tls"
	var old, secret corev1.Secret
	s.get(t, name, &old)
	var certificate cmv1.Certificate
	s.get(t, name, &certificate)
	certificate.Status.Conditions = append(certificate.Status.Conditions, cmv1.CertificateCondition{
		Type: cmv1.CertificateConditionIssuing, Status: cmmetav1.ConditionTrue, Reason: "ManuallyTriggered",
		Message: "renewed by a test", ObservedGeneration: certificate.Generation,
		LastTransitionTime: &metav1.Time{Time: time.Now()},
	})
	if err := s.Status().Update(t.Context(), &certificate); err != nil {
		t.Fatalf("asking for a renewal: %v", err)
	}
	waitFor(t, 30*time.Second, "cert-manager to renew", func(ctx context.Context) (bool, string) {
		err := s.Get(ctx, client.ObjectKey{Namespace: s.namespace, Name: name}, &secret)
		return err == nil && !bytes.Equal(secret.Data[corev1.TLSCertKey], old.Data[corev1.TLSCertKey]), fmt.Sprint(err)
	})
	return time.Now()
}
