package eni

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/netip"

	"fairlead/internal/aws"
	"fairlead/internal/row"
	"fairlead/internal/state"
)

// EnsurePool sets the range that public addresses are taken from and returns it. The zero prefix
// keeps the range that was used before, or chooses a /16 of 127.0.0.0/8. Interfaces keep the
// addresses that they have.
func EnsurePool(
	ctx context.Context, s *state.Store, prefix netip.Prefix,
) (pool netip.Prefix, err error) {
	if prefix.IsValid() && !prefix.Addr().Is4() {
		return pool, fmt.Errorf("public pool %s: not an IPv4 range", prefix)
	}
	err = s.Update(ctx, func(tx *state.Tx) error {
		if prefix.IsValid() {
			row.PublicPools.Put(tx, row.PublicPool{Prefix: prefix.Masked()})
		}
		pool = poolOf(tx)
		return nil
	})
	return pool, err
}

// poolOf returns the range of public addresses, choosing it when there is none yet.
func poolOf(tx *state.Tx) netip.Prefix {
	pool, ok := row.PublicPools.Get(tx, row.PublicPoolKey)
	if !ok {
		pool.Prefix = loopbackPool()
		row.PublicPools.Put(tx, pool)
	}
	return pool.Prefix
}

// loopbackPool chooses a /16 of 127.0.0.0/8 other than 127.0.0.0/16, where services of the host
// live. It is chosen at random so that instances on one machine seldom meet.
func loopbackPool() netip.Prefix {
	return netip.PrefixFrom(netip.AddrFrom4([4]byte{127, byte(1 + rand.IntN(254)), 0, 0}), 16)
}

// PublicAddress returns an address of the public pool that nobody has. The search starts at a
// random place, so that an address that was given back is not at once somebody else's. The caller
// puts the address into a row of the same transaction.
// Fault: InsufficientAddressCapacity.
func PublicAddress(tx *state.Tx) (netip.Addr, error) {
	pool := poolOf(tx)
	first, last := 0, size(pool)-1
	if last > 1 { // leave out the network and the broadcast address, except in a /31 or /32
		first, last = 1, last-1
	}
	count := last - first + 1
	start := rand.IntN(count)
	for i := range count {
		address := nth(pool, first+(start+i)%count)
		if !publicTaken(tx, address) {
			return address, nil
		}
	}
	return netip.Addr{}, aws.NewFault("InsufficientAddressCapacity",
		"Not enough available addresses to satisfy your minimum request.")
}

func publicTaken(r state.Reader, a netip.Addr) bool {
	_, byInterface := row.First(row.NetworkInterfaces.By(r, "public", a.String()))
	_, byClient := row.First(row.Addresses.By(r, "public", a.String()))
	return byInterface || byClient
}
