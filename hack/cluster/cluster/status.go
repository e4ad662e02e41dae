package cluster

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"text/tabwriter"

	"github.com/mailrelay-dev/mailrelay-operator/hack/cluster/component"
	"github.com/mailrelay-dev/mailrelay-operator/hack/cluster/layout"
)

// ErrUnhealthy is what Status returns when something does not run as it should.
var ErrUnhealthy = errors.New("the cluster is not well")

// Status prints what runs and how it is. The error is ErrUnhealthy, wrapped,
// when the cluster is down or a part of it is not well.
func (c *Cluster) Status(ctx context.Context) error {
	if err := c.refuseOthers(); err != nil {
		return err
	}
	fmt.Fprintf(c.out, "directory  %s\ncache      %s\n", c.Dir, c.Cache)
	if !c.isMarked() {
		return fmt.Errorf("%w: there is none in %s; run up", ErrUnhealthy, c.Dir)
	}
	fmt.Fprintf(c.out, "kubeconfig %s\nAPI server %s\n\n", c.Kubeconfig(), layout.APIEndpoint)
	var rows []row
	for _, part := range c.components() {
		rows = append(rows, c.row(ctx, part))
	}
	if err := printRows(c.out, rows); err != nil {
		return err
	}
	for _, r := range rows {
		if r.problem != nil && !r.optional {
			return fmt.Errorf("%w: %s: %w", ErrUnhealthy, r.name, r.problem)
		}
	}
	return c.printNode(ctx)
}

// row is one line of the table.
type row struct {
	name, pid, log string
	problem        error
	optional       bool
}

func (c *Cluster) row(ctx context.Context, part component.Component) row {
	r := row{name: part.Name, pid: "-", log: c.Log(part.Name), problem: c.healthy(ctx, part)}
	record, found, err := c.records.Read(part.Name)
	if err == nil && found {
		r.pid = strconv.Itoa(record.PID)
	}
	r.optional = part.Name == component.CertManagerName && !found
	return r
}

func (r row) state() string {
	var dead *deadError
	switch {
	case r.problem == nil:
		return "healthy"
	case r.optional:
		return "not installed"
	case errors.As(r.problem, &dead):
		return "ended"
	default:
		return "not healthy: " + r.problem.Error()
	}
}

func printRows(out io.Writer, rows []row) error {
	const padding = 2
	table := tabwriter.NewWriter(out, 0, 0, padding, ' ', 0)
	fmt.Fprintln(table, "COMPONENT\tPID\tSTATE\tLOG")
	for _, r := range rows {
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\n", r.name, r.pid, r.state(), r.log)
	}
	if err := table.Flush(); err != nil {
		return fmt.Errorf("print the table: %w", err)
	}
	return nil
}

// printNode prints what the API says of the node.
func (c *Cluster) printNode(ctx context.Context) error {
	nodes, err := c.Kubectl(ctx, nil, "get", "nodes", "--output=wide")
	if err != nil {
		return fmt.Errorf("%w: %w", ErrUnhealthy, err)
	}
	fmt.Fprintf(c.out, "\n%s\n", nodes)
	if err := c.serving(ctx); err != nil {
		return fmt.Errorf("%w: %w", ErrUnhealthy, err)
	}
	return nil
}
