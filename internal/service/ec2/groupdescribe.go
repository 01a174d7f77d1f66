package ec2

import (
	"context"
	"slices"

	"fairlead/internal/api/ec2"
	"fairlead/internal/aws"
	"fairlead/internal/row"
)

// DescribeSecurityGroups lists security groups with their rules, gathered by protocol and ports.
func (s *Service) DescribeSecurityGroups(
	ctx context.Context, in *ec2.DescribeSecurityGroupsInput,
) (*ec2.DescribeSecurityGroupsOutput, error) {
	r, scope, err := s.view(ctx, in.DryRun)
	if err != nil {
		return nil, err
	}
	ids := slices.Clone(in.GroupIds)
	for _, name := range in.GroupNames {
		g, err := findGroup(r, scope, nil, &name)
		if err != nil {
			return nil, err
		}
		ids = append(ids, g.ID)
	}
	page, next, err := groupCatalog.list(
		wireAll(row.SecurityGroups.Scan(r, scope.Key("")), wireGroup),
		query{ids, in.Filters, in.MaxResults, in.NextToken})
	if err != nil {
		return nil, err
	}
	return &ec2.DescribeSecurityGroupsOutput{SecurityGroups: page, NextToken: next}, nil
}

func wireGroup(g row.SecurityGroup) ec2.SecurityGroup {
	return ec2.SecurityGroup{
		GroupId: new(g.ID), GroupName: new(g.Name), Description: new(g.Description),
		VpcId: new(g.VPC), OwnerId: new(g.Account), SecurityGroupArn: new(g.ARN()),
		IpPermissions:       permissions(g, false),
		IpPermissionsEgress: permissions(g, true),
		Tags:                wireTags(g.Tags),
	}
}

var groupCatalog = catalog[ec2.SecurityGroup]{
	kind: groupKind,
	id:   func(g ec2.SecurityGroup) string { return *g.GroupId },
	tags: func(g ec2.SecurityGroup) []ec2.Tag { return g.Tags },
	filters: permissionFilters(filters[ec2.SecurityGroup]{
		"description": func(g ec2.SecurityGroup) []string { return one(g.Description) },
		"group-id":    func(g ec2.SecurityGroup) []string { return one(g.GroupId) },
		"group-name":  func(g ec2.SecurityGroup) []string { return one(g.GroupName) },
		"owner-id":    func(g ec2.SecurityGroup) []string { return one(g.OwnerId) },
		"vpc-id":      func(g ec2.SecurityGroup) []string { return one(g.VpcId) },
	}),
}

// permissionFilters adds the filters by rules, which exist for both directions.
func permissionFilters(f filters[ec2.SecurityGroup]) filters[ec2.SecurityGroup] {
	for name, value := range map[string]func(ec2.IpPermission) []string{
		"cidr": func(p ec2.IpPermission) []string {
			return each(p.IpRanges, func(r ec2.IpRange) []string { return one(r.CidrIp) })
		},
		"ipv6-cidr": func(p ec2.IpPermission) []string {
			return each(p.Ipv6Ranges, func(r ec2.Ipv6Range) []string { return one(r.CidrIpv6) })
		},
		"from-port": func(p ec2.IpPermission) []string { return number(p.FromPort) },
		"to-port":   func(p ec2.IpPermission) []string { return number(p.ToPort) },
		"protocol":  func(p ec2.IpPermission) []string { return one(p.IpProtocol) },
		"group-id": func(p ec2.IpPermission) []string {
			return each(p.UserIdGroupPairs,
				func(g ec2.UserIdGroupPair) []string { return one(g.GroupId) })
		},
		"group-name": func(p ec2.IpPermission) []string {
			return each(p.UserIdGroupPairs,
				func(g ec2.UserIdGroupPair) []string { return one(g.GroupName) })
		},
		"user-id": func(p ec2.IpPermission) []string {
			return each(p.UserIdGroupPairs,
				func(g ec2.UserIdGroupPair) []string { return one(g.UserId) })
		},
		"prefix-list-id": never[ec2.IpPermission],
	} {
		f["ip-permission."+name] = func(g ec2.SecurityGroup) []string {
			return each(g.IpPermissions, value)
		}
		f["egress.ip-permission."+name] = func(g ec2.SecurityGroup) []string {
			return each(g.IpPermissionsEgress, value)
		}
	}
	return f
}

// DescribeSecurityGroupRules lists rules one by one.
func (s *Service) DescribeSecurityGroupRules(
	ctx context.Context, in *ec2.DescribeSecurityGroupRulesInput,
) (*ec2.DescribeSecurityGroupRulesOutput, error) {
	r, scope, err := s.view(ctx, in.DryRun)
	if err != nil {
		return nil, err
	}
	var all []ec2.SecurityGroupRule
	for g := range row.SecurityGroups.Scan(r, scope.Key("")) {
		for _, rule := range g.Rules {
			all = append(all, wireRule(g, rule))
		}
	}
	page, next, err := ruleCatalog.list(all,
		query{in.SecurityGroupRuleIds, in.Filters, in.MaxResults, in.NextToken})
	if err != nil {
		return nil, err
	}
	return &ec2.DescribeSecurityGroupRulesOutput{SecurityGroupRules: page, NextToken: next}, nil
}

var ruleCatalog = catalog[ec2.SecurityGroupRule]{
	kind: ruleKind,
	id:   func(r ec2.SecurityGroupRule) string { return aws.Val(r.SecurityGroupRuleId) },
	tags: func(r ec2.SecurityGroupRule) []ec2.Tag { return r.Tags },
	filters: filters[ec2.SecurityGroupRule]{
		"group-id": func(r ec2.SecurityGroupRule) []string { return one(r.GroupId) },
		"security-group-rule-id": func(r ec2.SecurityGroupRule) []string {
			return one(r.SecurityGroupRuleId)
		},
	},
}
