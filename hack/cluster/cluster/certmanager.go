package cluster

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/mailrelay-dev/mailrelay-operator/hack/cluster/build"
	"github.com/mailrelay-dev/mailrelay-operator/hack/cluster/component"
	"github.com/mailrelay-dev/mailrelay-operator/hack/cluster/process"
)

// establishing is the condition of a definition whose resources are served.
const establishing = "--for=condition=Established"

// grace is the time that cert-manager gets to end what it is doing.
const grace = 3 * time.Second

// InstallCertManager installs cert-manager on a cluster that is up.
func (c *Cluster) InstallCertManager(ctx context.Context) error {
	if err := c.requireUp(); err != nil {
		return err
	}
	builder, err := c.prepare(ctx)
	if err != nil {
		return err
	}
	return c.startCertManager(ctx, builder)
}

// RemoveCertManager ends cert-manager and deletes its definitions, and with them
// every certificate and issuer.
func (c *Cluster) RemoveCertManager(ctx context.Context) error {
	if err := c.requireUp(); err != nil {
		return err
	}
	builder, err := c.builder(ctx)
	if err != nil {
		return err
	}
	_, err = c.Kubectl(ctx, nil, "delete", "--ignore-not-found", "--filename="+builder.CertManagerCRDs())
	if err != nil {
		return err
	}
	part := component.CertManager(c.Layout)
	record, found, err := c.records.Read(part.Name)
	if err != nil || !found {
		return err
	}
	if err := process.Stop(record.Identity, grace); err != nil {
		return err
	}
	c.Say("cert-manager is removed")
	return c.records.Forget(part.Name)
}

// startCertManager installs the definitions, waits until they are served and
// starts the controllers.
func (c *Cluster) startCertManager(ctx context.Context, builder build.Builder) error {
	part := component.CertManager(c.Layout)
	if c.healthy(ctx, part) == nil {
		return nil
	}
	c.Say("installing cert-manager")
	definitions, err := os.ReadFile(builder.CertManagerCRDs())
	if err != nil {
		return fmt.Errorf("read cert-manager's definitions: %w", err)
	}
	if err := c.apply(ctx, definitions); err != nil {
		return err
	}
	_, err = c.Kubectl(ctx, nil, "wait", establishing, "--timeout=60s", "--filename="+builder.CertManagerCRDs())
	if err != nil {
		return err
	}
	if err := c.start(part); err != nil {
		return err
	}
	return eventually(ctx, "cert-manager running", func(ctx context.Context) error { return c.healthy(ctx, part) })
}

func (c *Cluster) requireUp() error {
	if _, err := os.Stat(c.fingerprintFile()); err != nil {
		return errors.New("the cluster is not up; run up first")
	}
	return c.refuseOthers()
}
