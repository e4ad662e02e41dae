package table

import (
	"net/netip"

	"github.com/google/nftables"
	"github.com/google/nftables/binaryutil"
	"github.com/google/nftables/expr"
	"golang.org/x/sys/unix"
	corev1 "k8s.io/api/core/v1"

	"github.com/mailrelay-dev/mailrelay-operator/hack/cluster/netpol/policy"
)

// register is where a value is loaded before it is compared.
const register = 1

// field is the offset of an address in the IPv4 header.
type field uint32

const (
	sourceAddress      field = 12
	destinationAddress field = 16
)

// protocols maps to the numbers in the IPv4 header.
var protocols = map[corev1.Protocol]byte{
	corev1.ProtocolTCP:  unix.IPPROTO_TCP,
	corev1.ProtocolUDP:  unix.IPPROTO_UDP,
	corev1.ProtocolSCTP: unix.IPPROTO_SCTP,
}

func load(f field) expr.Any {
	return &expr.Payload{DestRegister: register, Base: expr.PayloadBaseNetworkHeader, Offset: uint32(f), Len: 4}
}

func equals(f field, addr netip.Addr) []expr.Any {
	return []expr.Any{load(f), &expr.Cmp{Op: expr.CmpOpEq, Register: register, Data: addr.AsSlice()}}
}

func within(f field, set *nftables.Set) []expr.Any {
	return []expr.Any{load(f), &expr.Lookup{SourceRegister: register, SetName: set.Name, SetID: set.ID}}
}

// dispatch jumps to the chain that targets gives for the address in f.
func dispatch(f field, targets *nftables.Set) []expr.Any {
	return []expr.Any{load(f), &expr.Lookup{
		SourceRegister: register, DestRegister: unix.NFT_REG_VERDICT, IsDestRegSet: true,
		SetName: targets.Name, SetID: targets.ID,
	}}
}

// established accepts packets of connections that were let in before, and the
// ICMP errors that belong to them.
func established() []expr.Any {
	states := binaryutil.NativeEndian.PutUint32(expr.CtStateBitESTABLISHED | expr.CtStateBitRELATED)
	none := make([]byte, 4)
	return append([]expr.Any{
		&expr.Ct{Key: expr.CtKeySTATE, Register: register},
		&expr.Bitwise{SourceRegister: register, DestRegister: register, Len: 4, Mask: states, Xor: none},
		&expr.Cmp{Op: expr.CmpOpNeq, Register: register, Data: none},
	}, verdict(expr.VerdictAccept)...)
}

// portMatches returns a match for each span of ports, and one that matches
// everything when there are none.
func portMatches(spans []policy.PortRange) [][]expr.Any {
	if spans == nil {
		return [][]expr.Any{nil}
	}
	var matches [][]expr.Any
	for _, span := range spans {
		matches = append(matches, destinationPorts(span))
	}
	return matches
}

func destinationPorts(ports policy.PortRange) []expr.Any {
	return []expr.Any{
		&expr.Meta{Key: expr.MetaKeyL4PROTO, Register: register},
		&expr.Cmp{Op: expr.CmpOpEq, Register: register, Data: []byte{protocols[ports.Protocol]}},
		&expr.Payload{DestRegister: register, Base: expr.PayloadBaseTransportHeader, Offset: 2, Len: 2},
		&expr.Range{
			Op: expr.CmpOpEq, Register: register,
			FromData: binaryutil.BigEndian.PutUint16(ports.From),
			ToData:   binaryutil.BigEndian.PutUint16(ports.To),
		},
	}
}

func verdict(kind expr.VerdictKind) []expr.Any {
	return []expr.Any{&expr.Verdict{Kind: kind}}
}
