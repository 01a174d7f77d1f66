package elbv2_test

import (
	"net/http"
	"net/netip"
	"testing"
	"time"

	"fairlead/internal/ca"
	"fairlead/internal/eni"
	"fairlead/internal/row"
	"fairlead/internal/service/elbv2"
	"fairlead/internal/state"
	"fairlead/internal/state/statetest"
	"fairlead/internal/wire"
)

var scope = row.Scope{Account: "123456789012", Region: "eu-west-1"}

// newWorld returns the service behind a router, over a store with two VPCs: vpc-1 with an internet
// gateway, subnets subnet-a, -b, -c (10.0.1.0/24 …) in zones of that letter, subnet-a2 beside
// subnet-a, subnet-small, and the groups sg-default and sg-web; vpc-2 without gateway. Certificates
// are named certificate/app and so on.
func newWorld(t *testing.T) (*state.Store, http.Handler) { return worldOf(t, elbv2.Config{}) }

// worldOf is newWorld with a configuration of the service.
func worldOf(t *testing.T, cfg elbv2.Config) (*state.Store, http.Handler) {
	t.Helper()
	store := statetest.Open(t, row.Tables()...)
	if _, err := eni.EnsurePool(t.Context(), store, netip.MustParsePrefix("127.9.0.0/16")); err != nil {
		t.Fatal(err)
	}
	statetest.Update(t, store, func(tx *state.Tx) {
		putNetwork(tx)
		putCertificates(t, tx)
	})
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	router := wire.NewRouter(wire.Config{Now: func() time.Time { return now }})
	cfg.Now = func() time.Time { return now }
	elbv2.New(store, cfg).Register(router)
	return store, router
}

func putNetwork(tx *state.Tx) {
	cidr := netip.MustParsePrefix
	for _, id := range []string{"vpc-1", "vpc-2"} {
		row.VPCs.Put(tx, row.VPC{Scope: scope, ID: id, CIDRs: []row.VPCCIDR{{CIDR: cidr("10.0.0.0/16")}}})
	}
	row.InternetGateways.Put(tx, row.InternetGateway{Scope: scope, ID: "igw-1", VPC: "vpc-1"})
	for _, s := range []struct{ id, vpc, cidr, zone string }{
		{"subnet-a", "vpc-1", "10.0.1.0/24", "eu-west-1a"},
		{"subnet-b", "vpc-1", "10.0.2.0/24", "eu-west-1b"},
		{"subnet-c", "vpc-1", "10.0.3.0/24", "eu-west-1c"},
		{"subnet-a2", "vpc-1", "10.0.4.0/24", "eu-west-1a"},
		{"subnet-small", "vpc-1", "10.0.5.0/29", "eu-west-1b"},
		{"subnet-x", "vpc-2", "10.0.1.0/24", "eu-west-1a"},
		{"subnet-y", "vpc-2", "10.0.2.0/24", "eu-west-1b"},
	} {
		row.Subnets.Put(tx, row.Subnet{Scope: scope, ID: s.id, VPC: s.vpc, CIDR: cidr(s.cidr), Zone: s.zone})
	}
	for _, g := range []struct{ id, vpc, name string }{
		{"sg-default", "vpc-1", "default"}, {"sg-web", "vpc-1", "web"}, {"sg-x", "vpc-2", "default"},
	} {
		row.SecurityGroups.Put(tx, row.SecurityGroup{Scope: scope, ID: g.id, VPC: g.vpc, Name: g.name})
	}
}

func putCertificates(t *testing.T, tx *state.Tx) {
	authority, err := ca.Open(t.TempDir(), time.Now())
	if err != nil {
		t.Fatal(err)
	}
	for id, name := range map[string]string{
		"app": "app.test", "shop": "*.shop.test", "unqualified": "intranet",
	} {
		c, err := authority.Issue([]string{name}, time.Now())
		if err != nil {
			t.Fatal(err)
		}
		row.Certificates.Put(tx, row.Certificate{
			Scope: scope, ARN: scope.ARN("acm", "certificate/"+id), Type: "IMPORTED",
			PEM: string(c.Cert), PrivateKey: row.PrivateKey(c.Key), KeyAlgorithm: "EC_prime256v1",
		})
	}
}
