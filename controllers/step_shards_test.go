package controllers

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/mailrelay-dev/mailrelay-operator/api/v1alpha1"
	"github.com/mailrelay-dev/mailrelay-operator/controllers/resources"
	"github.com/mailrelay-dev/mailrelay-operator/controllers/users"
	"github.com/mailrelay-dev/mailrelay-operator/relay/config"
)

// sameShard is a name for another user in the shard of one.
func sameShard(t *testing.T, username, namespace string) string {
	t.Helper()
	for i := range 1000 {
		if name := fmt.Sprintf("near-%d", i); users.Shard(name+"."+namespace) == users.Shard(username) {
			return name
		}
	}
	t.Fatal("no name is in the shard")
	return ""
}

// Where a shard is full, those who came first stay.
func TestFullShardLeavesOutTheNewest(t *testing.T) {
	t.Parallel()
	var all []relayUser
	var members []config.User
	for i, name := range []string{"a", "b", "c", "large", "d"} {
		user := config.User{Name: name + ".shop"}
		if name == "large" {
			user.Senders = []string{strings.Repeat("a", 60) + "@example.com", strings.Repeat("b", 60) + "@example.com"}
		}
		object := &v1alpha1.RelayUser{}
		object.CreationTimestamp = metav1.NewTime(noon.Add(-time.Duration(i) * time.Hour)) // d is the oldest
		all, members = append(all, relayUser{object: object, user: user}), append(members, user)
	}
	whole, left, err := renderShard(all, members, roomOfShard)
	if err != nil || len(left) > 0 || !bytes.Contains(whole, []byte("a.shop")) {
		t.Fatalf("with room: %v left out, %v", left, err)
	}
	file, left, err := renderShard(all, members, len(whole)-10)
	if err != nil || !slices.Equal(left, []string{"b.shop", "a.shop"}) && !slices.Equal(left, []string{"a.shop"}) {
		t.Fatalf("with too little room %v are left out, %v", left, err)
	}
	if len(file) > len(whole)-10 || bytes.Contains(file, []byte("a.shop")) || !bytes.Contains(file, []byte("large.shop")) {
		t.Errorf("written: %s", file)
	}
	// One that is too large by itself costs nobody else the login.
	file, left, err = renderShard(all, members, 150)
	if err != nil || !slices.Contains(left, "large.shop") || !bytes.Contains(file, []byte("d.shop")) || !bytes.Contains(file, []byte("c.shop")) {
		t.Errorf("with little room %v are left out, %v: %s", left, err, file)
	}
}

// What was last written goes on being true while something else cannot be.
func TestThoseLeftOutAreRememberedWhileTheShardCannotBeWritten(t *testing.T) {
	t.Parallel()
	relay := newRelay("mail")
	s := newScope(relay, (&memories{}).of(keyOf(relay), "1"), noon)
	s.memory.shards[0] = knownShard{written: true, users: []config.User{{Name: "a.shop"}}, leftOut: []string{"a.shop"}}
	scheme, err := NewScheme()
	if err != nil {
		t.Fatal(err)
	}
	full := fake.NewClientBuilder().WithScheme(scheme).WithInterceptorFuncs(interceptor.Funcs{
		Create: func(context.Context, client.WithWatch, client.Object, ...client.CreateOption) error {
			return errors.New("no")
		},
		Patch: func(context.Context, client.WithWatch, client.Object, client.Patch, ...client.PatchOption) error {
			return errors.New("no")
		},
		Apply: func(context.Context, client.WithWatch, runtime.ApplyConfiguration, ...client.ApplyOption) error {
			return errors.New("no")
		},
	}).Build()
	r := &MailRelayReconciler{Client: full, Live: full}
	if err := r.applyShard(t.Context(), s, 0, []config.User{{Name: "b.shop"}}); err == nil || !strings.HasSuffix(err.Error(), "no") {
		t.Fatalf("it is written, or %v", err)
	}
	if now := s.memory.shards[0]; now.written || !slices.Equal(now.leftOut, []string{"a.shop"}) {
		t.Errorf("remembered is %+v", now)
	}
}

// With thousands of users, one more must not cost a look at all the others.
func TestAddedUserCostsOneShardAndOneSecret(t *testing.T) {
	c, namespace := onCluster(t)
	relay, pods := c.readyRelay(t, namespace, nil)
	teams := c.namespace(t, nil)
	c.change(t, relay, func() {
		relay.Spec.Access = &v1alpha1.Access{Rules: []v1alpha1.AccessRule{{}, {Namespaces: &v1alpha1.NamespaceRule{Names: []string{teams}}}}}
	})
	const count = 40
	for i := range count {
		c.mustCreate(t, newUser(teams, fmt.Sprintf("app-%d", i), relay))
	}
	for i := range count {
		user := newUser(teams, fmt.Sprintf("app-%d", i), relay)
		c.awaitCondition(t, user, v1alpha1.ConditionReady, metav1.ConditionTrue, "CredentialsReady")
	}
	c.settle(t, namespace)
	c.settle(t, teams)
	reads, shardReads := c.writes.secretsRead(teams), c.writes.secretsRead(namespace)
	writes, shardWrites := len(c.writes.in(teams)), len(c.writes.in(namespace))

	added := newUser(teams, sameShard(t, "app-0."+teams, teams), relay)
	c.mustCreate(t, added)
	c.awaitCondition(t, added, v1alpha1.ConditionReady, metav1.ConditionTrue, "CredentialsReady")
	c.settle(t, namespace)
	c.pass(t, relay, pods[0])

	for name, count := range c.writes.secretsRead(teams) {
		if name != added.Name && count != reads[name] {
			t.Errorf("Secret %s of another user was read %d times", name, count-reads[name])
		}
	}
	shard := resources.UsersName(relay, users.Shard(added.Name+"."+teams))
	for name, count := range c.writes.secretsRead(namespace) {
		// What upstreams refer to is read in every pass.
		if name != shard && name != "provider" && count != shardReads[name] {
			t.Errorf("Secret %s of the relay was read %d times", name, count-shardReads[name])
		}
	}
	written := map[string]int{}
	for _, write := range slices.Concat(c.writes.in(teams)[writes:], c.writes.in(namespace)[shardWrites:]) {
		method, path, _ := strings.Cut(write, " ")
		written[method+" "+path[strings.LastIndex(path, "/namespaces/")+len("/namespaces/"):]]++
	}
	for _, what := range slices.Sorted(maps.Keys(written)) {
		switch _, object, _ := strings.Cut(what, "/"); object {
		case "secrets/" + shard:
			if written[what] != 1 {
				t.Errorf("the shard was written %d times", written[what])
			}
		case "secrets", "secrets/" + added.Name, "relayusers/" + added.Name + "/status", "pods/" + pods[0].Name + "/status", "mailrelays/relay/status":
		default:
			t.Errorf("%s, %d times, for one user more", what, written[what])
		}
	}
}
