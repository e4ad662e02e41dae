package policy

import (
	"net/netip"
	"slices"
	"strings"
	"testing"

	networkingv1 "k8s.io/api/networking/v1"
)

// spans reads ranges such as "10.0.0.1-10.0.0.9 10.1.0.0".
func spans(text string) []Range {
	var ranges []Range
	for _, field := range strings.Fields(text) {
		from, to, found := strings.Cut(field, "-")
		if !found {
			to = from
		}
		ranges = append(ranges, Range{From: netip.MustParseAddr(from), To: netip.MustParseAddr(to)})
	}
	return ranges
}

func TestBlockRanges(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		cidr, except, want string
	}{
		{"10.0.0.0/24", "", "10.0.0.0-10.0.0.255"},
		{"10.0.0.7/24", "", "10.0.0.0-10.0.0.255"},
		{"10.0.0.7/32", "", "10.0.0.7"},
		{"0.0.0.0/0", "", "0.0.0.0-255.255.255.255"},
		{"0.0.0.0/0", "0.0.0.0/1", "128.0.0.0-255.255.255.255"},
		{"0.0.0.0/0", "128.0.0.0/1", "0.0.0.0-127.255.255.255"},
		{"10.0.0.0/24", "10.0.0.64/26", "10.0.0.0-10.0.0.63 10.0.0.128-10.0.0.255"},
		{"10.0.0.0/24", "10.0.0.0/26 10.0.0.192/26", "10.0.0.64-10.0.0.191"},
		{"10.0.0.0/24", "10.0.0.0/24", ""},
		{"10.0.0.0/24", "10.0.0.0/16", ""},
		{"10.0.0.0/24", "10.1.0.0/24", "10.0.0.0-10.0.0.255"},
		{"10.0.0.0/24", "fd00::/64", "10.0.0.0-10.0.0.255"},
		{"fd00::/64", "", ""},
		{"nonsense", "", ""},
	} {
		got := blockRanges(&networkingv1.IPBlock{CIDR: tc.cidr, Except: strings.Fields(tc.except)})
		if !slices.Equal(got, spans(tc.want)) {
			t.Errorf("%s except [%s] is %v, want %s", tc.cidr, tc.except, got, tc.want)
		}
	}
}

func TestMergeSortsAndJoins(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct{ have, want string }{
		{"", ""},
		{"10.0.0.9 10.0.0.1", "10.0.0.1 10.0.0.9"},
		{"10.0.0.1 10.0.0.2 10.0.0.2", "10.0.0.1-10.0.0.2"},
		{"10.0.0.0-10.0.0.9 10.0.0.3-10.0.0.5 10.0.0.9-10.0.0.12", "10.0.0.0-10.0.0.12"},
		{"255.255.255.255 0.0.0.0", "0.0.0.0 255.255.255.255"},
		{"0.0.0.0-255.255.255.255 10.0.0.1", "0.0.0.0-255.255.255.255"},
	} {
		if got := merge(spans(tc.have)); !slices.Equal(got, spans(tc.want)) {
			t.Errorf("%q became %v, want %q", tc.have, got, tc.want)
		}
	}
}

func FuzzBlockRangesNeverOverlap(f *testing.F) {
	f.Add("10.0.0.0/8", "10.1.0.0/16", "10.255.255.255/32")
	f.Add("0.0.0.0/0", "255.255.255.255/32", "0.0.0.0/32")
	f.Fuzz(func(t *testing.T, cidr, first, second string) {
		ranges := blockRanges(&networkingv1.IPBlock{CIDR: cidr, Except: []string{first, second}})
		if !slices.Equal(ranges, merge(ranges)) {
			t.Errorf("%s except %s, %s: %v overlap or are out of order", cidr, first, second, ranges)
		}
		for _, except := range []string{first, second} {
			hole, ok := prefixRange(except)
			for _, r := range ranges {
				if ok && !r.To.Less(hole.From) && !hole.To.Less(r.From) {
					t.Errorf("%s except %s: %v is still in", cidr, except, r)
				}
			}
		}
	})
}
