// Package layout says where a cluster keeps its files and which addresses,
// names and versions it uses.
package layout

import (
	"fmt"
	"os"
	"path/filepath"
)

// Environment variables that stand in for the flags --dir and --cache.
const (
	DirVariable   = "MAILRELAY_CLUSTER_DIR"
	CacheVariable = "MAILRELAY_CLUSTER_CACHE"
)

const defaultDir = "/var/lib/mailrelay-cluster"

// maxDir leaves room for the directory of the shims' sockets, of which
// containerd demands that its path has at most 42 bytes.
const maxDir = 42 - len("/shim")

// Layout is the place of one cluster on this machine.
type Layout struct {
	// Dir holds everything that goes away with the cluster.
	Dir string
	// Cache holds what was built and outlives the cluster.
	Cache string
}

// New resolves the two directories. An empty argument means the environment
// variable, then the default.
func New(dir, cache string) (Layout, error) {
	dir, err := filepath.Abs(first(dir, os.Getenv(DirVariable), defaultDir))
	if err != nil {
		return Layout{}, fmt.Errorf("resolve --dir: %w", err)
	}
	if len(dir) > maxDir {
		return Layout{}, fmt.Errorf("--dir %s is longer than %d bytes; choose a shorter one, unix sockets live below it", dir, maxDir)
	}
	cache = first(cache, os.Getenv(CacheVariable))
	if cache == "" {
		base, err := os.UserCacheDir()
		if err != nil {
			return Layout{}, fmt.Errorf("find the cache directory: %w; set --cache or %s", err, CacheVariable)
		}
		cache = filepath.Join(base, "mailrelay-cluster")
	}
	cache, err = filepath.Abs(cache)
	if err != nil {
		return Layout{}, fmt.Errorf("resolve --cache: %w", err)
	}
	return Layout{Dir: dir, Cache: cache}, nil
}

func first(values ...string) string {
	for _, v := range values {
		if v != "" {
			return v
		}
	}
	return ""
}

// Path joins the elements below the cluster's directory.
func (l Layout) Path(elements ...string) string {
	return filepath.Join(append([]string{l.Dir}, elements...)...)
}

// Bin is the directory of the built binaries.
func (l Layout) Bin() string { return filepath.Join(l.Cache, "bin") }

// Binary is the path of one built binary.
func (l Layout) Binary(name string) string { return filepath.Join(l.Bin(), name) }

// Images is the directory of the built image archives.
func (l Layout) Images() string { return filepath.Join(l.Cache, "images") }

// Manifests is the directory of manifests taken from other modules.
func (l Layout) Manifests() string { return filepath.Join(l.Cache, "manifests") }

// PKI is the path of a key, a certificate or an authority.
func (l Layout) PKI(name string) string { return l.Path("pki", name) }

// Kubeconfig is the administrator's kubeconfig.
func (l Layout) Kubeconfig() string { return l.Path("kubeconfig") }

// ComponentKubeconfig is the kubeconfig of one component.
func (l Layout) ComponentKubeconfig(name string) string {
	return l.Path("kubeconfigs", name)
}

// Log is the file that a component's output goes to.
func (l Layout) Log(name string) string { return l.Path("logs", name+".log") }

// Marker says that the directory belongs to a cluster: without it, nothing in
// the directory is ever removed.
func (l Layout) Marker() string { return l.Path("cluster") }

// NetworkNamespace is the file that the node's network namespace is bound to.
func (l Layout) NetworkNamespace() string { return l.Path("netns") }

// ContainerdSocket is where containerd listens.
func (l Layout) ContainerdSocket() string { return l.Path("containerd", "containerd.sock") }
