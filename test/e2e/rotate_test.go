//go:build e2e

package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/mailrelay-dev/mailrelay-operator/api/v1alpha1"
)

// endLimit is how soon sessions are over once their login is worth nothing.
const endLimit = 5 * time.Second

// fromStdin reads a binding and the addresses of pods, and logs in at one of them.
const fromStdin = `
import json, smtplib, socket, ssl, sys, threading
job = json.load(sys.stdin)
context = ssl.create_default_context(cadata=job["certificates"])

class Client(smtplib.SMTP_SSL):
    def _get_socket(self, host, port, timeout):
        return self.context.wrap_socket(socket.create_connection((host, port), timeout), server_hostname=job["host"])

def login(address):
    client = Client(address, 465, context=context, timeout=300)
    client.login(job["username"], job["password"])
    return client
`

// loginEverywhere logs in at each pod and prints what came of it.
const loginEverywhere = fromStdin + `
for address in job["addresses"]:
    try:
        login(address).quit()
        print("ok")
    except smtplib.SMTPAuthenticationError as error:
        print(error.smtp_code, error.smtp_error.decode())
`

// holdEverywhere logs in at each pod, prints "open", does nothing, and prints what the relay
// says when it ends the session.
const holdEverywhere = fromStdin + `
def hold(client):
    print(client.sock.makefile("rb").readline().decode().rstrip(), flush=True)
clients = [login(address) for address in job["addresses"]]
print("open", flush=True)
threads = [threading.Thread(target=hold, args=[client]) for client in clients]
for thread in threads: thread.start()
for thread in threads: thread.join()
`

// pods that a relay of this suite's rotation tests has.
var twoPods = []string{relayName + "-0", relayName + "-1"}

// credentialed is a user of a relay, and an app that logs in as it at each pod by itself.
type credentialed struct {
	*app
	name      string
	addresses []string
}

func (s *site) startTwoPods(t *testing.T, p *provider) *app {
	t.Helper()
	relay := newRelay(p)
	relay.Spec.Replicas = ptr.To[int32](2)
	s.startRelay(t, p, relay)
	waitFor(t, readyLimit, "two pods", func(ctx context.Context) (bool, string) {
		err := s.Get(ctx, client.ObjectKeyFromObject(relay), relay)
		return err == nil && relay.Status.ReadyReplicas == 2, fmt.Sprint(relay.Status.ReadyReplicas, " ready, error ", err)
	})
	return s.startApp(t, "")
}

// user makes a RelayUser and waits until it is ready.
func (a *app) user(t *testing.T, name string, rotation *v1alpha1.Rotation) *credentialed {
	t.Helper()
	a.create(t, &v1alpha1.RelayUser{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec:       v1alpha1.RelayUserSpec{RelayRef: v1alpha1.RelayReference{Name: relayName}, Rotation: rotation},
	})
	a.waitCondition(t, name, &v1alpha1.RelayUser{}, v1alpha1.ConditionReady, metav1.ConditionTrue, "")
	u := &credentialed{app: a, name: name}
	for _, pod := range twoPods {
		u.addresses = append(u.addresses, a.site.pod(t, pod).Status.PodIP)
	}
	return u
}

// binding is what the Secret holds now.
func (u *credentialed) binding(ctx context.Context) (map[string]any, error) {
	var secret corev1.Secret
	if err := u.Get(ctx, client.ObjectKey{Namespace: u.namespace, Name: u.name}, &secret); err != nil {
		return nil, err
	}
	binding := map[string]any{"addresses": u.addresses}
	for _, key := range []string{"host", "username", "password", "certificates"} {
		binding[key] = string(secret.Data[key])
	}
	return binding, nil
}

