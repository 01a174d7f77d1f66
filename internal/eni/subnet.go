package eni

import (
	"encoding/binary"
	"net/netip"

	"fairlead/internal/aws"
	"fairlead/internal/row"
	"fairlead/internal/state"
)

// AWS keeps five addresses of every subnet: the network, the router, DNS, one for the future and
// the broadcast address.
// https://docs.aws.amazon.com/vpc/latest/userguide/subnet-sizing.html
const (
	reservedFirst = 4
	reservedLast  = 1
)

// Available returns how many addresses of the subnet are free.
func Available(r state.Reader, s row.Subnet) int {
	free := size(s.CIDR) - reservedFirst - reservedLast
	for range row.NetworkInterfaces.By(r, "subnet", s.ID) {
		free--
	}
	return free
}

// privateAddress returns the address that was asked for, or else the lowest free one.
func privateAddress(tx *state.Tx, s row.Subnet, want netip.Addr) (netip.Addr, error) {
	if want.IsValid() {
		return fixedAddress(tx, s, want)
	}
	taken := takenAddresses(tx, s)
	for i := reservedFirst; i < size(s.CIDR)-reservedLast; i++ {
		if !taken.has(i) {
			return nth(s.CIDR, i), nil
		}
	}
	return netip.Addr{}, aws.NewFault("InsufficientFreeAddressesInSubnet",
		"The specified subnet does not have enough free addresses to satisfy the request.")
}

func fixedAddress(tx *state.Tx, s row.Subnet, want netip.Addr) (netip.Addr, error) {
	if !s.CIDR.Contains(want) {
		return netip.Addr{}, aws.NewFault("InvalidParameterValue",
			"Address does not fall within the subnet's address range")
	}
	i := offset(s.CIDR, want)
	if i < reservedFirst || i >= size(s.CIDR)-reservedLast {
		return netip.Addr{}, aws.NewFault("InvalidParameterValue",
			"Address %s is in subnet's reserved address range", want)
	}
	if takenAddresses(tx, s).has(i) {
		return netip.Addr{}, aws.NewFault("InvalidIPAddress.InUse",
			"Address %s is in use.", want)
	}
	return want, nil
}

// takenAddresses is read from the subnet index, so it costs one step per interface of this subnet,
// however many there are elsewhere.
func takenAddresses(r state.Reader, s row.Subnet) bitmap {
	taken := make(bitmap, (size(s.CIDR)+63)/64)
	for n := range row.NetworkInterfaces.By(r, "subnet", s.ID) {
		if address, err := netip.ParseAddr(n.Address); err == nil && s.CIDR.Contains(address) {
			taken.add(offset(s.CIDR, address))
		}
	}
	return taken
}

// bitmap is a set of small numbers.
type bitmap []uint64

func (b bitmap) add(i int)      { b[i/64] |= 1 << (i % 64) }
func (b bitmap) has(i int) bool { return b[i/64]&(1<<(i%64)) != 0 }

// size is the number of addresses of an IPv4 range.
func size(p netip.Prefix) int { return 1 << (32 - p.Bits()) }

// nth returns the i-th address of an IPv4 range, counted from 0.
func nth(p netip.Prefix, i int) netip.Addr {
	base := p.Masked().Addr().As4()
	var b [4]byte
	binary.BigEndian.PutUint32(b[:], binary.BigEndian.Uint32(base[:])+uint32(i))
	return netip.AddrFrom4(b)
}

// offset is the inverse of nth.
func offset(p netip.Prefix, a netip.Addr) int {
	base, b := p.Masked().Addr().As4(), a.As4()
	return int(binary.BigEndian.Uint32(b[:]) - binary.BigEndian.Uint32(base[:]))
}
