package cluster

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/mailrelay-dev/mailrelay-operator/hack/cluster/build"
	"github.com/mailrelay-dev/mailrelay-operator/hack/cluster/component"
	"github.com/mailrelay-dev/mailrelay-operator/hack/cluster/host"
	"github.com/mailrelay-dev/mailrelay-operator/hack/cluster/process"
)

// UpOptions choose what runs on the cluster.
type UpOptions struct {
	// CertManager says whether cert-manager is installed.
	CertManager bool
}

// Up makes the cluster run. One that is well is left alone; anything else that
// an earlier run has left is removed first.
func (c *Cluster) Up(ctx context.Context, options UpOptions) error {
	if err := c.claim(); err != nil {
		return err
	}
	builder, err := c.prepare(ctx)
	if err != nil {
		return err
	}
	fingerprint, err := builder.Fingerprint(build.Node)
	if err != nil {
		return err
	}
	if reason := c.outdated(ctx, fingerprint); reason != nil {
		if err := c.replace(ctx, builder, reason); err != nil {
			return err
		}
		if err := os.WriteFile(c.fingerprintFile(), []byte(fingerprint), 0o644); err != nil {
			return fmt.Errorf("remember what was built: %w", err)
		}
	} else {
		c.Say("the cluster is already up")
	}
	if options.CertManager {
		if err := c.startCertManager(ctx, builder); err != nil {
			return err
		}
	}
	c.Say("ready: export KUBECONFIG=%s", c.Kubeconfig())
	return nil
}

// prepare installs and builds what the node is made of.
func (c *Cluster) prepare(ctx context.Context) (build.Builder, error) {
	installed, err := host.InstallPackages(ctx)
	if err != nil {
		return build.Builder{}, err
	}
	if len(installed) > 0 {
		c.Say("installed %s", strings.Join(installed, ", "))
	}
	builder, err := c.builder(ctx)
	if err != nil {
		return build.Builder{}, err
	}
	if err := builder.Binaries(ctx, build.Node); err != nil {
		return build.Builder{}, err
	}
	if err := builder.Images(ctx); err != nil {
		return build.Builder{}, err
	}
	return builder, builder.CertManagerManifest(ctx)
}

// replace removes what an earlier run has left and starts the node anew.
func (c *Cluster) replace(ctx context.Context, builder build.Builder, reason error) error {
	if _, err := os.Stat(c.records.Dir); err == nil {
		c.Say("starting over: %v", reason)
	}
	if err := c.remove(ctx); err != nil {
		return err
	}
	if err := c.claim(); err != nil {
		return err
	}
	if err := c.furnish(ctx); err != nil {
		return err
	}
	if err := c.startControlPlane(ctx, builder); err != nil {
		return err
	}
	return c.startNode(ctx)
}

// furnish makes everything on the machine that processes need.
func (c *Cluster) furnish(ctx context.Context) error {
	if err := c.writeIdentities(); err != nil {
		return err
	}
	if err := c.sysctls.Save(); err != nil {
		return err
	}
	if err := c.footprint.Save(host.Fixed); err != nil {
		return err
	}
	if c.cgroups.Unified() {
		c.Say("this machine has version 2 of control groups, with which this is less tried")
	}
	if err := c.cgroups.Create(); err != nil {
		return err
	}
	for _, dir := range []string{"shim", "volumes"} {
		if err := os.MkdirAll(c.Path(dir), 0o711); err != nil {
			return fmt.Errorf("make a directory: %w", err)
		}
	}
	return host.CreateNetwork(ctx, c.NetworkNamespace(), c.Dir)
}

// startControlPlane starts the API and containerd, and loads images while the
// API server does its first work.
func (c *Cluster) startControlPlane(ctx context.Context, builder build.Builder) error {
	c.Say("starting the control plane")
	api := component.APIServer(c.Layout)
	for _, part := range []component.Component{component.Etcd(c.Layout), component.Containerd(c.Layout), api} {
		if err := c.start(part); err != nil {
			return err
		}
	}
	loaded := make(chan error, 1)
	go func() {
		archives := []string{builder.Archive(build.PauseImage), builder.Archive(build.DNSImage)}
		loaded <- eventually(ctx, "images loaded", func(ctx context.Context) error { return c.Load(ctx, archives...) })
	}()
	ready := eventually(ctx, "API server ready", func(ctx context.Context) error { return c.healthy(ctx, api) })
	if err := <-loaded; err != nil {
		return err
	}
	return ready
}

// startNode starts everything that needs the API and waits until all is well.
func (c *Cluster) startNode(ctx context.Context) error {
	c.Say("starting the node")
	base := []string{component.EtcdName, component.APIServerName, "containerd", component.CertManagerName}
	var parts []component.Component
	for _, part := range c.components() {
		if !slices.Contains(base, part.Name) {
			parts = append(parts, part)
		}
	}
	for _, part := range parts {
		if err := c.start(part); err != nil {
			return err
		}
	}
	for _, manifest := range []string{"addons.yaml", "coredns.yaml"} {
		text, err := component.Render(c.Layout, manifest)
		if err != nil {
			return err
		}
		if err := c.apply(ctx, text); err != nil {
			return err
		}
	}
	for _, part := range parts {
		err := eventually(ctx, part.Name+" well", func(ctx context.Context) error { return c.healthy(ctx, part) })
		if err != nil {
			return err
		}
	}
	c.Say("waiting for the node and its DNS")
	return eventually(ctx, "cluster ready", c.serving)
}

// start configures and starts one component, unless it runs.
func (c *Cluster) start(part component.Component) error {
	record, found, err := c.records.Read(part.Name)
	if err != nil {
		return err
	}
	if found && record.Alive() {
		return nil
	}
	if err := part.Configure(c.Layout); err != nil {
		return err
	}
	launcher := process.Launcher{
		Namespace: c.NetworkNamespace(),
		Records:   c.records,
		Log:       c.Log,
		Join:      c.cgroups.Join,
	}
	return launcher.Start(part.Spec)
}

// fingerprintFile is written last: it says that the cluster once was ready, and
// with which binaries.
func (c *Cluster) fingerprintFile() string { return c.Path("fingerprint") }
