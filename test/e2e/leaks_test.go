//go:build e2e

package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/tools/cache"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/mailrelay-dev/mailrelay-operator/api/v1alpha1"
	"github.com/mailrelay-dev/mailrelay-operator/controllers/resources"
)

// used are the secrets of this run.
var used secrets

// secretKeys are the entries of Secrets that are secret.
var secretKeys = []string{"password", "tls.key", "private-key", "dkim.key", "client-secret", "refresh-token", "token"}

// configurationSecret are Secrets that configure relays: with verifiers, and no secrets. The
// provider's credentials are in that of the upstreams.
var configurationSecret = regexp.MustCompile(`-(config-v\d+|users-\d\d|upstreams)$`)

// learnSecrets takes note of every secret in the cluster from now on, also of those that are
// soon replaced.
func (c *cluster) learnSecrets(ctx context.Context) error {
	informer := informers.NewSharedInformerFactory(c.typed, 0).Core().V1().Secrets().Informer()
	learn := func(object any) {
		if secret, ok := object.(*corev1.Secret); ok && ofSuite(secret.Namespace) {
			for _, key := range secretKeys {
				used.learn(string(secret.Data[key]), key+" of Secret "+secret.Namespace+"/"+secret.Name, string(secret.Type) == v1alpha1.SecretTypeSMTP)
			}
		}
	}
	_, err := informer.AddEventHandler(cache.ResourceEventHandlerFuncs{AddFunc: learn, UpdateFunc: func(_, object any) { learn(object) }})
	if err != nil {
		return err
	}
	go informer.RunWithContext(ctx)
	if !cache.WaitForCacheSync(ctx.Done(), informer.HasSynced) {
		return ctx.Err()
	}
	return nil
}

func ofSuite(namespace string) bool {
	return strings.HasPrefix(namespace, "e2e-") || namespace == operatorNamespace
}

// keep takes everything of a namespace that secrets could have leaked into, to be searched at
// the end of the run.
func (c *cluster) keep(namespace string) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	var pods corev1.PodList
	if err := c.List(ctx, &pods, client.InNamespace(namespace)); err != nil {
		used.search(paper{kind: "failure", name: namespace, text: err.Error()})
	}
	var reading sync.WaitGroup
	for i := range pods.Items {
		reading.Go(func() { c.keepPod(ctx, &pods.Items[i]) })
	}
	reading.Wait()
	c.keepObjects(ctx, namespace)
	c.keepConfiguration(ctx, namespace)
}

// keepPod takes logs and metrics.
func (c *cluster) keepPod(ctx context.Context, pod *corev1.Pod) {
	for i := range pod.Status.ContainerStatuses {
		status := &pod.Status.ContainerStatuses[i]
		for _, previous := range []bool{false, true}[:1+min(1, status.RestartCount)] {
			log, err := c.typed.CoreV1().Pods(pod.Namespace).GetLogs(pod.Name,
				&corev1.PodLogOptions{Container: status.Name, Previous: previous}).DoRaw(ctx)
			if err == nil {
				used.search(paper{kind: "log", name: pod.Namespace + "/" + pod.Name + " " + status.Name, text: string(log)})
			}
		}
	}
	port := int32(8080)
	if pod.Namespace != operatorNamespace {
		port = resources.MetricsPort
		// Where there is a policy, nothing comes of asking but waiting.
		if relay := pod.Labels[resources.RelayLabel]; relay == "" || c.hasPolicy(ctx, pod.Namespace, relay) {
			return
		}
	}
	metrics, err := c.typed.CoreV1().RESTClient().Get().Namespace(pod.Namespace).Resource("pods").
		Name(pod.Name + ":" + strconv.Itoa(int(port))).SubResource("proxy").Suffix("metrics").DoRaw(ctx)
	if err == nil {
		used.search(paper{kind: "metrics", name: pod.Namespace + "/" + pod.Name, text: string(metrics)})
	}
}

func (c *cluster) hasPolicy(ctx context.Context, namespace, name string) bool {
	return c.Get(ctx, client.ObjectKey{Namespace: namespace, Name: name}, &networkingv1.NetworkPolicy{}) == nil
}

