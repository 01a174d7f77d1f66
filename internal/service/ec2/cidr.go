package ec2

import (
	"net/netip"
	"slices"

	"fairlead/internal/row"
	"fairlead/internal/state"
)

// Sizes of VPCs and subnets, in bits of the prefix.
// https://docs.aws.amazon.com/vpc/latest/userguide/vpc-cidr-blocks.html
const (
	widestBits    = 16
	narrowestBits = 28
)

// parseCIDR parses an IPv4 range and clears the bits after the prefix, as AWS does.
func parseCIDR(text, parameter string) (netip.Prefix, error) {
	p, err := netip.ParsePrefix(text)
	if err != nil || !p.Addr().Is4() {
		return netip.Prefix{}, invalid(
			"Value (%s) for parameter %s is invalid. This is not a valid CIDR block.",
			text, parameter)
	}
	return p.Masked(), nil
}

// rightSize reports whether a VPC or a subnet can have the range, as far as its size goes.
func rightSize(p netip.Prefix) bool { return p.Bits() >= widestBits && p.Bits() <= narrowestBits }

// usable reports whether a VPC can have the range: it must not meet loopback (where the public pool
// is), link-local, multicast, and 198.18.0.0/15, through which VPCs reach the host.
func usable(p netip.Prefix) bool {
	return !slices.ContainsFunc([]netip.Prefix{
		netip.MustParsePrefix("0.0.0.0/8"),
		netip.MustParsePrefix("127.0.0.0/8"),
		netip.MustParsePrefix("169.254.0.0/16"),
		netip.MustParsePrefix("198.18.0.0/15"),
		netip.MustParsePrefix("224.0.0.0/3"),
	}, p.Overlaps)
}

func overlapsSubnet(r state.Reader, vpc string, p netip.Prefix) bool {
	for s := range row.Subnets.By(r, "vpc", vpc) {
		if s.CIDR.Overlaps(p) {
			return true
		}
	}
	return false
}
