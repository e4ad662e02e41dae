package controllers

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	ctrlconfig "sigs.k8s.io/controller-runtime/pkg/config"
	"sigs.k8s.io/controller-runtime/pkg/envtest"
	"sigs.k8s.io/controller-runtime/pkg/log"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"

	"github.com/go-logr/logr"

	"github.com/mailrelay-dev/mailrelay-operator/controllers/dkim"
	"github.com/mailrelay-dev/mailrelay-operator/controllers/dkim/dnstest"
)

const operatorNamespace = "mailrelay-system"

// cacheSyncTimeout is how long the operator of the tests waits for a watch to begin.
const cacheSyncTimeout = 15 * time.Second

// cluster is a real API server with the operator working on it. There is no kubelet and no
// controller of Kubernetes itself: tests make the pods, and issuer does cert-manager's part.
type cluster struct {
	client.Client
	config *rest.Config
	// operator is how the operator connects: as a user with its role and no other rights.
	operator *rest.Config
	fleet    *fleet
	writes   *writeCounter
	dns      *dnstest.Server
}

// shared is the cluster of the tests that need nothing special; nil without an API server.
var shared *cluster

func TestMain(m *testing.M) {
	log.SetLogger(logr.Discard())
	code, err := runSuite(m)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

func runSuite(m *testing.M) (int, error) {
	if os.Getenv("KUBEBUILDER_ASSETS") == "" {
		return m.Run(), nil
	}
	crds, err := certManagerCRDs()
	if err != nil {
		return 1, err
	}
	ctx, cancel := context.WithCancel(context.Background())
	c, stop, err := startCluster(ctx, crds)
	if err != nil {
		cancel()
		return 1, err
	}
	shared = c
	code := m.Run()
	cancel()
	return code, stop()
}

// onCluster returns the shared cluster and a fresh namespace.
func onCluster(t *testing.T) (*cluster, string) {
	t.Helper()
	t.Parallel()
	if shared == nil {
		t.Skip("KUBEBUILDER_ASSETS is not set: \"make test\" builds a kube-apiserver and etcd and runs this test")
	}
	return shared, shared.namespace(t, nil)
}

// startCluster starts an API server with the project's CRDs and those in the files given, and
// the operator.
func startCluster(ctx context.Context, crds []string) (*cluster, func() error, error) {
	env := &envtest.Environment{
		CRDDirectoryPaths:     append([]string{filepath.Join("..", "config", "crd")}, crds...),
		ErrorIfCRDPathMissing: true,
	}
	config, err := env.Start()
	if err != nil {
		return nil, nil, fmt.Errorf("start an API server from KUBEBUILDER_ASSETS: %w", err)
	}
	config.QPS, config.Burst = -1, -1
	c, err := newCluster(ctx, config)
	if err != nil {
		return nil, nil, err
	}
	user, err := env.AddUser(envtest.User{Name: operatorUser}, nil)
	if err != nil {
		return nil, nil, fmt.Errorf("add the operator's user: %w", err)
	}
	c.operator = user.Config()
	c.operator.QPS, c.operator.Burst = -1, -1
	stop := func() error {
		c.dns.Close()
		return env.Stop()
	}
	return c, stop, c.startOperator(ctx)
}

func newCluster(ctx context.Context, config *rest.Config) (*cluster, error) {
	scheme, err := NewScheme()
	if err != nil {
		return nil, err
	}
	direct, err := client.New(config, client.Options{Scheme: scheme})
	if err != nil {
		return nil, err
	}
	dns, err := dnstest.Start(ctx)
	if err != nil {
		return nil, err
	}
	go issueForever(ctx, direct)
	return &cluster{Client: direct, config: config, fleet: newFleet(direct), writes: &writeCounter{}, dns: dns},
		errors.Join(direct.Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: operatorNamespace}}), bindRole(ctx, direct))
}

// startOperator runs the operator until the context ends.
func (c *cluster) startOperator(ctx context.Context) error {
	watched := rest.CopyConfig(c.operator)
	watched.Wrap(c.writes.wrap)
	mgr, err := ctrl.NewManager(watched, ctrl.Options{
		Scheme:  c.Scheme(),
		Cache:   CacheOptions(),
		Metrics: metricsserver.Options{BindAddress: "0"},
		Logger:  logr.Discard(),
		// A test that needs a cluster of its own runs a second operator in this process.
		Controller: ctrlconfig.Controller{SkipNameValidation: ptr(true), CacheSyncTimeout: cacheSyncTimeout},
	})
	if err != nil {
		return err
	}
	settings := Settings{RelayImage: "relay.test/relay:1", ClusterDomain: "cluster.local", Namespace: operatorNamespace}
	// Tests change what the DNS shows and do not wait for an hour.
	dns := &dkim.Lookups{Resolver: dkim.NewResolver(c.dns.Address), Soon: 50 * time.Millisecond, Seldom: 200 * time.Millisecond}
	if err := setup(ctx, mgr, settings, testCA{}, c.fleet, dns); err != nil {
		return err
	}
	go func() {
		if err := mgr.Start(ctx); err != nil {
			panic(err)
		}
	}()
	return nil
}

// ownCluster returns a cluster of the test's own; its operator runs until stopOperator.
func ownCluster(t *testing.T, crds []string) (c *cluster, stopOperator func()) {
	t.Helper()
	t.Parallel()
	if shared == nil {
		t.Skip("KUBEBUILDER_ASSETS is not set: \"make test\" builds a kube-apiserver and etcd and runs this test")
	}
	ctx, cancel := context.WithCancel(context.Background())
	c, stop, err := startCluster(ctx, crds)
	if err != nil {
		cancel()
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cancel()
		if err := stop(); err != nil {
			t.Error(err)
		}
	})
	return c, cancel
}

// certManagerCRDs are the files of the module that the operator is built with.
func certManagerCRDs() ([]string, error) {
	out, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "github.com/cert-manager/cert-manager").Output()
	if err != nil {
		return nil, fmt.Errorf("find cert-manager's CRDs: %w", err)
	}
	dir := filepath.Join(strings.TrimSpace(string(out)), "deploy", "crds")
	var files []string
	for _, name := range []string{"certificaterequests", "certificates", "issuers", "clusterissuers"} {
		files = append(files, filepath.Join(dir, "cert-manager.io_"+name+".yaml"))
	}
	return files, nil
}

type testCA struct{}

func (testCA) Bundle(context.Context) ([]byte, error) { return []byte("the operator's CA"), nil }

// namespace makes a namespace with these labels, named after the test.
func (c *cluster) namespace(t *testing.T, labels map[string]string) string {
	t.Helper()
	namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{GenerateName: "test-", Labels: labels}}
	if err := c.Create(t.Context(), namespace); err != nil {
		t.Fatal(err)
	}
	return namespace.Name
}

// deadline is how long a test waits for what should take well under a second.
const deadline = 30 * time.Second

// eventually waits until check returns nil.
func eventually(t *testing.T, what string, check func() error) {
	t.Helper()
	end := time.Now().Add(deadline)
	for {
		err := check()
		if err == nil {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("%s: %v", what, err)
		}
		time.Sleep(20 * time.Millisecond)
	}
}
