package ec2

import (
	"context"

	"fairlead/internal/api/ec2"
	"fairlead/internal/row"
	"fairlead/internal/state"
)

// lastRule is the number of the rule that ends every network ACL: deny everything.
const lastRule = 32767

// DescribeNetworkAcls lists the default network ACL of every VPC. It allows everything; others
// cannot be made yet.
func (s *Service) DescribeNetworkAcls(
	ctx context.Context, in *ec2.DescribeNetworkAclsInput,
) (*ec2.DescribeNetworkAclsOutput, error) {
	r, scope, err := s.view(ctx, in.DryRun)
	if err != nil {
		return nil, err
	}
	all := wireAll(row.VPCs.Scan(r, scope.Key("")),
		func(v row.VPC) ec2.NetworkAcl { return wireACL(r, v) })
	page, next, err := aclCatalog.list(all,
		query{in.NetworkAclIds, in.Filters, in.MaxResults, in.NextToken})
	if err != nil {
		return nil, err
	}
	return &ec2.DescribeNetworkAclsOutput{NetworkAcls: page, NextToken: next}, nil
}

func wireACL(r state.Reader, v row.VPC) ec2.NetworkAcl {
	wire := ec2.NetworkAcl{
		NetworkAclId: new(v.NetworkACL), VpcId: new(v.ID), OwnerId: new(v.Account),
		IsDefault: new(true), Associations: []ec2.NetworkAclAssociation{},
		Tags: wireTags(v.NetworkACLTags),
	}
	for _, egress := range []bool{true, false} {
		wire.Entries = append(wire.Entries,
			aclEntry(egress, 100, ec2.RuleActionAllow),
			aclEntry(egress, lastRule, ec2.RuleActionDeny))
	}
	for subnet := range row.Subnets.By(r, "vpc", v.ID) {
		wire.Associations = append(wire.Associations, ec2.NetworkAclAssociation{
			NetworkAclAssociationId: new(subnet.NetworkACLAssociation),
			NetworkAclId:            new(v.NetworkACL), SubnetId: new(subnet.ID),
		})
	}
	return wire
}

func aclEntry(egress bool, rule int32, action ec2.RuleAction) ec2.NetworkAclEntry {
	return ec2.NetworkAclEntry{
		CidrBlock: new("0.0.0.0/0"), Protocol: new("-1"),
		Egress: new(egress), RuleNumber: new(rule), RuleAction: action,
	}
}

var aclCatalog = catalog[ec2.NetworkAcl]{
	kind: aclKind,
	id:   func(a ec2.NetworkAcl) string { return *a.NetworkAclId },
	tags: func(a ec2.NetworkAcl) []ec2.Tag { return a.Tags },
	filters: filters[ec2.NetworkAcl]{
		"association.association-id": aclAssociations(
			func(a ec2.NetworkAclAssociation) []string { return one(a.NetworkAclAssociationId) }),
		"association.network-acl-id": aclAssociations(
			func(a ec2.NetworkAclAssociation) []string { return one(a.NetworkAclId) }),
		"association.subnet-id": aclAssociations(
			func(a ec2.NetworkAclAssociation) []string { return one(a.SubnetId) }),
		"default": func(a ec2.NetworkAcl) []string { return flag(a.IsDefault) },
		"entry.cidr": aclEntries(func(e ec2.NetworkAclEntry) []string {
			return one(e.CidrBlock)
		}),
		"entry.egress": aclEntries(func(e ec2.NetworkAclEntry) []string {
			return flag(e.Egress)
		}),
		"entry.icmp.code":       never[ec2.NetworkAcl],
		"entry.icmp.type":       never[ec2.NetworkAcl],
		"entry.ipv6-cidr":       never[ec2.NetworkAcl],
		"entry.port-range.from": never[ec2.NetworkAcl],
		"entry.port-range.to":   never[ec2.NetworkAcl],
		"entry.protocol": aclEntries(func(e ec2.NetworkAclEntry) []string {
			return one(e.Protocol)
		}),
		"entry.rule-action": aclEntries(func(e ec2.NetworkAclEntry) []string {
			return enum(e.RuleAction)
		}),
		"entry.rule-number": aclEntries(func(e ec2.NetworkAclEntry) []string {
			return number(e.RuleNumber)
		}),
		"network-acl-id": func(a ec2.NetworkAcl) []string { return one(a.NetworkAclId) },
		"owner-id":       func(a ec2.NetworkAcl) []string { return one(a.OwnerId) },
		"vpc-id":         func(a ec2.NetworkAcl) []string { return one(a.VpcId) },
	},
}

func aclAssociations(value func(ec2.NetworkAclAssociation) []string) func(ec2.NetworkAcl) []string {
	return func(a ec2.NetworkAcl) []string { return each(a.Associations, value) }
}

func aclEntries(value func(ec2.NetworkAclEntry) []string) func(ec2.NetworkAcl) []string {
	return func(a ec2.NetworkAcl) []string { return each(a.Entries, value) }
}
