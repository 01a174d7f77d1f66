package main

import (
	"bytes"
	"net/netip"
	"os"
	"path/filepath"
	"testing"

	"fairlead/internal/lb"
	"fairlead/internal/lb/handover"
)

// While a predecessor lets its clients leave, no target is idle.
func TestOutstandingWithPredecessor(t *testing.T) {
	e, err := lb.New(lb.Config{Loops: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	path := filepath.Join(t.TempDir(), doorName)
	door, err := handover.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer door.Remove()
	i := &instance{lb: e}
	if i.predecessor, err = handover.Dial(path); err != nil {
		t.Fatal(err)
	}
	conn, err := door.Accept(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	plane := i.dataPlane(t.Context())
	if n := plane.Outstanding(lb.TargetKey{}); n == 0 {
		t.Error("a target is taken for idle while the predecessor may use it")
	}
	conn.Close()
	<-plane.alone
	if n := plane.Outstanding(lb.TargetKey{}); n != 0 {
		t.Errorf("%d requests are outstanding without a predecessor", n)
	}
}

// The key of sticky sessions is made once, and again if what is there cannot be one.
func TestKeptKey(t *testing.T) {
	path := filepath.Join(t.TempDir(), "cookie.key")
	first, err := keptKey(path)
	if err != nil || len(first) != lb.CookieKeySize {
		t.Fatalf("%d bytes, %v", len(first), err)
	}
	if again, err := keptKey(path); err != nil || !bytes.Equal(first, again) {
		t.Errorf("the second start has another key: %v", err)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the key is %v, %v", info, err)
	}
	if err := os.WriteFile(path, []byte("torn"), 0o600); err != nil {
		t.Fatal(err)
	}
	if key, err := keptKey(path); err != nil || len(key) != lb.CookieKeySize {
		t.Errorf("after a torn write: %d bytes, %v", len(key), err)
	}
}

// Sockets are handed on under the address that was asked for, and what nobody takes is closed.
func TestHeirlooms(t *testing.T) {
	cfg := config{options: options{listen: "127.0.0.1:0", dnsListen: "127.0.0.1:0"}}
	var first, second, other sockets
	if err := first.open(cfg, &heirlooms{}); err != nil {
		t.Fatal(err)
	}
	defer first.close()
	all, err := first.named(cfg)
	if err != nil || len(all) != 3 {
		t.Fatalf("%d sockets, %v", len(all), err)
	}
	var left heirlooms
	for _, s := range all {
		left.put(s.Name, s.Files[0])
	}
	elsewhere := config{options: options{listen: "127.0.0.2:0"}}
	if err := other.open(elsewhere, &left); err != nil {
		t.Fatal(err)
	}
	defer other.close()
	if a := other.api.Addr().(interface{ AddrPort() netip.AddrPort }).AddrPort(); a.Addr().String() != "127.0.0.2" {
		t.Errorf("the API that was asked for elsewhere is at %s", a)
	}
	if err := second.open(cfg, &left); err != nil {
		t.Fatal(err)
	}
	defer second.close()
	if first.api.Addr().String() != second.api.Addr().String() ||
		first.udp.LocalAddr().String() != second.udp.LocalAddr().String() {
		t.Errorf("%v and %v are not the same sockets", first.api.Addr(), second.api.Addr())
	}
	spare, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	left.put("spare", spare)
	left.drop()
	if left.take("spare") != nil || spare.Close() == nil {
		t.Error("what nobody has taken is still open")
	}
}
