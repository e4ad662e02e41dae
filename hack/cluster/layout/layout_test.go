package layout

import (
	"net/netip"
	"path/filepath"
	"strings"
	"testing"
)

func TestNewPrefersFlagThenEnvironmentThenDefault(t *testing.T) {
	tests := []struct {
		name, flag, env, want string
	}{
		{"flag", "/srv/a", "/srv/b", "/srv/a"},
		{"environment", "", "/srv/b", "/srv/b"},
		{"default", "", "", defaultDir},
		{"cleaned", "/srv/a/../c", "", "/srv/c"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Setenv(DirVariable, tt.env)
			l, err := New(tt.flag, "/cache")
			if err != nil {
				t.Fatal(err)
			}
			if l.Dir != tt.want {
				t.Errorf("Dir = %q, want %q", l.Dir, tt.want)
			}
		})
	}
}

func TestNewMakesPathsAbsolute(t *testing.T) {
	t.Setenv(CacheVariable, "")
	t.Chdir("/tmp")
	l, err := New("a", "b")
	if err != nil {
		t.Fatal(err)
	}
	if l.Dir != "/tmp/a" || l.Cache != "/tmp/b" {
		t.Errorf("got %+v", l)
	}
}

func TestNewTakesTheUsersCacheDirectory(t *testing.T) {
	t.Setenv(CacheVariable, "")
	t.Setenv("XDG_CACHE_HOME", "/xdg")
	l, err := New("", "")
	if err != nil {
		t.Fatal(err)
	}
	if l.Cache != "/xdg/mailrelay-cluster" {
		t.Errorf("Cache = %q", l.Cache)
	}
}

func TestNewRefusesADirectoryTooLongForSockets(t *testing.T) {
	_, err := New("/"+strings.Repeat("d", maxDir), "/cache")
	if err == nil || !strings.Contains(err.Error(), "shorter") {
		t.Errorf("error = %v, want advice to choose a shorter directory", err)
	}
}

func TestClusterFilesStayBelowDir(t *testing.T) {
	t.Parallel()
	l := Layout{Dir: "/d", Cache: "/c"}
	for _, path := range []string{
		l.Path("x", "y"), l.PKI("ca.crt"), l.Kubeconfig(), l.ComponentKubeconfig("x"),
		l.Log("x"), l.Marker(), l.NetworkNamespace(), l.ContainerdSocket(),
	} {
		if rel, err := filepath.Rel("/d", path); err != nil || strings.HasPrefix(rel, "..") {
			t.Errorf("%s is not below the cluster's directory", path)
		}
	}
	for _, path := range []string{l.Bin(), l.Binary("x"), l.Images(), l.Manifests()} {
		if !strings.HasPrefix(path, "/c/") {
			t.Errorf("%s is not below the cache", path)
		}
	}
}

func TestAddressesBelongToTheBenchmarkRange(t *testing.T) {
	t.Parallel()
	reserved := netip.MustParsePrefix("198.18.0.0/15")
	for _, ip := range []string{HostIP, NodeIP, APIService, DNSService} {
		if !reserved.Contains(netip.MustParseAddr(ip)) {
			t.Errorf("%s is outside %s", ip, reserved)
		}
	}
	pods, services := netip.MustParsePrefix(PodRange), netip.MustParsePrefix(ServiceIPs)
	link := netip.MustParsePrefix(HostIP + LinkPrefix)
	if pods.Overlaps(services) || pods.Overlaps(link) || services.Overlaps(link) {
		t.Error("the ranges of link, pods and Services overlap")
	}
	if !pods.Overlaps(netip.MustParsePrefix(NodePods)) {
		t.Error("the node's pods are outside the range of pods")
	}
	if !services.Contains(netip.MustParseAddr(APIService)) || !services.Contains(netip.MustParseAddr(DNSService)) {
		t.Error("a Service address is outside the range of Services")
	}
}
