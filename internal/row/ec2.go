package row

import (
	"net/netip"
	"slices"
	"time"

	"fairlead/internal/state"
)

// EC2 is what is remembered once per account and region.
type EC2 struct {
	Scope
	// DefaultVPCMade says that the default VPC was made here once: who deletes it gets it back by
	// CreateDefaultVpc only.
	DefaultVPCMade  bool   `json:"defaultVpcMade,omitempty"`
	DHCPOptions     string `json:"dhcpOptions"` // dopt-…, the only set there is
	DHCPOptionsTags Tags   `json:"dhcpOptionsTags,omitempty"`
}

// Key returns the row's key.
func (e EC2) Key() string { return e.Scope.Key("") }

// EC2s is the table of what is remembered once per scope. Writer: the EC2 service.
var EC2s = state.NewTable("ec2.scope", EC2.Key)

// VPC is a virtual private cloud, with its default network ACL.
type VPC struct {
	Scope
	ID        string    `json:"id"`    // vpc-…
	CIDRs     []VPCCIDR `json:"cidrs"` // the primary one first
	Default   bool      `json:"default,omitempty"`
	CreatedAt time.Time `json:"createdAt"`
	Tags      Tags      `json:"tags,omitempty"`

	DNSSupport   bool `json:"dnsSupport,omitempty"`
	DNSHostnames bool `json:"dnsHostnames,omitempty"`

	NetworkACL     string `json:"networkAcl"` // acl-…
	NetworkACLTags Tags   `json:"networkAclTags,omitempty"`
}

// VPCCIDR is an IPv4 range of a VPC.
type VPCCIDR struct {
	Association string       `json:"association"` // vpc-cidr-assoc-…
	CIDR        netip.Prefix `json:"cidr"`
}

// Key returns the row's key.
func (v VPC) Key() string { return v.Scope.Key(v.ID) }

// Contains reports whether all of p lies in one of the VPC's ranges.
func (v VPC) Contains(p netip.Prefix) bool {
	return slices.ContainsFunc(v.CIDRs, func(c VPCCIDR) bool {
		return c.CIDR.Bits() <= p.Bits() && c.CIDR.Contains(p.Addr())
	})
}

// VPCs is the table of VPCs. Writer: the EC2 service.
var VPCs = state.NewTable("ec2.vpc", VPC.Key)

// Subnet is a range of a VPC in one availability zone.
type Subnet struct {
	Scope
	ID        string       `json:"id"` // subnet-…
	VPC       string       `json:"vpc"`
	CIDR      netip.Prefix `json:"cidr"`
	Zone      string       `json:"zone"`              // e.g. eu-west-1a
	ZoneID    string       `json:"zoneId"`            // e.g. euw1-az1
	Default   bool         `json:"default,omitempty"` // the zone's default subnet
	CreatedAt time.Time    `json:"createdAt"`
	Tags      Tags         `json:"tags,omitempty"`

	// MapPublicIP concerns instances only: for ECS tasks assignPublicIp decides.
	MapPublicIP           bool   `json:"mapPublicIp,omitempty"`
	NetworkACLAssociation string `json:"networkAclAssociation"` // aclassoc-…
}

// Key returns the row's key.
func (s Subnet) Key() string { return s.Scope.Key(s.ID) }

// ARN returns the subnet's name.
func (s Subnet) ARN() string { return s.Scope.ARN("ec2", "subnet/"+s.ID) }

// Subnets is the table of subnets. Writer: the EC2 service. Index: vpc.
var Subnets = state.NewTable("ec2.subnet", Subnet.Key,
	byOne("vpc", func(s Subnet) string { return s.VPC }),
)

// InternetGateway connects the VPC that it is attached to with the world.
type InternetGateway struct {
	Scope
	ID        string    `json:"id"`            // igw-…
	VPC       string    `json:"vpc,omitempty"` // empty: detached
	CreatedAt time.Time `json:"createdAt"`
	Tags      Tags      `json:"tags,omitempty"`
}

// Key returns the row's key.
func (g InternetGateway) Key() string { return g.Scope.Key(g.ID) }

// InternetGateways is the table of internet gateways. Writer: the EC2 service. Index: vpc.
var InternetGateways = state.NewTable("ec2.igw", InternetGateway.Key,
	byOne("vpc", func(g InternetGateway) string { return g.VPC }),
)

// RouteTable says where packets that leave a subnet go. The routes to the VPC's own ranges are not
// stored: every table has them.
type RouteTable struct {
	Scope
	ID           string                  `json:"id"` // rtb-…
	VPC          string                  `json:"vpc"`
	Routes       []Route                 `json:"routes,omitempty"`
	Associations []RouteTableAssociation `json:"associations,omitempty"`
	ClientToken  string                  `json:"clientToken,omitempty"`
	CreatedAt    time.Time               `json:"createdAt"`
	Tags         Tags                    `json:"tags,omitempty"`
}

// Route sends packets for Destination to an internet gateway.
type Route struct {
	Destination netip.Prefix `json:"destination"`
	Gateway     string       `json:"gateway"` // igw-…; a gateway that is gone makes a blackhole
}

// RouteTableAssociation ties a route table to a subnet, or to all subnets of the VPC that have no
// table of their own.
type RouteTableAssociation struct {
	ID     string `json:"id"`               // rtbassoc-…
	Subnet string `json:"subnet,omitempty"` // empty: the main association
}