func (u *credentialed) mustBinding(t *testing.T) map[string]any {
	t.Helper()
	binding, err := u.binding(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return binding
}

func (u *credentialed) play(ctx context.Context, binding map[string]any, program string, out io.Writer) error {
	stdin, err := json.Marshal(binding)
	if err != nil {
		return err
	}
	return u.stream(ctx, string(stdin), out, "python3", "-c", program)
}

// logins are the outcomes of a login at each pod.
func (u *credentialed) logins(ctx context.Context, binding map[string]any) ([]string, error) {
	var out bytes.Buffer
	err := u.play(ctx, binding, loginEverywhere, &out)
	return strings.Split(strings.TrimSpace(out.String()), "\n"), err
}

// mustLogin logs in at every pod, or is refused by every pod.
func (u *credentialed) mustLogin(t *testing.T, binding map[string]any, want string) {
	t.Helper()
	got, err := u.logins(t.Context(), binding)
	if err != nil || len(got) != len(u.addresses) {
		t.Fatalf("logins: %v, %v", got, err)
	}
	for i, outcome := range got {
		if !strings.HasPrefix(outcome, want) {
			t.Errorf("login at pod %d: %s, want %s", i, outcome, want)
		}
	}
}

func (u *credentialed) annotate(t *testing.T, name, value string) {
	t.Helper()
	patch := fmt.Appendf(nil, `{"metadata":{"annotations":{%q:%q}}}`, name, value)
	user := &v1alpha1.RelayUser{ObjectMeta: metav1.ObjectMeta{Namespace: u.namespace, Name: u.name}}
	if err := u.Patch(t.Context(), user, client.RawPatch("application/merge-patch+json", patch)); err != nil {
		t.Fatal(err)
	}
}

// waitRotated waits for a password other than that of the binding, and returns the new binding.
func (u *credentialed) waitRotated(t *testing.T, old map[string]any) map[string]any {
	t.Helper()
	var fresh map[string]any
	waitFor(t, 30*time.Second, "a new password of "+u.name, func(ctx context.Context) (bool, string) {
		var err error
		fresh, err = u.binding(ctx)
		return err == nil && fresh["password"] != "" && fresh["password"] != old["password"], fmt.Sprint("error ", err)
	})
	return fresh
}

func (u *credentialed) rotation(ctx context.Context) (*v1alpha1.RotationStatus, error) {
	var user v1alpha1.RelayUser
	err := u.Get(ctx, client.ObjectKey{Namespace: u.namespace, Name: u.name}, &user)
	return user.Status.Rotation, err
}

func TestRotationFailsNoApp(t *testing.T) {
	t.Parallel()
	p, s := commonProvider(t), newSite(t, "rotate")
	u := s.startTwoPods(t, p).user(t, "app", &v1alpha1.Rotation{Overlap: &metav1.Duration{Duration: time.Minute}})

	// An app that reads its Secret for each login, and notices a change at once.
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	var busy sync.WaitGroup
	logins, passwords := 0, map[any]bool{}
	busy.Go(func() {
		for ctx.Err() == nil {
			binding, err := u.binding(ctx)
			if err != nil {
				continue
			}
			outcomes, err := u.logins(ctx, binding)
			if ctx.Err() != nil {
				return
			}
			for i, outcome := range outcomes {
				if outcome != "ok" {
					t.Errorf("login %d at pod %d: %s, %v", logins, i, outcome, err)
				}
			}
			logins++
			passwords[binding["password"]] = true
		}
	})
	first := u.mustBinding(t)
	from := time.Now()
	u.annotate(t, v1alpha1.AnnotationRotate, "1")
	second := u.waitRotated(t, first)
	t.Logf("from the annotation to a new password that every pod knows: %s", time.Since(from))
	u.mustLogin(t, first, "ok")
	time.Sleep(3 * time.Second) // some more logins with the second password
	u.annotate(t, v1alpha1.AnnotationRotate, "2")
	third := u.waitRotated(t, second)
	begin := time.Now()
	u.mustLogin(t, third, "ok")
	u.mustLogin(t, second, "ok")
	var until time.Time
	waitFor(t, 50*time.Second, "the last use of the old password", func(ctx context.Context) (bool, string) {
		r, err := u.rotation(ctx)
		if err != nil || r.Previous == nil || r.Previous.LastUsed == nil {
			return false, fmt.Sprintf("%+v, %v", r, err)
		}
		until = r.Previous.Until.Time
		return r.Previous.LastUsed.After(begin.Add(-2 * time.Minute)), r.Previous.LastUsed.String()
	})
	u.mustLogin(t, second, "ok")
	time.Sleep(time.Until(until) + time.Second)
	u.mustLogin(t, second, "535 5.7.8")
	u.mustLogin(t, first, "535 5.7.8")
	waitFor(t, 10*time.Second, "the end of the old password in status", func(ctx context.Context) (bool, string) {
		r, err := u.rotation(ctx)
		return err == nil && r.Previous == nil, fmt.Sprintf("%+v, %v", r, err)
	})
	stop()
	busy.Wait()
	if len(passwords) != 3 {
		t.Errorf("logged in with %d passwords, want 3", len(passwords))
	}
	t.Logf("%d times logged in at each of %d pods", logins, len(u.addresses))
}

// hold opens a session at each pod. The channel gets what the relay says when it ends them.
func (u *credentialed) hold(t *testing.T) <-chan string {
	t.Helper()
	lines := make(chan string, 8)
	reader, writer := io.Pipe()
	go func() {
		_ = writer.CloseWithError(u.play(t.Context(), u.mustBinding(t), holdEverywhere, writer))
	}()
	go func() {
		defer close(lines)
		var all bytes.Buffer
		buffer := make([]byte, 4096)
		for {
			n, err := reader.Read(buffer)
			all.Write(buffer[:n])
			for {
				line, rest, found := strings.Cut(all.String(), "\n")
				if !found {
					break
				}
				lines <- line
				all.Reset()
				all.WriteString(rest)
			}
			if err != nil {
				return
			}
		}
	}()
	if line := <-lines; line != "open" {
		t.Fatalf("opening sessions: %s", line)
	}
	return lines
}

// mustEnd waits until the sessions of every pod have ended.
func (u *credentialed) mustEnd(t *testing.T, sessions <-chan string, from time.Time, want string) {
	t.Helper()
	for range u.addresses {
		select {
		case line := <-sessions:
			if !strings.HasPrefix(line, want) {
				t.Errorf("a session ends with %q, want %q", line, want)
			}
		case <-time.After(time.Until(from.Add(4 * endLimit))):
			t.Fatalf("%s: a session is still open", u.name)
		}
	}
	took := time.Since(from)
	if took > endLimit {
		t.Errorf("%s: the sessions were over after %s, want %s", u.name, took, endLimit)
	}
	t.Logf("%s: the sessions at %d pods were over after %s", u.name, len(u.addresses), took)
}

func TestSessionsEndWithTheirCredentials(t *testing.T) {
	t.Parallel()
	p, s := commonProvider(t), newSite(t, "leaked")
	a := s.startTwoPods(t, p)
	leaks, goes, stays := a.user(t, "leaks", nil), a.user(t, "goes", nil), a.user(t, "stays", nil)
	ofLeaks, ofGoes, ofStays := leaks.hold(t), goes.hold(t), stays.hold(t)

	old := leaks.mustBinding(t)
	from := time.Now()
	leaks.annotate(t, v1alpha1.AnnotationLeaked, "1")
	leaks.mustEnd(t, ofLeaks, from, "421 4.7.0 ")
	fresh := leaks.waitRotated(t, old)
	leaks.waitCondition(t, "leaks", &v1alpha1.RelayUser{}, v1alpha1.ConditionReady, metav1.ConditionTrue, "")
	leaks.mustLogin(t, old, "535 5.7.8")
	leaks.mustLogin(t, fresh, "ok")

	gone := goes.mustBinding(t)
	from = time.Now()
	if err := a.Delete(t.Context(), &v1alpha1.RelayUser{ObjectMeta: metav1.ObjectMeta{Namespace: a.namespace, Name: "goes"}}); err != nil {
		t.Fatal(err)
	}
	goes.mustEnd(t, ofGoes, from, "421 4.7.0 ")
	goes.mustLogin(t, gone, "535 5.7.8")

	select {
	case line := <-ofStays:
		t.Errorf("the session of another user ended: %s", line)
	default:
	}
	stays.mustSurviveItsSecret(t)
}

// mustSurviveItsSecret deletes the Secret and edits it. What the app has goes on working.
func (u *credentialed) mustSurviveItsSecret(t *testing.T) {
	t.Helper()
	first := u.mustBinding(t)
	if err := u.Delete(t.Context(), &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: u.namespace, Name: u.name}}); err != nil {
		t.Fatal(err)
	}
	second := u.waitRotated(t, first)
	u.mustLogin(t, first, "ok")
	u.waitLogin(t, second)

	edited := map[string]any{"password": "chosen by hand"}
	u.setSecret(t, u.name, "password", []byte("chosen by hand"))
	waitFor(t, 30*time.Second, "the edit to be put right", func(ctx context.Context) (bool, string) {
		now, err := u.binding(ctx)
		return err == nil && now["password"] != edited["password"], fmt.Sprint(err)
	})
	third := u.mustBinding(t)
	u.mustLogin(t, second, "ok")
	u.waitLogin(t, third)
	var told eventsv1.EventList
	waitFor(t, 30*time.Second, "an event about the edit", func(ctx context.Context) (bool, string) {
		err := u.List(ctx, &told, client.InNamespace(u.namespace))
		for _, e := range told.Items {
			if e.Reason == "CredentialsRestored" && e.Regarding.Name == u.name {
				return true, ""
			}
		}
		return false, fmt.Sprint(err)
	})
}

// waitLogin waits until every pod knows a password that was made in a hurry.
func (u *credentialed) waitLogin(t *testing.T, binding map[string]any) {
	t.Helper()
	waitFor(t, endLimit, "the new password to work", func(ctx context.Context) (bool, string) {
		outcomes, err := u.logins(ctx, binding)
		return err == nil && strings.Join(outcomes, " ") == "ok ok", fmt.Sprint(outcomes, err)
	})
}
