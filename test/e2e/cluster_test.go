//go:build e2e

package e2e

import (
	"context"
	"errors"
	"fmt"
	"os"
	"testing"
	"time"

	cmv1 "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"
	"github.com/go-logr/logr"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/mailrelay-dev/mailrelay-operator/api/v1alpha1"
)

// cluster is the way to the API server of the cluster under test.
type cluster struct {
	client.Client
	typed  kubernetes.Interface
	config *rest.Config
	// mailpitImage and clientsImage run what stands around the relay.
	mailpitImage, clientsImage string
	// passwordlessImage runs the sample in Go.
	passwordlessImage string
	// kubeconfig or kubeContext is where the cluster is; the other is empty.
	kubeconfig, kubeContext string
	// logs is the directory that the state of failed tests is written to.
	logs string
}

// shared is set before the first test runs.
var shared cluster

func TestMain(m *testing.M) {
	log.SetLogger(logr.Discard())
	var err error
	if shared, err = connect(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	learning, stop := context.WithCancel(context.Background())
	if err := shared.learnSecrets(learning); err != nil {
		fmt.Fprintln(os.Stderr, "learning what is secret:", err)
		os.Exit(1)
	}
	code := m.Run()
	shared.keep(operatorNamespace)
	if p := common.provider; p != nil {
		shared.keep(p.namespace)
		if err := shared.Delete(context.Background(), namespaceNamed(p.namespace)); err != nil {
			fmt.Fprintln(os.Stderr, err)
		}
	}
	stop()
	if !judgeLeaks() {
		code = 1
	}
	os.Exit(code)
}

// connect reads where the cluster is from the environment that hack/e2e.sh sets. KUBECONFIG
// is ignored, so that the suite never runs on a cluster that nobody named.
func connect() (cluster, error) {
	c := cluster{
		mailpitImage: os.Getenv("MAILPIT_IMAGE"),
		clientsImage: os.Getenv("CLIENTS_IMAGE"),
		kubeconfig:   os.Getenv("E2E_KUBECONFIG"),
		kubeContext:  os.Getenv("E2E_CONTEXT"),
		logs:         os.Getenv("E2E_LOGS"),

		passwordlessImage: os.Getenv("PASSWORDLESS_IMAGE"),
	}
	if c.mailpitImage == "" || c.clientsImage == "" || c.passwordlessImage == "" || c.logs == "" || c.kubeconfig == "" && c.kubeContext == "" {
		return c, errors.New("set MAILPIT_IMAGE, CLIENTS_IMAGE, PASSWORDLESS_IMAGE, E2E_LOGS and E2E_KUBECONFIG or E2E_CONTEXT, or run hack/e2e.sh, which does")
	}
	rules := clientcmd.NewDefaultClientConfigLoadingRules()
	rules.ExplicitPath = c.kubeconfig
	var err error
	c.config, err = clientcmd.NewNonInteractiveDeferredLoadingClientConfig(rules,
		&clientcmd.ConfigOverrides{CurrentContext: c.kubeContext}).ClientConfig()
	if err != nil {
		return c, fmt.Errorf("reading the kubeconfig: %w", err)
	}
	c.config.QPS, c.config.Burst = 100, 200
	scheme := runtime.NewScheme()
	if err := errors.Join(clientgoscheme.AddToScheme(scheme), cmv1.AddToScheme(scheme), v1alpha1.AddToScheme(scheme)); err != nil {
		return c, err
	}
	if c.Client, err = client.New(c.config, client.Options{Scheme: scheme}); err != nil {
		return c, fmt.Errorf("reaching the cluster: %w", err)
	}
	c.typed, err = kubernetes.NewForConfig(c.config)
	return c, err
}

// waitFor asks until done is true. done says what is missing, for the message of a failure.
func waitFor(t *testing.T, limit time.Duration, what string, done func(context.Context) (bool, string)) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	ticker := time.NewTicker(200 * time.Millisecond)
	defer ticker.Stop()
	missing := "nothing was seen"
	for {
		ok, now := done(ctx)
		if ok {
			return
		}
		// The last answer is the deadline's own error and tells nothing.
		if ctx.Err() == nil {
			missing = now
		}
		select {
		case <-ctx.Done():
			t.Fatalf("waited %s for: %s; last: %s", limit, what, missing)
		case <-ticker.C:
		}
	}
}
