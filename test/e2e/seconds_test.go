//go:build e2e

package e2e

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"github.com/mailrelay-dev/mailrelay-operator/api/v1alpha1"
)

// secondsLimit is the 99th percentile that users are promised.
const secondsLimit = 2 * time.Second

// Tests of time do not run beside others: they would measure those.

func TestNewUsersLogInOnEveryPodWithinSeconds(t *testing.T) {
	const users = 50
	p, s := commonProvider(t), newSite(t, "seconds")
	addresses := s.startPods(t, p, nil)
	a := s.startApp(t, defaultUser)
	var took timings
	for i := range users {
		user := &v1alpha1.RelayUser{
			ObjectMeta: metav1.ObjectMeta{Name: fmt.Sprintf("app-%d", i)},
			Spec:       v1alpha1.RelayUserSpec{RelayRef: v1alpha1.RelayReference{Name: relayName}},
		}
		began := time.Now()
		s.create(t, user)
		username, password := s.awaitCredentials(t, user.Name)
		written := time.Since(began)
		for address, at := range a.awaitLogins(t, username, password, addresses) {
			took = append(took, at.Sub(began))
			if slow := at.Sub(began); slow > secondsLimit {
				t.Logf("%s at %s took %s, its Secret %s", user.Name, address, slow, written)
			}
		}
	}
	took.judge(t, fmt.Sprintf("from apply of %d RelayUsers to the first AUTH accepted on each of %d pods", users, len(addresses)))
}

// startPods starts a relay with two pods and returns their addresses.
func (s *site) startPods(t *testing.T, p *provider, shape func(*v1alpha1.MailRelay)) []string {
	t.Helper()
	relay := newRelay(p)
	relay.Spec.Replicas = ptr.To[int32](2)
	if shape != nil {
		shape(relay)
	}
	s.startRelay(t, p, relay)
	var addresses []string
	for _, pod := range []string{relayPod, relayName + "-1"} {
		s.waitPodReady(t, pod, "")
		addresses = append(addresses, s.pod(t, pod).Status.PodIP)
	}
	s.waitReady(t)
	return addresses
}

// awaitCredentials waits for the Secret of a RelayUser, as an app's pod does.
func (s *site) awaitCredentials(t *testing.T, name string) (username, password string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	secrets, err := s.typed.CoreV1().Secrets(s.namespace).Watch(ctx, metav1.ListOptions{FieldSelector: "metadata.name=" + name})
	if err != nil {
		t.Fatal(err)
	}
	defer secrets.Stop()
	for event := range secrets.ResultChan() {
		if secret, ok := event.Object.(*corev1.Secret); ok && len(secret.Data["password"]) > 0 {
			return string(secret.Data["username"]), string(secret.Data["password"])
		}
	}
	t.Fatalf("Secret %s was not written within a minute", name)
	return "", ""
}

// awaitLogins tries to log in at each address all the time, and returns when that first worked.
func (a *app) awaitLogins(t *testing.T, username, password string, addresses []string) map[string]time.Time {
	t.Helper()
	worked := map[string]time.Time{}
	err := a.lines(t, username+"\n"+password+"\n", func(line string) {
		if address, ok := strings.CutPrefix(line, "accepted "); ok {
			worked[address] = time.Now()
		}
	}, append([]string{"python3", "-c", tryLogin}, addresses...)...)
	if err != nil || len(worked) != len(addresses) {
		t.Fatalf("%s could log in at %d of %d pods: %v", username, len(worked), len(addresses), err)
	}
	return worked
}

// lines runs a command and hands over each line when it comes.
func (a *app) lines(t *testing.T, stdin string, each func(line string), command ...string) error {
	t.Helper()
	reader, writer := io.Pipe()
	go func() {
		writer.CloseWithError(a.stream(t.Context(), stdin, writer, command...))
	}()
	scanner := bufio.NewScanner(reader)
	for scanner.Scan() {
		each(scanner.Text())
	}
	return scanner.Err()
}

// timings are how long something took, each time.
type timings []time.Duration

// judge prints the percentiles and fails the test when they are not within seconds.
func (took timings) judge(t *testing.T, what string) {
	t.Helper()
	slices.Sort(took)
	if len(took) == 0 {
		t.Fatalf("%s: nothing was measured", what)
	}
	at := func(percent int) time.Duration { return took[(len(took)*percent+99)/100-1].Round(time.Millisecond) }
	t.Logf("%s: p50 %s, p99 %s, longest %s (%d)", what, at(50), at(99), at(100), len(took))
	if p99 := at(99); p99 > secondsLimit {
		t.Errorf("%s: p99 is %s, want %s at most", what, p99, secondsLimit)
	}
}

// tryLogin logs in at each address, in a new session every tenth of a second, until it works:
// addresses; user name and password are the lines of standard input. A login that fails is
// answered later and later, so none waits for the one before.
const tryLogin = `
import base64, pathlib, socket, ssl, sys, threading, time
username, password = sys.stdin.read().split()
binding = pathlib.Path("` + bindings + `")
host = (binding / "host").read_text()
context = ssl.create_default_context(cadata=(binding / "certificates").read_text())
token = base64.b64encode(f"\0{username}\0{password}".encode())
accepted = {address: threading.Event() for address in sys.argv[1:]}
lock = threading.Lock()

def attempt(address):
    try:
        with context.wrap_socket(socket.create_connection((address, 465), 10), server_hostname=host) as connection:
            replies = (line for line in connection.makefile("rb") if line[3:4] == b" ")
            for command in b"EHLO app", b"AUTH PLAIN " + token:
                next(replies)
                connection.sendall(command + b"\r\n")
            if not next(replies).startswith(b"235"):
                return
    except (OSError, StopIteration):
        return
    with lock:
        if not accepted[address].is_set():
            accepted[address].set()
            print("accepted", address, flush=True)

end = time.time() + 30
while time.time() < end and not all(event.is_set() for event in accepted.values()):
    for address, event in accepted.items():
        if not event.is_set():
            threading.Thread(target=attempt, args=[address], daemon=True).start()
    time.sleep(0.1)
`
