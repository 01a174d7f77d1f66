package eni_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"testing"

	"fairlead/internal/aws"
	"fairlead/internal/eni"
	"fairlead/internal/row"
	"fairlead/internal/state"
)

var (
	scope = row.Scope{Account: "123456789012", Region: "eu-west-1"}
	home  = row.VPC{Scope: scope, ID: "vpc-1", CIDRs: []row.VPCCIDR{{CIDR: prefix("10.0.0.0/16")}}}
	small = subnet("subnet-1", "10.0.1.0/28")
	large = subnet("subnet-2", "10.0.16.0/20")
)

func prefix(text string) netip.Prefix { return netip.MustParsePrefix(text) }

func subnet(id, cidr string) row.Subnet {
	return row.Subnet{Scope: scope, ID: id, VPC: "vpc-1", CIDR: prefix(cidr), Zone: "eu-west-1a"}
}

func group(id, vpc, name string) row.SecurityGroup {
	return row.SecurityGroup{Scope: scope, ID: id, VPC: vpc, Name: name}
}

func open(t testing.TB) *state.Store {
	t.Helper()
	s, err := state.Open(t.Context(), state.Config{Dir: t.TempDir(), NoSync: true}, row.Tables()...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	change(t, s, func(tx *state.Tx) error {
		row.VPCs.Put(tx, home)
		row.Subnets.Put(tx, small)
		row.Subnets.Put(tx, large)
		row.SecurityGroups.Put(tx, group("sg-0", "vpc-1", "default"))
		row.SecurityGroups.Put(tx, group("sg-1", "vpc-1", "web"))
		row.SecurityGroups.Put(tx, group("sg-2", "vpc-2", "web"))
		return nil
	})
	return s
}

func change(t testing.TB, s *state.Store, fn func(tx *state.Tx) error) {
	t.Helper()
	if err := s.Update(t.Context(), fn); err != nil {
		t.Fatal(err)
	}
}

func allocate(t testing.TB, s *state.Store, r eni.Request) (n row.NetworkInterface, err error) {
	t.Helper()
	r.Scope = scope
	err = s.Update(t.Context(), func(tx *state.Tx) (err error) {
		n, err = eni.Allocate(tx, r)
		return err
	})
	return n, err
}

func code(err error) string {
	if f, ok := errors.AsType[*aws.Fault](err); ok {
		return f.Code
	}
	return fmt.Sprint(err)
}

func TestAllocate(t *testing.T) {
	s := open(t)
	n, err := allocate(t, s, eni.Request{
		Subnet: small.ID, Description: "ELB app/web/1", Owner: "arn:lb", Requester: "amazon-elb",
		InstanceOwner: "amazon-elb", HostListens: true, Tags: row.Tags{"a": "b"},
	})
	if err != nil {
		t.Fatal(err)
	}
	stored, ok := row.NetworkInterfaces.Get(s.View(), n.Key())
	if !ok || stored.Address != "10.0.1.4" || stored.VPC != "vpc-1" || stored.Zone != small.Zone {
		t.Errorf("stored %+v", stored)
	}
	if !stored.RequesterManaged || stored.Attachment == "" || stored.Ready ||
		!slices.Equal(stored.Groups, []string{"sg-0"}) || stored.PublicAddress != "" {
		t.Errorf("stored %+v", stored)
	}
	free, err := allocate(t, s, eni.Request{Subnet: small.ID})
	if err != nil || free.Attachment != "" || free.RequesterManaged || free.MAC == n.MAC {
		t.Errorf("detached interface %+v, %v", free, err)
	}
}

func TestFaults(t *testing.T) {
	s := open(t)
	_, err := allocate(t, s, eni.Request{Subnet: small.ID, Address: addr("10.0.1.9")})
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		name string
		r    eni.Request
		want string
	}{
		{"no such subnet", eni.Request{Subnet: "subnet-9"}, "InvalidSubnetID.NotFound"},
		{"no such group", eni.Request{Subnet: small.ID, Groups: []string{"sg-9"}},
			"InvalidGroup.NotFound"},
		{"group of another VPC", eni.Request{Subnet: small.ID, Groups: []string{"sg-2"}},
			"InvalidParameter"},
		{"six groups", eni.Request{Subnet: small.ID, Groups: slices.Repeat([]string{"sg-1"}, 6)},
			"SecurityGroupsPerInterfaceLimitExceeded"},
		{"taken address", eni.Request{Subnet: small.ID, Address: addr("10.0.1.9")},
			"InvalidIPAddress.InUse"},
		{"router's address", eni.Request{Subnet: small.ID, Address: addr("10.0.1.1")},
			"InvalidParameterValue"},
		{"broadcast address", eni.Request{Subnet: small.ID, Address: addr("10.0.1.15")},
			"InvalidParameterValue"},
		{"address elsewhere", eni.Request{Subnet: small.ID, Address: addr("10.0.2.9")},
			"InvalidParameterValue"},
	} {
		if _, err := allocate(t, s, test.r); code(err) != test.want {
			t.Errorf("%s: %v, want %s", test.name, err, test.want)
		}
	}
	if n := row.NetworkInterfaces.Len(s.View()); n != 1 {
		t.Errorf("%d interfaces after faults, want 1", n)
	}
}

func addr(text string) netip.Addr { return netip.MustParseAddr(text) }

