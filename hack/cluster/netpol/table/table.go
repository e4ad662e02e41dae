// Package table writes a policy model into a table of nftables, whole and in one
// transaction.
package table

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"

	"github.com/google/nftables"
	"github.com/google/nftables/expr"
	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"

	"github.com/mailrelay-dev/mailrelay-operator/hack/cluster/netpol/policy"
)

// socketBuffer, in bytes, holds the acknowledgements of a big transaction; with
// the kernel's default some hundred pods would overflow it.
const socketBuffer = 8 << 20

// Table is a table of nftables that belongs to this program alone.
type Table struct {
	// Name of the table, in the family ip.
	Name string
	// Namespace is an open network namespace; 0 means that of the process.
	Namespace int
}

// Apply replaces the table's content by model. Packets see the old rules or the
// new ones, never a mixture and never none.
func (t Table) Apply(model policy.Model) error {
	conn, err := t.connect()
	if err != nil {
		return err
	}
	w := &writer{conn: conn, table: t.replace(conn)}
	if err := w.write(model); err != nil {
		return err
	}
	if err := conn.Flush(); err != nil {
		return fmt.Errorf("write table %s: %w", t.Name, err)
	}
	return nil
}

// Remove deletes the table. That it is absent is no error.
func (t Table) Remove() error {
	conn, err := t.connect()
	if err != nil {
		return err
	}
	conn.DelTable(&nftables.Table{Name: t.Name, Family: nftables.TableFamilyIPv4})
	if err := conn.Flush(); err != nil && !errors.Is(err, unix.ENOENT) {
		return fmt.Errorf("remove table %s: %w", t.Name, err)
	}
	return nil
}

func (t Table) connect() (*nftables.Conn, error) {
	conn, err := nftables.New(nftables.WithNetNSFd(t.Namespace), nftables.WithSockOptions(
		func(c *netlink.Conn) error { return c.SetReadBuffer(socketBuffer) },
		func(c *netlink.Conn) error { return c.SetWriteBuffer(socketBuffer) },
	))
	if err != nil {
		return nil, fmt.Errorf("connect to nftables: %w", err)
	}
	return conn, nil
}

// replace queues commands that leave an empty table. The first makes sure that
// there is one to delete.
func (t Table) replace(conn *nftables.Conn) *nftables.Table {
	table := &nftables.Table{Name: t.Name, Family: nftables.TableFamilyIPv4}
	conn.AddTable(table)
	conn.DelTable(table)
	return conn.AddTable(table)
}

// writer queues the commands of one transaction.
type writer struct {
	conn  *nftables.Conn
	table *nftables.Table
}

// write lays the table out. A base chain sends packets of isolated pods to the
// pod's own chain, which returns what is allowed and drops the rest, so that a
// packet between two isolated pods has to pass both chains.
func (w *writer) write(model policy.Model) error {
	egress, err := w.direction("egress", destinationAddress, model.Egress)
	if err != nil {
		return err
	}
	ingress, err := w.direction("ingress", sourceAddress, model.Ingress)
	if err != nil {
		return err
	}
	// Address translation has happened before both hooks: rules see the pod
	// behind a Service. What the node itself sends passes neither hook, as the
	// node may always reach its pods.
	w.base("forward", nftables.ChainHookForward, dispatch(sourceAddress, egress), dispatch(destinationAddress, ingress))
	w.base("input", nftables.ChainHookInput, dispatch(sourceAddress, egress))
	return nil
}

// base adds a chain of the hook that passes connections already open and hands
// new ones to rules.
func (w *writer) base(name string, hook *nftables.ChainHook, rules ...[]expr.Any) {
	accept := nftables.ChainPolicyAccept
	chain := w.conn.AddChain(&nftables.Chain{
		Name: name, Table: w.table, Type: nftables.ChainTypeFilter,
		Hooknum: hook, Priority: nftables.ChainPriorityFilter, Policy: &accept,
	})
	w.rule(chain, established())
	for _, rule := range rules {
		w.rule(chain, rule)
	}
}

// direction adds a chain for each isolated pod and the map from pod to chain.
func (w *writer) direction(name string, peer field, pods map[netip.Addr][]policy.Allow) (*nftables.Set, error) {
	targets := &nftables.Set{
		Table: w.table, Name: name + "-pods", IsMap: true,
		KeyType: nftables.TypeIPAddr, DataType: nftables.TypeVerdict,
	}
	var elements []nftables.SetElement
	for _, addr := range sortedKeys(pods) {
		chain := w.conn.AddChain(&nftables.Chain{Name: name + "-" + addr.String(), Table: w.table})
		if err := w.pod(chain, addr, peer, pods[addr]); err != nil {
			return nil, err
		}
		elements = append(elements, nftables.SetElement{
			Key:         addr.AsSlice(),
			VerdictData: &expr.Verdict{Kind: expr.VerdictJump, Chain: chain.Name},
		})
	}
	if err := w.conn.AddSet(targets, elements); err != nil {
		return nil, fmt.Errorf("queue the map of %s: %w", name, err)
	}
	return targets, nil
}

// pod fills the chain of one pod in one direction. A pod may always reach itself.
func (w *writer) pod(chain *nftables.Chain, addr netip.Addr, peer field, allows []policy.Allow) error {
	w.rule(chain, equals(peer, addr), verdict(expr.VerdictReturn))
	for _, allow := range allows {
		for _, ports := range portMatches(allow.Ports) {
			// An anonymous set belongs to one rule, so each rule gets its own.
			peers, err := w.peers(peer, allow.Peers)
			if err != nil {
				return err
			}
			w.rule(chain, peers, ports, verdict(expr.VerdictReturn))
		}
	}
	w.rule(chain, verdict(expr.VerdictDrop))
	return nil
}

// peers returns a match of ranges, for which it adds an interval set.
func (w *writer) peers(peer field, ranges []policy.Range) ([]expr.Any, error) {
	if ranges == nil {
		return nil, nil
	}
	set := &nftables.Set{
		Table: w.table, Anonymous: true, Constant: true, Interval: true, KeyType: nftables.TypeIPAddr,
	}
	if err := w.conn.AddSet(set, intervals(ranges)); err != nil {
		return nil, fmt.Errorf("queue a set of peers: %w", err)
	}
	return within(peer, set), nil
}

// intervals writes ranges the kernel's way: a start, and an end that is the first
// address outside. The end of the address space has no such address.
func intervals(ranges []policy.Range) []nftables.SetElement {
	var elements []nftables.SetElement
	for _, r := range ranges {
		elements = append(elements, nftables.SetElement{Key: r.From.AsSlice()})
		if next := r.To.Next(); next.IsValid() {
			elements = append(elements, nftables.SetElement{Key: next.AsSlice(), IntervalEnd: true})
		}
	}
	return elements
}

func (w *writer) rule(chain *nftables.Chain, parts ...[]expr.Any) {
	w.conn.AddRule(&nftables.Rule{Table: w.table, Chain: chain, Exprs: slices.Concat(parts...)})
}

func sortedKeys(pods map[netip.Addr][]policy.Allow) []netip.Addr {
	keys := make([]netip.Addr, 0, len(pods))
	for addr := range pods {
		keys = append(keys, addr)
	}
	slices.SortFunc(keys, netip.Addr.Compare)
	return keys
}
