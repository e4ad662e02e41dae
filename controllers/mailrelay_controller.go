package controllers

import (
	"context"
	"errors"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/client-go/tools/events"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/event"

	"github.com/mailrelay-dev/mailrelay-operator/api/v1alpha1"
	"github.com/mailrelay-dev/mailrelay-operator/controllers/dkim"
)

// MailRelayReconciler makes MailRelays what their specs say.
type MailRelayReconciler struct {
	Client client.Client
	// Live reads from the API server, past the cache.
	Live     client.Reader
	Events   events.EventRecorder
	Settings Settings
	// CA of the operator, which relays know it by.
	CA OperatorCA
	// Poller asks the relay pods for their state.
	Poller Poller
	// Tokens knows the keys that relays verify service account tokens with.
	Tokens TokenIssuer
	// CertManager knows whether the kinds of cert-manager are there.
	CertManager *CertManager
	// Board tells the RelayUser loop what the relays have loaded.
	Board *Board
	// DNS shows which DKIM keys are published.
	DNS *dkim.Lookups
	// Keys are those of client certificates that the relays' loop has not seen in their Secrets yet.
	Keys *keyring
	Now  func() time.Time

	memories memories
	// wake takes relays that shall look again.
	wake chan event.GenericEvent
	pace pace
}

// step is one part of a pass over a MailRelay. Steps run in order, and an error of one does
// not keep the others from their work. A step that lacks what an earlier one could not give
// does nothing: the event or the repetition that cures the earlier one cures it too.
type step struct {
	run func(context.Context, *scope) error
	// tells are the conditions that nothing can be said of when the step fails.
	tells []string
}

func do(run func(context.Context, *scope) error, conditions ...string) step {
	return step{run, conditions}
}

func (r *MailRelayReconciler) steps(s *scope) []step {
	switch {
	case s.deleting():
		return r.deletionSteps(s)
	case s.relay.Spec.Paused:
		return r.observingSteps()
	default:
		return append([]step{do(r.holdFinalizer), do(r.applyService)}, r.serviceSteps()...)
	}
}

// serviceSteps keep a relay working; also one that is being deleted and still has mail.
func (r *MailRelayReconciler) serviceSteps() []step {
	const (
		certificate, workload, upstream = v1alpha1.ConditionCertificateReady, v1alpha1.ConditionWorkloadAvailable, v1alpha1.ConditionUpstreamReady
		queue, network, senders         = v1alpha1.ConditionQueueHealthy, v1alpha1.ConditionNetworkRestricted, v1alpha1.ConditionSendersRestricted
		published                       = v1alpha1.ConditionDKIMPublished
	)
	return []step{
		do(r.applyIdentity), // ServiceAccount, headless Service, disruption budget
		// Generations of the internal CA, without which no pod can be asked.
		do(r.readTrust, certificate, workload, upstream, queue),
		do(r.applyCertificates, certificate),           // what cert-manager is asked for
		do(r.readExternal, certificate),                // what it has given
		do(r.applyDKIM, published, upstream, workload), // the DKIM keys that the operator makes
		do(r.applyUpstreams, upstream, workload),       // credentials and CAs of the upstreams
		do(r.applyConfig),                              // relay.yaml
		do(r.applyUsers, senders),                      // verifiers of those who may log in
		do(r.removeRequests),                           // for client certificates that are done
		do(r.applyNetworkPolicy, network),              // what may connect where
		do(r.applyWorkload, workload),                  // the pods, once they can mount the above
		do(r.applyDefaultUser),                         // the RelayUser that comes with a relay
		do(r.observePods, workload, upstream, queue),   // what the pods say of themselves
		do(r.nudgePods),                                // what they have not loaded yet
		do(r.applyTrust, certificate),                  // what apps trust, and what goes
		do(r.publish),                                  // what RelayUsers wait for
	}
}

// Reconcile is one pass over a MailRelay.
func (r *MailRelayReconciler) Reconcile(ctx context.Context, request ctrl.Request) (result ctrl.Result, err error) {
	relay := &v1alpha1.MailRelay{}
	if err := r.Client.Get(ctx, request.NamespacedName, relay); err != nil {
		if apierrors.IsNotFound(err) {
			r.forget(request.NamespacedName)
		}
		return ctrl.Result{}, client.IgnoreNotFound(err)
	}
	namespace, err := namespaceMetadata(ctx, r.Client, relay.Namespace)
	if err != nil || r.tooEarly(relay, namespace) {
		return next(jitter(pollInterval), err)
	}
	s := newScope(relay, r.memories.of(request.NamespacedName, relay.UID), r.Now())
	s.namespaceEnds = ends(namespace)
	defer func() {
		err = errors.Join(err, r.summarise(ctx, s, err))
		r.pace.ask(request, s.requeueAfter)
		result, err = next(s.requeueAfter, err)
	}()
	return ctrl.Result{}, s.perform(ctx, r.steps(s))
}
