package policy

import (
	"encoding/binary"
	"net/netip"
	"slices"

	networkingv1 "k8s.io/api/networking/v1"
)

// blockRanges returns the addresses of block without those of its exceptions.
// Blocks of IPv6 give none: the cluster has no such addresses.
func blockRanges(block *networkingv1.IPBlock) []Range {
	whole, ok := prefixRange(block.CIDR)
	if !ok {
		return nil
	}
	ranges := []Range{whole}
	for _, cidr := range block.Except {
		if hole, ok := prefixRange(cidr); ok {
			ranges = cut(ranges, hole)
		}
	}
	return ranges
}

// prefixRange returns the span of an IPv4 CIDR. The API server has validated
// what reaches us, so what cannot be read is passed over.
func prefixRange(cidr string) (Range, bool) {
	prefix, err := netip.ParsePrefix(cidr)
	if err != nil || !prefix.Addr().Is4() {
		return Range{}, false
	}
	first := prefix.Masked().Addr()
	last := number(first) | uint32(1<<(32-prefix.Bits())-1)
	return Range{From: first, To: address(last)}, true
}

// cut returns ranges without the addresses of hole.
func cut(ranges []Range, hole Range) []Range {
	var rest []Range
	for _, r := range ranges {
		if r.To.Less(hole.From) || hole.To.Less(r.From) {
			rest = append(rest, r)
			continue
		}
		if r.From.Less(hole.From) {
			rest = append(rest, Range{From: r.From, To: hole.From.Prev()})
		}
		if hole.To.Less(r.To) {
			rest = append(rest, Range{From: hole.To.Next(), To: r.To})
		}
	}
	return rest
}

// merge sorts ranges and joins those that overlap or touch, which an interval
// set of the kernel would refuse.
func merge(ranges []Range) []Range {
	sorted := slices.SortedFunc(slices.Values(ranges), func(a, b Range) int { return a.From.Compare(b.From) })
	var merged []Range
	for _, r := range sorted {
		last := len(merged) - 1
		if last < 0 || uint64(number(r.From)) > uint64(number(merged[last].To))+1 {
			merged = append(merged, r)
		} else if merged[last].To.Less(r.To) {
			merged[last].To = r.To
		}
	}
	return merged
}

func number(a netip.Addr) uint32 {
	b := a.As4()
	return binary.BigEndian.Uint32(b[:])
}

func address(n uint32) netip.Addr {
	var b [4]byte
	binary.BigEndian.PutUint32(b[:], n)
	return netip.AddrFrom4(b)
}
