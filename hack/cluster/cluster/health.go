package cluster

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"slices"

	"github.com/mailrelay-dev/mailrelay-operator/hack/cluster/component"
)

// outdated returns why the cluster must be started anew, or nil when it is well
// and is what an up would make now.
func (c *Cluster) outdated(ctx context.Context, fingerprint string) error {
	have, err := os.ReadFile(c.fingerprintFile())
	if err != nil {
		return errors.New("it was never ready")
	}
	if string(have) != fingerprint {
		return errors.New("it runs other binaries than those built now")
	}
	for _, part := range c.components() {
		if part.Name == component.CertManagerName {
			continue
		}
		if err := c.healthy(ctx, part); err != nil {
			return fmt.Errorf("%s: %w", part.Name, err)
		}
		if err := c.unchanged(part); err != nil {
			return err
		}
	}
	return c.serving(ctx)
}

// unchanged compares how a component was started with how it would be.
func (c *Cluster) unchanged(part component.Component) error {
	record, _, err := c.records.Read(part.Name)
	if err != nil {
		return err
	}
	if !slices.Equal(record.Command, part.Command) {
		return fmt.Errorf("%s was started with other flags", part.Name)
	}
	for path, name := range part.Files {
		want, err := component.Render(c.Layout, name)
		if err != nil {
			return err
		}
		if have, err := os.ReadFile(path); err != nil || !bytes.Equal(have, want) {
			return fmt.Errorf("%s was started with another %s", part.Name, name)
		}
	}
	return nil
}

// serving tells whether pods can be run and names be looked up.
func (c *Cluster) serving(ctx context.Context) error {
	checks := []struct {
		problem, want string
		query         []string
	}{
		{"the node is not ready", "True", []string{
			"get", "nodes", `--output=jsonpath={.items[*].status.conditions[?(@.type=="Ready")].status}`,
		}},
		{"DNS does not answer", "1", []string{
			"--namespace=kube-system", "get", "deployment", "coredns", "--output=jsonpath={.status.readyReplicas}",
		}},
		{"there is no default storage class", "true", []string{
			"get", "storageclass", component.StorageClass, "--ignore-not-found",
			`--output=jsonpath={.metadata.annotations.storageclass\.kubernetes\.io/is-default-class}`,
		}},
		// Without it, the first pod of a test is refused.
		{"the default service account is missing", "default", []string{
			"--namespace=default", "get", "serviceaccount", "default", "--ignore-not-found", "--output=jsonpath={.metadata.name}",
		}},
	}
	for _, check := range checks {
		got, err := c.Kubectl(ctx, nil, check.query...)
		if err != nil {
			return err
		}
		if got != check.want {
			return errors.New(check.problem)
		}
	}
	return nil
}
