package controllers

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/yaml"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// operatorUser is whom the operator of the tests logs in as.
const operatorUser = "operator"

// readRole reads the role that the operator is installed with.
func readRole() (*rbacv1.ClusterRole, error) {
	content, err := os.ReadFile(filepath.Join("..", "config", "rbac", "role.yaml"))
	if err != nil {
		return nil, err
	}
	role := &rbacv1.ClusterRole{}
	if err := yaml.UnmarshalStrict(content, role); err != nil {
		return nil, fmt.Errorf("role of the operator: %w", err)
	}
	return role, nil
}

// bindRole gives the operator's user its role.
func bindRole(ctx context.Context, c client.Client) error {
	role, err := readRole()
	if err != nil {
		return err
	}
	if err := c.Create(ctx, role); err != nil {
		return err
	}
	return c.Create(ctx, &rbacv1.ClusterRoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: role.Name},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: role.Name},
		Subjects:   []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: rbacv1.UserKind, Name: operatorUser}},
	})
}

// Rights that make their holder a way to more rights, but for those that the operator cannot do
// without and that the chart's admission policies bound. What those policies refuse is tested
// on a cluster, in test/e2e.
func TestRoleGivesNoUnboundedWayToMoreRights(t *testing.T) {
	t.Parallel()
	policies, err := os.ReadFile(filepath.Join("..", "charts", "mailrelay-operator", "templates", "admission-policy.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	bounded := regexp.MustCompile(`resources: \[(.+)\]`).FindAllSubmatch(policies, -1)
	role, err := readRole()
	if err != nil {
		t.Fatal(err)
	}
	if len(role.Rules) < 5 {
		t.Fatalf("the role has %d rules; it was not read", len(role.Rules))
	}
	for i := range role.Rules {
		for _, problem := range tooPowerful(&role.Rules[i]) {
			t.Errorf("%+v: %s", role.Rules[i], problem)
		}
		for _, resource := range waysToMore(&role.Rules[i]) {
			if !slices.ContainsFunc(bounded, func(list [][]byte) bool { return slices.Contains(strings.Split(string(list[1]), ", "), resource) }) {
				t.Errorf("%+v: no admission policy bounds how it writes %s", role.Rules[i], resource)
			}
		}
	}
}

// waysToMore are the resources that a rule writes and that a token, a pod with one or a
// certificate comes of, or that others are configured with.
func waysToMore(rule *rbacv1.PolicyRule) (resources []string) {
	if !writes(rule) {
		return nil
	}
	for _, resource := range rule.Resources {
		switch resource {
		case "secrets", "pods/status", "statefulsets", "deployments", "daemonsets", "replicasets", "jobs", "cronjobs",
			"replicationcontrollers", "podtemplates", "configmaps", "certificaterequests", "certificates", "issuers":
			resources = append(resources, resource)
		}
	}
	return resources
}

func writes(rule *rbacv1.PolicyRule) bool {
	return slices.ContainsFunc(rule.Verbs, func(verb string) bool { return !slices.Contains([]string{"get", "list", "watch"}, verb) })
}

func tooPowerful(rule *rbacv1.PolicyRule) (problems []string) {
	for _, list := range [][]string{rule.APIGroups, rule.Resources, rule.Verbs, rule.NonResourceURLs} {
		for _, item := range list {
			if strings.Contains(item, "*") {
				problems = append(problems, "a wildcard")
			}
		}
	}
	for _, verb := range []string{"escalate", "bind", "impersonate", "deletecollection"} {
		if slices.Contains(rule.Verbs, verb) {
			problems = append(problems, "verb "+verb)
		}
	}
	for _, path := range rule.NonResourceURLs {
		if !slices.Contains([]string{"/.well-known/openid-configuration", "/openid/v1/jwks"}, path) || writes(rule) {
			problems = append(problems, "more of the API server than its issuer: "+path)
		}
	}
	for _, resource := range rule.Resources {
		_, sub, _ := strings.Cut(resource, "/")
		if slices.Contains([]string{"exec", "attach", "portforward", "proxy", "ephemeralcontainers", "token"}, sub) {
			problems = append(problems, "a way into pods: "+resource)
		}
		if writes(rule) && (resource == "pods" || slices.Contains(rule.APIGroups, rbacv1.GroupName)) {
			problems = append(problems, "writes "+resource)
		}
	}
	return problems
}

func TestWaysToMore(t *testing.T) {
	t.Parallel()
	rule := rbacv1.PolicyRule{Resources: []string{"services", "secrets", "statefulsets"}, Verbs: []string{"get", "create"}}
	if got := waysToMore(&rule); !slices.Equal(got, []string{"secrets", "statefulsets"}) {
		t.Errorf("ways are %q", got)
	}
	rule.Verbs = []string{"get", "list", "watch"}
	if got := waysToMore(&rule); got != nil {
		t.Errorf("reading is a way by %q", got)
	}
}

func TestTooPowerful(t *testing.T) {
	t.Parallel()
	for _, rule := range []rbacv1.PolicyRule{
		{APIGroups: []string{""}, Resources: []string{"*"}, Verbs: []string{"get"}},
		{APIGroups: []string{""}, Resources: []string{"secrets"}, Verbs: []string{"*"}},
		{APIGroups: []string{""}, Resources: []string{"pods/exec"}, Verbs: []string{"create"}},
		{APIGroups: []string{""}, Resources: []string{"pods"}, Verbs: []string{"get", "create"}},
		{NonResourceURLs: []string{"/metrics"}, Verbs: []string{"get"}},
		{NonResourceURLs: []string{"/openid/v1/jwks"}, Verbs: []string{"post"}},
		{APIGroups: []string{rbacv1.GroupName}, Resources: []string{"clusterroles"}, Verbs: []string{"escalate"}},
		{APIGroups: []string{rbacv1.GroupName}, Resources: []string{"rolebindings"}, Verbs: []string{"create"}},
	} {
		if len(tooPowerful(&rule)) == 0 {
			t.Errorf("%+v passes", rule)
		}
	}
}
