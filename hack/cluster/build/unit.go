// Package build makes the programs, images and manifests of a cluster out of
// the versions that this module pins, and keeps them in a cache.
package build

import "path"

// Unit is one program.
type Unit struct {
	// Binary is the name of the built file.
	Binary string
	// Package is its import path; one that begins with "./" is of this module.
	Package string
	// C says that the program holds C code and is linked to the machine's own
	// libraries.
	C bool
}

const kubernetes = "k8s.io/kubernetes/cmd/"

// Assets are the programs that tests against an API server need.
var Assets = []Unit{
	{Binary: "kube-apiserver", Package: kubernetes + "kube-apiserver"},
	{Binary: "etcd", Package: "go.etcd.io/etcd/server/v3"},
	{Binary: "kubectl", Package: kubernetes + "kubectl"},
}

// Node are all programs of a node and of what runs on it.
var Node = append(Assets[:len(Assets):len(Assets)],
	Unit{Binary: "kube-controller-manager", Package: kubernetes + "kube-controller-manager"},
	Unit{Binary: "kube-scheduler", Package: kubernetes + "kube-scheduler"},
	Unit{Binary: "kubelet", Package: kubernetes + "kubelet"},
	Unit{Binary: "kube-proxy", Package: kubernetes + "kube-proxy"},
	Unit{Binary: "containerd", Package: "github.com/containerd/containerd/v2/cmd/containerd"},
	Unit{Binary: "containerd-shim-runc-v2", Package: "github.com/containerd/containerd/v2/cmd/containerd-shim-runc-v2"},
	Unit{Binary: "ctr", Package: "github.com/containerd/containerd/v2/cmd/ctr"},
	Unit{Binary: "runc", Package: "github.com/opencontainers/runc", C: true},
	Unit{Binary: "coredns", Package: "./coredns"},
	Unit{Binary: "certmanager", Package: "./certmanager"},
	Unit{Binary: "netpol", Package: "./netpol"},
	Unit{Binary: "provisioner", Package: "./provisioner"},
	Unit{Binary: "pause", Package: "./pause"},
)

// tags leave out what needs C libraries that a test node has no use for, and
// put in runc's system call filter.
const tags = "no_btrfs,no_devmapper,no_zfs,seccomp"

// linkedName is what "go build" calls the file: the last element of the import
// path that is not a major version.
func (u Unit) linkedName() string {
	name := path.Base(u.Package)
	if len(name) > 1 && name[0] == 'v' && name[1] >= '0' && name[1] <= '9' {
		name = path.Base(path.Dir(u.Package))
	}
	return name
}
