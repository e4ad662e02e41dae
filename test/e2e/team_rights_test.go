//go:build e2e

package e2e

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	authorizationv1 "k8s.io/api/authorization/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/mailrelay-dev/mailrelay-operator/api/v1alpha1"
)

const (
	reading = "get list watch"
	writing = "create delete deletecollection patch update"
)

// TestTeamsMayDoWhatTheirRolesSay asks the API server for each verb and resource what people
// with a role in the namespace may do there: exactly what is listed, and nothing next door.
func TestTeamsMayDoWhatTheirRolesSay(t *testing.T) {
	t.Parallel()
	s, nextDoor := newSite(t, "roles"), newSite(t, "next-door")
	resources := []string{
		"mailrelays.mailrelay.dev", "mailrelays/status.mailrelay.dev", "mailrelays/scale.mailrelay.dev", "mailrelays/finalizers.mailrelay.dev",
		"relayusers.mailrelay.dev", "relayusers/status.mailrelay.dev", "relayusers/scale.mailrelay.dev", "relayusers/finalizers.mailrelay.dev",
		"*.mailrelay.dev",
	}
	verbs := strings.Fields(reading + " " + writing + " bind escalate impersonate *")
	for name, role := range map[string]struct {
		roles []string
		may   map[string]string
	}{
		"nobody": {},
		"view": {[]string{"view"}, map[string]string{
			"mailrelays.mailrelay.dev": reading, "relayusers.mailrelay.dev": reading,
		}},
		"edit": {[]string{"edit"}, map[string]string{
			"mailrelays.mailrelay.dev": reading, "relayusers.mailrelay.dev": reading + " " + writing,
		}},
		"admin": {[]string{"admin"}, map[string]string{
			"mailrelays.mailrelay.dev": reading + " " + writing, "mailrelays/scale.mailrelay.dev": "get patch update",
			"relayusers.mailrelay.dev": reading + " " + writing,
		}},
		// What an app team needs, for those who do not hand out edit.
		"team": {[]string{"mailrelay-view", "mailrelay-relayuser-edit"}, map[string]string{
			"mailrelays.mailrelay.dev": reading, "relayusers.mailrelay.dev": reading + " " + writing,
		}},
		"binder": {[]string{"mailrelay-service-binding"}, map[string]string{"relayusers.mailrelay.dev": reading}},
	} {
		user := "e2e-" + name + "@" + s.namespace
		s.bind(t, user, role.roles...)
		if len(role.roles) > 0 {
			// The API server's authorizer sees the binding a little later.
			waitFor(t, 30*time.Second, user+" to have its role", func(context.Context) (bool, string) {
				return s.may(t, user, s.namespace, "get", "relayusers.mailrelay.dev"), "not yet"
			})
		}
		for _, resource := range resources {
			for _, verb := range verbs {
				want := slices.Contains(strings.Fields(role.may[resource]), verb)
				if got := s.may(t, user, s.namespace, verb, resource); got != want {
					t.Errorf("%s may %s %s: %v, want %v", name, verb, resource, got, want)
				}
				if s.may(t, user, nextDoor.namespace, verb, resource) {
					t.Errorf("%s may %s %s in a namespace where nobody gave it a role", name, verb, resource)
				}
			}
		}
	}
	s.mustReachNoSecrets(t)
}

// mustReachNoSecrets checks that our roles give nobody what the cluster's own do not: the
// provider's key, and the Secrets and pods of others.
func (s *site) mustReachNoSecrets(t *testing.T) {
	t.Helper()
	for _, name := range []string{"view", "team", "binder"} {
		for _, resource := range []string{"secrets", "pods/exec", "pods/proxy", "serviceaccounts/token", "rolebindings.rbac.authorization.k8s.io"} {
			for _, verb := range strings.Fields("get list watch create update patch delete") {
				if strings.HasPrefix(resource, "secrets") || verb == "create" || verb == "patch" {
					if s.may(t, "e2e-"+name+"@"+s.namespace, s.namespace, verb, resource) {
						t.Errorf("%s may %s %s", name, verb, resource)
					}
				}
			}
		}
	}
}

// A team with rights on RelayUsers alone gets credentials, and can neither see nor make more.
func TestTeamHelpsItselfToARelayUser(t *testing.T) {
	t.Parallel()
	s := newSite(t, "self-service")
	user := "e2e-team@" + s.namespace
	s.bind(t, user, "mailrelay-view", "mailrelay-relayuser-edit")
	team, err := client.New(impersonating(s.config, user), client.Options{Scheme: s.Scheme()})
	if err != nil {
		t.Fatal(err)
	}
	app := &v1alpha1.RelayUser{ObjectMeta: metav1.ObjectMeta{Namespace: s.namespace, Name: "app"}}
	app.Spec.RelayRef = v1alpha1.RelayReference{Name: "mail", Namespace: "elsewhere"}
	if err := team.Create(t.Context(), app); err != nil {
		t.Fatalf("a team makes a RelayUser: %v", err)
	}
	waitFor(t, readyLimit, "the team to see what became of it", func(ctx context.Context) (bool, string) {
		err := team.Get(ctx, client.ObjectKeyFromObject(app), app)
		return err == nil && len(app.Status.Conditions) > 0, fmt.Sprint(err)
	})
	app.Status.Senders = []string{"*"}
	if err := team.Status().Update(t.Context(), app); !apierrors.IsForbidden(err) {
		t.Errorf("a team writes the status of its RelayUser: %v", err)
	}
	if err := team.Create(t.Context(), &v1alpha1.MailRelay{ObjectMeta: metav1.ObjectMeta{Namespace: s.namespace, Name: "own"}}); !apierrors.IsForbidden(err) {
		t.Errorf("a team makes a MailRelay: %v", err)
	}
}

// bind gives a user cluster roles in the namespace.
func (s *site) bind(t *testing.T, user string, roles ...string) {
	t.Helper()
	for _, role := range roles {
		s.create(t, &rbacv1.RoleBinding{
			ObjectMeta: metav1.ObjectMeta{GenerateName: "e2e-"},
			RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: role},
			Subjects:   []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: "User", Name: user}},
		})
	}
}

// may asks whether a user may do something to a resource, which is as "mailrelays/scale.mailrelay.dev".
func (s *site) may(t *testing.T, user, namespace, verb, resource string) bool {
	t.Helper()
	resource, group, _ := strings.Cut(resource, ".")
	resource, subresource, _ := strings.Cut(resource, "/")
	review, err := s.typed.AuthorizationV1().SubjectAccessReviews().Create(t.Context(), &authorizationv1.SubjectAccessReview{
		Spec: authorizationv1.SubjectAccessReviewSpec{User: user, Groups: []string{"system:authenticated"}, ResourceAttributes: &authorizationv1.ResourceAttributes{
			Namespace: namespace, Verb: verb, Group: group, Resource: resource, Subresource: subresource,
		}},
	}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return review.Status.Allowed
}

func impersonating(config *rest.Config, user string) *rest.Config {
	config = rest.CopyConfig(config)
	config.Impersonate = rest.ImpersonationConfig{UserName: user, Groups: []string{"system:authenticated"}}
	return config
}
