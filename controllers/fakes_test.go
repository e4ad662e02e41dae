package controllers

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"sync"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/mailrelay-dev/mailrelay-operator/api/v1alpha1"
	"github.com/mailrelay-dev/mailrelay-operator/controllers/poll"
	"github.com/mailrelay-dev/mailrelay-operator/controllers/resources"
	"github.com/mailrelay-dev/mailrelay-operator/controllers/trust"
	"github.com/mailrelay-dev/mailrelay-operator/relay/config"
)

// fleet answers for relay pods. Like one behind a real kubelet, a pod sees new content of its
// Secrets only when its annotations change.
type fleet struct {
	client client.Client
	mu     sync.Mutex
	pods   map[string]*fleetPod
	count  int
}

type fleetPod struct {
	key    client.ObjectKey
	relay  string
	report config.Report
	seen   *string
	nudges int
	polls  int
	// stuck is set while it loads nothing new.
	stuck bool
}

func newFleet(c client.Client) *fleet { return &fleet{client: c, pods: map[string]*fleetPod{}} }

// add gives a pod an address.
func (f *fleet) add(key client.ObjectKey, relay string) string {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.count++
	ip := fmt.Sprintf("10.99.%d.%d", f.count/250, f.count%250+1)
	f.pods[ip] = &fleetPod{key: key, relay: relay}
	return ip
}

// change changes what a pod reports, besides what it has loaded.
func (f *fleet) change(key client.ObjectKey, change func(*config.Report)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, pod := range f.pods {
		if pod.key == key {
			change(&pod.report)
		}
	}
}

// stick keeps a pod from loading anything new, or lets it.
func (f *fleet) stick(key client.ObjectKey, stuck bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, pod := range f.pods {
		if pod.key == key {
			pod.stuck = stuck
		}
	}
}

func (f *fleet) nudges(key client.ObjectKey) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, pod := range f.pods {
		if pod.key == key {
			return pod.nudges
		}
	}
	return -1
}

// polls is how often a pod was asked: once in each pass over its relay.
func (f *fleet) polls(key client.ObjectKey) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, pod := range f.pods {
		if pod.key == key {
			return pod.polls
		}
	}
	return -1
}

// Poll answers for the pod of that address.
func (f *fleet) Poll(ctx context.Context, target poll.Target) (*config.Report, error) {
	host, _, err := net.SplitHostPort(target.Address)
	if err != nil {
		return nil, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	state, ok := f.pods[host]
	if !ok {
		return nil, fmt.Errorf("no route to %s", host)
	}
	state.polls++
	pod := &corev1.Pod{}
	if err := f.client.Get(ctx, state.key, pod); err != nil {
		return nil, err
	}
	if annotation := pod.Annotations[resources.NudgeAnnotation]; (state.seen == nil || *state.seen != annotation) && !state.stuck {
		if state.seen != nil {
			state.nudges++
		}
		state.seen = &annotation
		if err := f.load(ctx, state); err != nil {
			return nil, err
		}
	}
	report := state.report
	return &report, nil
}

func (f *fleet) load(ctx context.Context, pod *fleetPod) error {
	relay := &v1alpha1.MailRelay{ObjectMeta: metav1.ObjectMeta{Namespace: pod.key.Namespace, Name: pod.relay}}
	pod.report.Loaded = map[string]string{}
	pod.report.Certificates = nil
	for name, directory := range resources.MountedSecrets(relay) {
		secret := &corev1.Secret{}
		err := f.client.Get(ctx, client.ObjectKey{Namespace: pod.key.Namespace, Name: name}, secret)
		if client.IgnoreNotFound(err) != nil {
			return err
		}
		pod.report.Loaded[directory] = config.DirHash(secret.Data)
		switch directory {
		case resources.TLSDir:
			pod.show(config.InternalCertificate, "relay."+pod.key.Namespace+".svc", secret)
		case resources.ExternalDir:
			pod.show(config.ExternalCertificate, "mail.example.com", secret)
		}
	}
	return nil
}

// show reports that both ports show a certificate.
func (p *fleetPod) show(name, host string, secret *corev1.Secret) {
	leaf := trust.Parse(secret.Data[corev1.TLSCertKey])
	if leaf == nil {
		return
	}
	report := config.CertificateReport{Name: name, NotAfter: leaf.NotAfter, Fingerprint: config.Fingerprint(leaf)}
	for _, port := range []int{465, 587} {
		report.Served = append(report.Served, config.ServedReport{
			Host: host, Port: port, NotAfter: leaf.NotAfter, Fingerprint: report.Fingerprint, Issuer: leaf.Issuer.CommonName,
		})
	}
	p.report.Certificates = append(p.report.Certificates, report)
}

// writeCounter counts the operator's writes by namespace, events and leases aside, and what it
// reads of Secrets.
type writeCounter struct {
	mu     sync.Mutex
	writes map[string][]string
	// reads are how often each Secret was read, by path.
	reads map[string]int
	// broken are paths, writes to which fail.
	broken map[string]bool
	// unreadable are paths, the next read of which fails.
	unreadable map[string]bool
}

// failRead makes the next read of a path fail.
func (w *writeCounter) failRead(path string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.unreadable = map[string]bool{path: true}
}

// readFails reports whether this read fails.
func (w *writeCounter) readFails(path string) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	fails := w.unreadable[path]
	delete(w.unreadable, path)
	return fails
}

// failedRead reports whether the read that was to fail has done so.
func (w *writeCounter) failedRead() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.unreadable) == 0
}

// fail makes writes to a path fail, or not any more.
func (w *writeCounter) fail(path string, fails bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.broken == nil {
		w.broken = map[string]bool{}
	}
	w.broken[path] = fails
}

func (w *writeCounter) fails(path string) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.broken[path]
}

func (w *writeCounter) wrap(next http.RoundTripper) http.RoundTripper {
	return roundTripper(func(request *http.Request) (*http.Response, error) {
		path := request.URL.Path
		if request.Method == http.MethodGet && strings.Contains(path, "/secrets/") {
			w.read(path)
		}
		if request.Method != http.MethodGet && !strings.Contains(path, "/events") {
			if _, rest, ok := strings.Cut(path, "/namespaces/"); ok {
				namespace, _, _ := strings.Cut(rest, "/")
				w.mu.Lock()
				if w.writes == nil {
					w.writes = map[string][]string{}
				}
				w.writes[namespace] = append(w.writes[namespace], request.Method+" "+path)
				w.mu.Unlock()
			}
		}
		if request.Method != http.MethodGet && w.fails(path) || request.Method == http.MethodGet && w.readFails(path) {
			return nil, errors.New("the test broke it")
		}
		return next.RoundTrip(request)
	})
}

func (w *writeCounter) read(path string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.reads == nil {
		w.reads = map[string]int{}
	}
	w.reads[path]++
}

// secretsRead are how often Secrets in a namespace were read so far, by name.
func (w *writeCounter) secretsRead(namespace string) map[string]int {
	w.mu.Lock()
	defer w.mu.Unlock()
	found := map[string]int{}
	for path, count := range w.reads {
		if name, ok := strings.CutPrefix(path, "/api/v1/namespaces/"+namespace+"/secrets/"); ok {
			found[name] = count
		}
	}
	return found
}

// in are the writes in a namespace so far.
func (w *writeCounter) in(namespace string) []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return append([]string(nil), w.writes[namespace]...)
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(request *http.Request) (*http.Response, error) { return f(request) }
