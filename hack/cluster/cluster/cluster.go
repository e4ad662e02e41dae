// Package cluster brings a one-node Kubernetes up and down, and tells how it is.
package cluster

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"time"

	"github.com/mailrelay-dev/mailrelay-operator/hack/cluster/build"
	"github.com/mailrelay-dev/mailrelay-operator/hack/cluster/component"
	"github.com/mailrelay-dev/mailrelay-operator/hack/cluster/host"
	"github.com/mailrelay-dev/mailrelay-operator/hack/cluster/layout"
	"github.com/mailrelay-dev/mailrelay-operator/hack/cluster/process"
)

// Cluster is the one cluster that a layout describes, running or not.
type Cluster struct {
	layout.Layout
	out       io.Writer
	started   time.Time
	records   process.Records
	cgroups   host.Cgroups
	sysctls   host.Sysctls
	footprint host.Footprint
}

// New describes a cluster; it touches nothing. Progress is written to out.
func New(l layout.Layout, out io.Writer) *Cluster {
	return &Cluster{
		Layout:    l,
		out:       out,
		started:   time.Now(),
		records:   process.Records{Dir: l.Path("processes")},
		cgroups:   host.Cgroups{Name: layout.Cgroup},
		sysctls:   host.Sysctls{File: l.Path("sysctls.json")},
		footprint: host.Footprint{File: l.Path("footprint.json")},
	}
}

// components lists all of the cluster in the order in which they start. Those
// after the API server need it.
func (c *Cluster) components() []component.Component {
	return []component.Component{
		component.Etcd(c.Layout),
		component.APIServer(c.Layout),
		component.Containerd(c.Layout),
		component.ControllerManager(c.Layout),
		component.Scheduler(c.Layout),
		component.Kubelet(c.Layout),
		component.Proxy(c.Layout),
		component.NetworkPolicy(c.Layout),
		component.Provisioner(c.Layout),
		component.CertManager(c.Layout),
	}
}

// Say prints a line of progress with the seconds since the command began.
func (c *Cluster) Say(format string, args ...any) {
	fmt.Fprintf(c.out, "%6.1fs  %s\n", time.Since(c.started).Seconds(), fmt.Sprintf(format, args...))
}

// builder builds from the module around the current directory.
func (c *Cluster) builder(ctx context.Context) (build.Builder, error) {
	module, err := build.FindModule(ctx)
	if err != nil {
		return build.Builder{}, err
	}
	return build.Builder{Module: module, Layout: c.Layout, Say: c.Say}, nil
}

// claim makes sure that this machine's one node may be this cluster's and that
// the directory is empty or its own.
func (c *Cluster) claim() error {
	if err := c.refuseOthers(); err != nil {
		return err
	}
	if err := os.MkdirAll(c.Dir, 0o755); err != nil {
		return fmt.Errorf("make the cluster's directory: %w", err)
	}
	if c.isMarked() {
		return nil
	}
	entries, err := os.ReadDir(c.Dir)
	if err != nil {
		return fmt.Errorf("read the cluster's directory: %w", err)
	}
	if len(entries) > 0 {
		return fmt.Errorf("%s is neither empty nor a cluster's; choose another --dir", c.Dir)
	}
	if err := os.WriteFile(c.Marker(), []byte("The state of a test cluster. Remove it by the command that made it: down\n"), 0o644); err != nil {
		return fmt.Errorf("mark the cluster's directory: %w", err)
	}
	return nil
}

// refuseOthers fails when another cluster has taken the node's addresses.
func (c *Cluster) refuseOthers() error {
	owner, err := host.NetworkOwner()
	if err != nil {
		return err
	}
	if owner != "" && owner != c.Dir {
		return fmt.Errorf("this machine already runs the cluster of %s; take that one down first: down --dir %s", owner, owner)
	}
	return nil
}

func (c *Cluster) isMarked() bool {
	_, err := os.Stat(c.Marker())
	return !errors.Is(err, fs.ErrNotExist)
}