// keepObjects takes events, and everything that is no Secret, with its status.
func (c *cluster) keepObjects(ctx context.Context, namespace string) {
	var events eventsv1.EventList
	if err := c.List(ctx, &events, client.InNamespace(namespace)); err == nil {
		for i := range events.Items {
			e := &events.Items[i]
			used.search(paper{kind: "event", name: namespace + "/" + e.Name, text: e.Reason + " " + e.Note})
		}
	}
	for _, kind := range childKinds {
		if kind.Kind == "Secret" {
			continue
		}
		list := newList(kind)
		if err := c.List(ctx, list, client.InNamespace(namespace)); err != nil {
			continue
		}
		for i := range list.Items {
			if text, err := json.Marshal(&list.Items[i]); err == nil {
				used.search(paper{kind: "object", name: kind.Kind + " " + namespace + "/" + list.Items[i].GetName(), text: string(text)})
			}
		}
	}
}

// keepConfiguration takes the Secrets that relays are configured with.
func (c *cluster) keepConfiguration(ctx context.Context, namespace string) {
	var list corev1.SecretList
	if err := c.List(ctx, &list, client.InNamespace(namespace)); err != nil {
		used.search(paper{kind: "failure", name: namespace, text: err.Error()})
	}
	for i := range list.Items {
		secret := &list.Items[i]
		if !configurationSecret.MatchString(secret.Name) {
			continue
		}
		for key, value := range secret.Data {
			used.search(paper{
				kind: "configuration", name: namespace + "/" + secret.Name + " " + key, text: string(value),
				provider: strings.HasSuffix(secret.Name, "-upstreams"),
			})
		}
	}
}

// planted is in one paper of each kind that can be written to, to show that they are searched.
const planted = "planted secret"

// judgeLeaks searches for all secrets, and says what was found. It is the last act of the suite.
func judgeLeaks() (ok bool) {
	counts, lines := used.counted()
	found := used.leaks()
	ok = true
	var plants []string
	for _, l := range found {
		if l.secret == planted {
			plants = append(plants, l.kind)
			continue
		}
		ok = false
		fmt.Printf("--- FAIL: %s %s has %s in it\n", l.kind, l.where, l.secret)
	}
	if counts["failure"] > 0 {
		ok = false
		fmt.Printf("--- FAIL: what to search for secrets could not be had %d times\n", counts["failure"])
	}
	if slices.Sort(plants); hasPlanted && !slices.Equal(slices.Compact(plants), plantedKinds) {
		ok = false
		fmt.Printf("--- FAIL: the planted secret was found in %q, want it in %q\n", plants, plantedKinds)
	}
	if hasPlanted && counts["metrics"] < 2 {
		ok = false
		fmt.Println("--- FAIL: the metrics of operator and relay were not searched for secrets")
	}
	fmt.Printf("searched for %d secrets in %d lines of: %v\n", len(used.found), lines, counts)
	return ok
}

var (
	plantedKinds = []string{"configuration", "event", "log", "object"}
	// hasPlanted is set when the test below has run.
	hasPlanted bool
)

// TestLeakedSecretWouldBeFound leaks a secret in every way, for the last act of the suite to
// find. Its relay shows its metrics to all, after logins that worked and that did not.
func TestLeakedSecretWouldBeFound(t *testing.T) {
	t.Parallel()
	p, s := commonProvider(t), newSite(t, "planted")
	open := newRelay(p)
	open.Spec.NetworkPolicy.Enabled = ptr.To(false)
	s.startRelay(t, p, open)
	a := s.startApp(t, defaultUser)
	a.python(t, sendOne, "implicit", sender, recipient, s.namespace)
	a.python(t, dialogue, "tls", "EHLO app", "AUTH PLAIN {user}")
	const value = "this-is-in-no-real-log-Zk3vQ9"
	used.learn(value, planted, true)
	s.secret(t, "planted-users-00", map[string][]byte{"users.yaml": []byte("version: 1\n# " + value + "\n")})
	user := &v1alpha1.RelayUser{ObjectMeta: metav1.ObjectMeta{Name: "planted", Annotations: map[string]string{"e2e": value}}}
	user.Spec.RelayRef.Name = "nowhere"
	s.create(t, user, &eventsv1.Event{
		ObjectMeta: metav1.ObjectMeta{Name: "planted"}, EventTime: metav1.NowMicro(), Type: corev1.EventTypeNormal,
		ReportingController: "e2e", ReportingInstance: "e2e", Action: "Planting", Reason: "Planted", Note: "it is " + value,
		Regarding: corev1.ObjectReference{Kind: "RelayUser", Namespace: s.namespace, Name: "planted"},
	})
	pod := s.appPod("planted")
	pod.Spec.Containers[0].Command = []string{"python3", "-uc", "print('" + value + "')\n" + runner}
	s.startPod(t, pod)
	hasPlanted = true
}