// TestSubnetFillsFromBelow holds allocation to a model: a set of offsets of which the lowest free
// one is next.
func TestSubnetFillsFromBelow(t *testing.T) {
	s := open(t)
	rng := rand.New(rand.NewPCG(1, 2))
	held := map[int]row.NetworkInterface{} // by the last byte of the address
	for step := range 300 {
		if len(held) > 0 && rng.IntN(3) == 0 {
			for i, n := range held {
				change(t, s, func(tx *state.Tx) error {
					eni.Release(tx, n.Key())
					return nil
				})
				delete(held, i)
				break
			}
		} else {
			want := 4
			for _, ok := held[want]; ok; _, ok = held[want] {
				want++
			}
			n, err := allocate(t, s, eni.Request{Subnet: small.ID})
			switch full := want == 15; {
			case full && code(err) != "InsufficientFreeAddressesInSubnet":
				t.Fatalf("step %d: full subnet gave %+v, %v", step, n, err)
			case !full && n.Address != fmt.Sprintf("10.0.1.%d", want):
				t.Fatalf("step %d: got %s, %v, want 10.0.1.%d", step, n.Address, err, want)
			case !full:
				held[want] = n
			}
		}
		if got := eni.Available(s.View(), small); got != 11-len(held) {
			t.Fatalf("step %d: %d available, want %d", step, got, 11-len(held))
		}
	}
}

// TestAddressesAreUnique allocates from many goroutines and from one transaction.
func TestAddressesAreUnique(t *testing.T) {
	s := open(t)
	done := make(chan error)
	for range 20 {
		go func() {
			done <- s.Update(t.Context(), func(tx *state.Tx) error {
				for range 5 {
					r := eni.Request{Scope: scope, Subnet: large.ID, Public: true}
					if _, err := eni.Allocate(tx, r); err != nil {
						return err
					}
				}
				return nil
			})
		}()
	}
	for range 20 {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
	seen := map[string]bool{}
	for n := range row.NetworkInterfaces.Scan(s.View(), "") {
		for _, address := range []string{n.Address, n.PublicAddress, n.MAC} {
			if seen[address] {
				t.Errorf("%s was given out twice", address)
			}
			seen[address] = true
		}
	}
	if len(seen) != 300 {
		t.Errorf("%d different addresses, want 300", len(seen))
	}
}

func TestPool(t *testing.T) {
	s := open(t)
	chosen, err := eni.EnsurePool(t.Context(), s, netip.Prefix{})
	if err != nil || chosen.Bits() != 16 || !prefix("127.0.0.0/8").Overlaps(chosen) ||
		chosen == prefix("127.0.0.0/16") {
		t.Errorf("chose %v, %v", chosen, err)
	}
	if again, _ := eni.EnsurePool(t.Context(), s, netip.Prefix{}); again != chosen {
		t.Errorf("chose %v, then %v", chosen, again)
	}
	if _, err := eni.EnsurePool(t.Context(), s, prefix("2001:db8::/64")); err == nil {
		t.Error("an IPv6 pool was taken")
	}
	given, err := eni.EnsurePool(t.Context(), s, prefix("192.0.2.5/30"))
	if err != nil || given != prefix("192.0.2.4/30") {
		t.Errorf("given %v, %v", given, err)
	}
	change(t, s, func(tx *state.Tx) error {
		row.Addresses.Put(tx,
			row.Address{Scope: scope, ID: "eipalloc-1", Address: addr("192.0.2.5")})
		return nil
	})
	n, err := allocate(t, s, eni.Request{Subnet: small.ID, Public: true})
	if err != nil || n.PublicAddress != "192.0.2.6" {
		t.Errorf("got %s, %v, want the only free address", n.PublicAddress, err)
	}
	_, err = allocate(t, s, eni.Request{Subnet: small.ID, Public: true})
	if code(err) != "InsufficientAddressCapacity" {
		t.Errorf("empty pool: %v", err)
	}
}

func TestReleaseFreesElasticAddress(t *testing.T) {
	s := open(t)
	n, err := allocate(t, s, eni.Request{Subnet: small.ID})
	if err != nil {
		t.Fatal(err)
	}
	change(t, s, func(tx *state.Tx) error {
		row.Addresses.Put(tx, row.Address{
			Scope: scope, ID: "eipalloc-1", Address: addr("192.0.2.5"),
			Association: "eipassoc-1", Interface: n.ID,
		})
		return nil
	})
	for range 2 { // the second time there is nothing to release
		change(t, s, func(tx *state.Tx) error {
			eni.Release(tx, n.Key())
			return nil
		})
	}
	a, _ := row.Addresses.Get(s.View(), scope.Key("eipalloc-1"))
	if a.Interface != "" || a.Association != "" {
		t.Errorf("address is still associated: %+v", a)
	}
	if n := row.NetworkInterfaces.Len(s.View()); n != 0 {
		t.Errorf("%d interfaces left", n)
	}
}

// BenchmarkAllocate adds an interface to a subnet of 4091 addresses that has 4000 of them, and
// takes it away again.
func BenchmarkAllocate(b *testing.B) {
	s := open(b)
	for range 40 {
		change(b, s, func(tx *state.Tx) error {
			for range 100 {
				r := eni.Request{Scope: scope, Subnet: large.ID}
				if _, err := eni.Allocate(tx, r); err != nil {
					return err
				}
			}
			return nil
		})
	}
	for b.Loop() {
		n, err := allocate(b, s, eni.Request{Subnet: large.ID, Public: true})
		if err != nil {
			b.Fatal(err)
		}
		change(b, s, func(tx *state.Tx) error {
			eni.Release(tx, n.Key())
			return nil
		})
	}
}
