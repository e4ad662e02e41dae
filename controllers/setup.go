package controllers

import (
	"context"
	"fmt"
	"time"

	cmv1 "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/discovery"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	ctrl "sigs.k8s.io/controller-runtime"

	"github.com/mailrelay-dev/mailrelay-operator/api/v1alpha1"
	"github.com/mailrelay-dev/mailrelay-operator/controllers/dkim"
	"github.com/mailrelay-dev/mailrelay-operator/controllers/operatorca"
	"github.com/mailrelay-dev/mailrelay-operator/controllers/poll"
	"github.com/mailrelay-dev/mailrelay-operator/controllers/tokenissuer"
)

// pollTimeout is how long a pod may take to tell its state.
const pollTimeout = 2 * time.Second

// How often the DNS is asked for the record of a DKIM key: while it is to be published, and when
// it was seen.
const (
	dnsSoon   = 20 * time.Second
	dnsSeldom = time.Hour
)

// NewScheme returns a scheme with all kinds that the operator reads and writes.
func NewScheme() (*runtime.Scheme, error) {
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{
		clientgoscheme.AddToScheme, v1alpha1.AddToScheme, cmv1.AddToScheme, apiextensionsv1.AddToScheme,
	} {
		if err := add(scheme); err != nil {
			return nil, fmt.Errorf("build the scheme: %w", err)
		}
	}
	return scheme, nil
}

// Setup adds both loops to a manager whose cache was made with CacheOptions.
func Setup(ctx context.Context, mgr ctrl.Manager, settings Settings) error {
	ca := &operatorca.Authority{
		Reader: mgr.GetAPIReader(), Writer: mgr.GetClient(), Namespace: settings.Namespace, Now: time.Now,
	}
	poller := &poll.Poller{Certificate: ca.ClientCertificate, Timeout: pollTimeout}
	dns := &dkim.Lookups{Resolver: dkim.NewResolver(settings.DNSServer), Soon: dnsSoon, Seldom: dnsSeldom}
	return setup(ctx, mgr, settings, ca, poller, dns)
}

func setup(ctx context.Context, mgr ctrl.Manager, settings Settings, ca OperatorCA, poller Poller, dns *dkim.Lookups) error {
	if err := AddIndexes(ctx, mgr.GetFieldIndexer()); err != nil {
		return fmt.Errorf("index the cache: %w", err)
	}
	board := NewBoard()
	recorder := mgr.GetEventRecorder("mailrelay-operator")
	api, err := discovery.NewDiscoveryClientForConfigAndClient(mgr.GetConfig(), mgr.GetHTTPClient())
	if err != nil {
		return fmt.Errorf("reach the API server's discovery: %w", err)
	}
	issuer := tokenissuer.New(api.RESTClient())
	certManager := &CertManager{Client: mgr.GetClient(), Cache: mgr.GetCache()}
	keys := &keyring{}
	relays := &MailRelayReconciler{
		Client: mgr.GetClient(), Live: mgr.GetAPIReader(), Events: recorder, Settings: settings,
		CA: ca, Poller: poller, Tokens: issuer, CertManager: certManager, Board: board, DNS: dns, Keys: keys, Now: time.Now,
	}
	users := &RelayUserReconciler{
		Client: mgr.GetClient(), Live: mgr.GetAPIReader(), Events: recorder, Board: board,
		CertManager: certManager, Keys: keys, Now: time.Now,
	}
	for _, part := range []interface{ SetupWithManager(ctrl.Manager) error }{relays, users} {
		if err := part.SetupWithManager(mgr); err != nil {
			return err
		}
	}
	issuer.Changed = relays.wakeAll
	if err := mgr.Add(issuer); err != nil {
		return fmt.Errorf("follow the issuer of service account tokens: %w", err)
	}
	return nil
}
