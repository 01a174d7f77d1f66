package ec2

import (
	"context"
	"slices"

	"fairlead/internal/api/ec2"
	"fairlead/internal/aws"
	"fairlead/internal/row"
	"fairlead/internal/state"
)

// ModifySecurityGroupRules gives rules new contents under their old ids.
func (s *Service) ModifySecurityGroupRules(
	ctx context.Context, in *ec2.ModifySecurityGroupRulesInput,
) (*ec2.ModifySecurityGroupRulesOutput, error) {
	return change(ctx, s, in.DryRun,
		func(tx *state.Tx, scope row.Scope) (*ec2.ModifySecurityGroupRulesOutput, error) {
			g, err := find(tx, row.SecurityGroups, groupKind, scope, in.GroupId)
			if err != nil {
				return nil, err
			}
			g.Rules = slices.Clone(g.Rules)
			for _, update := range in.SecurityGroupRules {
				if err := modifyRule(tx, &g, update); err != nil {
					return nil, err
				}
			}
			row.SecurityGroups.Put(tx, g)
			return &ec2.ModifySecurityGroupRulesOutput{Return: new(true)}, nil
		})
}

func modifyRule(tx *state.Tx, g *row.SecurityGroup, update ec2.SecurityGroupRuleUpdate) error {
	id := aws.Val(update.SecurityGroupRuleId)
	if err := ruleKind.check(id); err != nil {
		return err
	}
	at := indexOfRule(*g, id)
	if at < 0 {
		return ruleKind.absent(id)
	}
	if update.SecurityGroupRule == nil {
		return missing("SecurityGroupRule")
	}
	old := g.Rules[at]
	p, err := permissionOf(*update.SecurityGroupRule)
	if err != nil {
		return err
	}
	rules, err := asker{tx, *g, old.Egress}.rules([]ec2.IpPermission{p})
	if err != nil {
		return err
	}
	changed := rules[0]
	changed.ID, changed.Tags = old.ID, old.Tags
	others := slices.Delete(slices.Clone(g.Rules), at, at+1)
	if _, err := addRule(others, changed); err != nil {
		return err
	}
	g.Rules[at] = changed
	return nil
}

// permissionOf turns the other way to say a rule into a permission with one peer.
func permissionOf(r ec2.SecurityGroupRuleRequest) (ec2.IpPermission, error) {
	p := ec2.IpPermission{IpProtocol: r.IpProtocol, FromPort: r.FromPort, ToPort: r.ToPort}
	peers := 0
	if r.CidrIpv4 != nil {
		p.IpRanges = []ec2.IpRange{{CidrIp: r.CidrIpv4, Description: r.Description}}
		peers++
	}
	if r.CidrIpv6 != nil {
		p.Ipv6Ranges = []ec2.Ipv6Range{{CidrIpv6: r.CidrIpv6, Description: r.Description}}
		peers++
	}
	if r.PrefixListId != nil {
		p.PrefixListIds = []ec2.PrefixListId{{PrefixListId: r.PrefixListId}}
		peers++
	}
	if r.ReferencedGroupId != nil {
		p.UserIdGroupPairs = []ec2.UserIdGroupPair{
			{GroupId: r.ReferencedGroupId, Description: r.Description},
		}
		peers++
	}
	if peers != 1 {
		return p, aws.NewFault("InvalidParameterCombination", "Exactly one of CidrIpv4, CidrIpv6, "+
			"PrefixListId and ReferencedGroupId must be specified.")
	}
	return p, nil
}

// UpdateSecurityGroupRuleDescriptionsIngress changes descriptions of rules for what may come in.
func (s *Service) UpdateSecurityGroupRuleDescriptionsIngress(
	ctx context.Context, in *ec2.UpdateSecurityGroupRuleDescriptionsIngressInput,
) (*ec2.UpdateSecurityGroupRuleDescriptionsIngressOutput, error) {
	err := s.describeRules(ctx, ruleCall{dryRun: in.DryRun, groupID: in.GroupId,
		groupName: in.GroupName, permissions: in.IpPermissions}, in.SecurityGroupRuleDescriptions)
	if err != nil {
		return nil, err
	}
	return &ec2.UpdateSecurityGroupRuleDescriptionsIngressOutput{Return: new(true)}, nil
}

// UpdateSecurityGroupRuleDescriptionsEgress changes descriptions of rules for what may go out.
func (s *Service) UpdateSecurityGroupRuleDescriptionsEgress(
	ctx context.Context, in *ec2.UpdateSecurityGroupRuleDescriptionsEgressInput,
) (*ec2.UpdateSecurityGroupRuleDescriptionsEgressOutput, error) {
	err := s.describeRules(ctx, ruleCall{egress: true, dryRun: in.DryRun, groupID: in.GroupId,
		groupName: in.GroupName, permissions: in.IpPermissions}, in.SecurityGroupRuleDescriptions)
	if err != nil {
		return nil, err
	}
	return &ec2.UpdateSecurityGroupRuleDescriptionsEgressOutput{Return: new(true)}, nil
}

// describeRules sets descriptions of rules that are named by their contents or by their ids.
func (s *Service) describeRules(
	ctx context.Context, c ruleCall, byID []ec2.SecurityGroupRuleDescription,
) error {
	_, err := change(ctx, s, c.dryRun, func(tx *state.Tx, scope row.Scope) (*struct{}, error) {
		g, err := findGroup(tx, scope, c.groupID, c.groupName)
		if err != nil {
			return nil, err
		}
		g.Rules = slices.Clone(g.Rules)
		if len(byID) > 0 {
			err = describeByID(&g, c.egress, byID)
		} else {
			err = describeByPermission(tx, &g, c)
		}
		if err == nil {
			row.SecurityGroups.Put(tx, g)
		}
		return nil, err
	})
	return err
}

func describeByID(g *row.SecurityGroup, egress bool, all []ec2.SecurityGroupRuleDescription) error {
	for _, d := range all {
		id := aws.Val(d.SecurityGroupRuleId)
		at := indexOfRule(*g, id)
		if at < 0 || g.Rules[at].Egress != egress {
			return ruleKind.absent(id)
		}
		if err := checkRuleText(aws.Val(d.Description)); err != nil {
			return err
		}
		g.Rules[at].Description = aws.Val(d.Description)
	}
	return nil
}

func describeByPermission(tx *state.Tx, g *row.SecurityGroup, c ruleCall) error {
	rules, err := asker{tx, *g, c.egress}.rules(c.permissions)
	if err != nil {
		return err
	}
	for _, rule := range rules {
		at := slices.IndexFunc(g.Rules, func(r row.SecurityGroupRule) bool {
			return sameRule(r, rule)
		})
		if at < 0 {
			return aws.NewFault("InvalidPermission.NotFound",
				"The specified rule does not exist in this security group.")
		}
		g.Rules[at].Description = rule.Description
	}
	return nil
}