// Key returns the row's key.
func (t RouteTable) Key() string { return t.Scope.Key(t.ID) }

// Main reports whether the table is its VPC's main route table.
func (t RouteTable) Main() bool { return t.Serves("") }

// Serves reports whether the table is associated with the subnet; "" asks for the main association.
func (t RouteTable) Serves(subnet string) bool {
	return slices.ContainsFunc(t.Associations, func(a RouteTableAssociation) bool {
		return a.Subnet == subnet
	})
}

// RouteTables is the table of route tables. Writer: the EC2 service.
// Indexes: vpc; association (its id); token (the client's).
var RouteTables = state.NewTable("ec2.rtb", RouteTable.Key,
	byOne("vpc", func(t RouteTable) string { return t.VPC }),
	state.Index[RouteTable]{Name: "association", Keys: func(t RouteTable) (ids []string) {
		for _, a := range t.Associations {
			ids = append(ids, a.ID)
		}
		return ids
	}},
	byOne("token", func(t RouteTable) string { return t.ClientToken }),
)

// SecurityGroup is a set of rules that allow traffic to and from the interfaces in the group.
type SecurityGroup struct {
	Scope
	ID          string              `json:"id"` // sg-…
	VPC         string              `json:"vpc"`
	Name        string              `json:"name"`
	Description string              `json:"description"`
	Rules       []SecurityGroupRule `json:"rules,omitempty"`
	CreatedAt   time.Time           `json:"createdAt"`
	Tags        Tags                `json:"tags,omitempty"`
}

// SecurityGroupRule allows one protocol, one range of ports, one peer. Exactly one of CIDR and
// Group names the peer.
type SecurityGroupRule struct {
	ID       string       `json:"id"` // sgr-…
	Egress   bool         `json:"egress,omitempty"`
	Protocol string       `json:"protocol"` // tcp, udp, icmp, icmpv6, a number, or -1 for all
	From     int32        `json:"from"`     // port, or ICMP type; -1 for all
	To       int32        `json:"to"`       // port, or ICMP code; -1 for all
	CIDR     netip.Prefix `json:"cidr,omitzero"`
	Group    string       `json:"group,omitempty"` // sg-…

	Description string `json:"description,omitempty"`
	Tags        Tags   `json:"tags,omitempty"`
}

// Key returns the row's key.
func (g SecurityGroup) Key() string { return g.Scope.Key(g.ID) }

// ARN returns the group's name.
func (g SecurityGroup) ARN() string { return g.Scope.ARN("ec2", "security-group/"+g.ID) }

// SecurityGroups is the table of security groups. Writer: the EC2 service.
// Indexes: vpc; rule (sgr- id); peer (group ids that rules refer to).
var SecurityGroups = state.NewTable("ec2.sg", SecurityGroup.Key,
	byOne("vpc", func(g SecurityGroup) string { return g.VPC }),
	state.Index[SecurityGroup]{Name: "rule", Keys: func(g SecurityGroup) (ids []string) {
		for _, r := range g.Rules {
			ids = append(ids, r.ID)
		}
		return ids
	}},
	state.Index[SecurityGroup]{Name: "peer", Keys: func(g SecurityGroup) (ids []string) {
		for _, r := range g.Rules {
			if r.Group != "" {
				ids = append(ids, r.Group)
			}
		}
		return ids
	}},
)

// Address is an Elastic IP address: a public address that a client holds until it releases it.
type Address struct {
	Scope
	ID          string     `json:"id"` // eipalloc-…
	Address     netip.Addr `json:"address"`
	Association string     `json:"association,omitempty"` // eipassoc-…
	Interface   string     `json:"interface,omitempty"`   // eni-… whose PublicAddress it is
	CreatedAt   time.Time  `json:"createdAt"`
	Tags        Tags       `json:"tags,omitempty"`
}

// Key returns the row's key.
func (a Address) Key() string { return a.Scope.Key(a.ID) }

// Addresses is the table of Elastic IP addresses. Writers: the EC2 service; package eni, which
// takes the association away with the interface. Indexes: public (address); interface.
var Addresses = state.NewTable("ec2.eip", Address.Key,
	byOne("public", func(a Address) string { return a.Address.String() }),
	byOne("interface", func(a Address) string { return a.Interface }),
)

// PublicPool is the range that public addresses are taken from. There is one per store.
type PublicPool struct {
	Prefix netip.Prefix `json:"prefix"`
}

// PublicPoolKey is the key of the only row in PublicPools.
const PublicPoolKey = "pool"

// PublicPools is the table with the one public pool. Writer: package eni.
var PublicPools = state.NewTable("ec2.pool", func(PublicPool) string { return PublicPoolKey })

func ec2Tables() []state.TableInfo {
	return []state.TableInfo{
		EC2s, VPCs, Subnets, InternetGateways, RouteTables, SecurityGroups,
		NetworkInterfaces, Addresses, PublicPools,
	}
}

// byOne is an index by one value, without the rows that have none.
func byOne[R any](name string, value func(R) string) state.Index[R] {
	return state.Index[R]{Name: name, Keys: func(r R) []string {
		if v := value(r); v != "" {
			return []string{v}
		}
		return nil
	}}
}
