package component

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"

	"github.com/mailrelay-dev/mailrelay-operator/hack/cluster/layout"
)

var place = layout.Layout{Dir: "/srv/c", Cache: "/srv/cache"}

func all(l layout.Layout) []Component {
	return []Component{
		Etcd(l), APIServer(l), ControllerManager(l), Scheduler(l), Containerd(l), Kubelet(l), Proxy(l),
		NetworkPolicy(l), Provisioner(l), CertManager(l),
	}
}

func TestEveryTemplateRenders(t *testing.T) {
	t.Parallel()
	for _, tmpl := range templates.Templates() {
		text, err := Render(place, tmpl.Name())
		if err != nil {
			t.Error(err)
			continue
		}
		if strings.Contains(string(text), "<no value>") || strings.Contains(string(text), "{{") {
			t.Errorf("%s is not filled in:\n%s", tmpl.Name(), text)
		}
	}
}

func TestYAMLAndJSONAreWellFormed(t *testing.T) {
	t.Parallel()
	for _, tmpl := range templates.Templates() {
		text, err := Render(place, tmpl.Name())
		if err != nil {
			t.Fatal(err)
		}
		switch filepath.Ext(tmpl.Name()) {
		case ".yaml":
			for document := range strings.SplitSeq(string(text), "\n---\n") {
				var object map[string]any
				if err := yaml.UnmarshalStrict([]byte(document), &object); err != nil {
					t.Errorf("%s: %v", tmpl.Name(), err)
				}
				if object["kind"] == nil {
					t.Errorf("%s holds a document without a kind", tmpl.Name())
				}
			}
		case ".conflist":
			if !json.Valid(text) {
				t.Errorf("%s is no JSON:\n%s", tmpl.Name(), text)
			}
		}
	}
}

func TestPathsLeadToTheClusterOrItsCache(t *testing.T) {
	t.Parallel()
	allowed := []string{"/srv/c", "/srv/cache", "/usr/lib/cni"}
	for _, part := range all(place) {
		for path := range part.Files {
			if !strings.HasPrefix(path, "/srv/c/") {
				t.Errorf("%s is configured by %s, outside of the cluster's directory", part.Name, path)
			}
		}
		for _, argument := range part.Command {
			_, value, _ := strings.Cut(argument, "=")
			if strings.HasPrefix(value, "/") && !hasPrefix(value, allowed) {
				t.Errorf("%s uses %s", part.Name, argument)
			}
		}
	}
}

func hasPrefix(path string, prefixes []string) bool {
	for _, prefix := range prefixes {
		if path == prefix || strings.HasPrefix(path, prefix+"/") {
			return true
		}
	}
	return false
}

func TestNamesAreUnique(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for _, part := range all(place) {
		if part.Name == "" || seen[part.Name] {
			t.Errorf("name %q is empty or used twice", part.Name)
		}
		seen[part.Name] = true
	}
}

func TestConfigureWritesTheFiles(t *testing.T) {
	t.Parallel()
	l := layout.Layout{Dir: t.TempDir(), Cache: "/srv/cache"}
	if err := Containerd(l).Configure(l); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(l.Path("containerd", "config.toml"))
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"restrict_oom_score_adj = true",
		"SystemdCgroup = false",
		`socket_dir = "` + l.Dir + `/shim"`,
		`BinaryName = "/srv/cache/bin/runc"`,
	} {
		if !strings.Contains(string(text), want) {
			t.Errorf("containerd's configuration lacks %s", want)
		}
	}
}

func TestPodsAreConnectedWithoutABridge(t *testing.T) {
	t.Parallel()
	text, err := Render(place, "cni.conflist")
	if err != nil {
		t.Fatal(err)
	}
	// On a bridge, packets between pods would pass below the NetworkPolicies.
	if !strings.Contains(string(text), `"ptp"`) || strings.Contains(string(text), `"bridge"`) {
		t.Errorf("unexpected plugins:\n%s", text)
	}
}
