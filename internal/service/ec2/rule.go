package ec2

import (
	"context"
	"slices"

	"fairlead/internal/api/ec2"
	"fairlead/internal/aws"
	"fairlead/internal/row"
	"fairlead/internal/state"
)

// maxRules is the AWS quota "Inbound or outbound rules per security group", for each direction.
const maxRules = 60

// ruleCall is what the calls that authorize and revoke have in common.
type ruleCall struct {
	egress                 bool
	dryRun                 *bool
	groupID, groupName     *string
	permissions            []ec2.IpPermission
	protocol, cidr, source *string // the older way to say one permission
	from, to               *int32
	tags                   []ec2.TagSpecification
	ids                    []string // of rules; only to revoke
}

// all returns the permissions of the call, however they were said.
func (c ruleCall) all() []ec2.IpPermission {
	if c.cidr == nil && c.source == nil {
		return c.permissions
	}
	p := ec2.IpPermission{IpProtocol: c.protocol, FromPort: c.from, ToPort: c.to}
	if c.cidr != nil {
		p.IpRanges = []ec2.IpRange{{CidrIp: c.cidr}}
	}
	if c.source != nil {
		p.UserIdGroupPairs = []ec2.UserIdGroupPair{{GroupName: c.source}}
		p.IpProtocol = new(aws.Or(c.protocol, anyProtocol))
	}
	return append(slices.Clone(c.permissions), p)
}

// AuthorizeSecurityGroupIngress adds rules for what may come in.
func (s *Service) AuthorizeSecurityGroupIngress(
	ctx context.Context, in *ec2.AuthorizeSecurityGroupIngressInput,
) (*ec2.AuthorizeSecurityGroupIngressOutput, error) {
	rules, err := s.authorize(ctx, ruleCall{
		dryRun: in.DryRun, groupID: in.GroupId, groupName: in.GroupName,
		permissions: in.IpPermissions, protocol: in.IpProtocol, from: in.FromPort, to: in.ToPort,
		cidr: in.CidrIp, source: in.SourceSecurityGroupName, tags: in.TagSpecifications,
	})
	if err != nil {
		return nil, err
	}
	return &ec2.AuthorizeSecurityGroupIngressOutput{
		Return: new(true), SecurityGroupRules: rules,
	}, nil
}

// AuthorizeSecurityGroupEgress adds rules for what may go out.
func (s *Service) AuthorizeSecurityGroupEgress(
	ctx context.Context, in *ec2.AuthorizeSecurityGroupEgressInput,
) (*ec2.AuthorizeSecurityGroupEgressOutput, error) {
	rules, err := s.authorize(ctx, ruleCall{
		egress: true, dryRun: in.DryRun, groupID: in.GroupId,
		permissions: in.IpPermissions, protocol: in.IpProtocol, from: in.FromPort, to: in.ToPort,
		cidr: in.CidrIp, source: in.SourceSecurityGroupName, tags: in.TagSpecifications,
	})
	if err != nil {
		return nil, err
	}
	return &ec2.AuthorizeSecurityGroupEgressOutput{
		Return: new(true), SecurityGroupRules: rules,
	}, nil
}

func (s *Service) authorize(ctx context.Context, c ruleCall) ([]ec2.SecurityGroupRule, error) {
	tags, err := tagsOf(c.tags, ruleKind)
	if err != nil {
		return nil, err
	}
	out, err := change(ctx, s, c.dryRun,
		func(tx *state.Tx, scope row.Scope) (*[]ec2.SecurityGroupRule, error) {
			g, err := findGroup(tx, scope, c.groupID, c.groupName)
			if err != nil {
				return nil, err
			}
			rules, err := asker{tx, g, c.egress}.rules(c.all())
			if err != nil {
				return nil, err
			}
			g.Rules = slices.Clone(g.Rules)
			shown := []ec2.SecurityGroupRule{}
			for _, rule := range rules {
				rule.ID, rule.Tags = newID("sgr"), tags
				if g.Rules, err = addRule(g.Rules, rule); err != nil {
					return nil, err
				}
				shown = append(shown, wireRule(g, rule))
			}
			row.SecurityGroups.Put(tx, g)
			return &shown, nil
		})
	return aws.Val(out), err
}

// addRule appends a rule that is not there yet.
func addRule(
	rules []row.SecurityGroupRule, rule row.SecurityGroupRule,
) ([]row.SecurityGroupRule, error) {
	n := 0
	for _, r := range rules {
		if sameRule(r, rule) {
			return nil, aws.NewFault("InvalidPermission.Duplicate",
				"the specified rule \"%s\" already exists", ruleText(rule))
		}
		if r.Egress == rule.Egress {
			n++
		}
	}
	if n >= maxRules {
		return nil, aws.NewFault("RulesPerSecurityGroupLimitExceeded",
			"The maximum number of rules per security group has been reached.")
	}
	return append(rules, rule), nil
}

// RevokeSecurityGroupIngress removes rules for what may come in.
func (s *Service) RevokeSecurityGroupIngress(
	ctx context.Context, in *ec2.RevokeSecurityGroupIngressInput,
) (*ec2.RevokeSecurityGroupIngressOutput, error) {
	out, err := s.revoke(ctx, ruleCall{
		dryRun: in.DryRun, groupID: in.GroupId, groupName: in.GroupName,
		permissions: in.IpPermissions, protocol: in.IpProtocol, from: in.FromPort, to: in.ToPort,
		cidr: in.CidrIp, source: in.SourceSecurityGroupName, ids: in.SecurityGroupRuleIds,
	})
	if err != nil {
		return nil, err
	}
	return &ec2.RevokeSecurityGroupIngressOutput{Return: new(true),
		RevokedSecurityGroupRules: out.revoked, UnknownIpPermissions: out.unknown}, nil
}

// RevokeSecurityGroupEgress removes rules for what may go out.
func (s *Service) RevokeSecurityGroupEgress(
	ctx context.Context, in *ec2.RevokeSecurityGroupEgressInput,
) (*ec2.RevokeSecurityGroupEgressOutput, error) {
	out, err := s.revoke(ctx, ruleCall{
		egress: true, dryRun: in.DryRun, groupID: in.GroupId,
		permissions: in.IpPermissions, protocol: in.IpProtocol, from: in.FromPort, to: in.ToPort,
		cidr: in.CidrIp, source: in.SourceSecurityGroupName, ids: in.SecurityGroupRuleIds,
	})
	if err != nil {
		return nil, err
	}
	return &ec2.RevokeSecurityGroupEgressOutput{Return: new(true),
		RevokedSecurityGroupRules: out.revoked, UnknownIpPermissions: out.unknown}, nil
}

// revocation is what came of revoking rules.
type revocation struct {
	revoked []ec2.RevokedSecurityGroupRule
	unknown []ec2.IpPermission
}

func (s *Service) revoke(ctx context.Context, c ruleCall) (*revocation, error) {
	return change(ctx, s, c.dryRun, func(tx *state.Tx, scope row.Scope) (*revocation, error) {
		g, err := findGroup(tx, scope, c.groupID, c.groupName)
		if err != nil {
			return nil, err
		}
		var out revocation
		g.Rules = slices.Clone(g.Rules)
		if len(c.ids) > 0 {
			err = out.byID(&g, c)
		} else {
			err = out.byPermission(tx, &g, c)
		}
		if err != nil {
			return nil, err
		}
		row.SecurityGroups.Put(tx, g)
		return &out, nil
	})
}

func (out *revocation) byID(g *row.SecurityGroup, c ruleCall) error {
	for _, id := range c.ids {
		if err := ruleKind.check(id); err != nil {
			return err
		}
		at := slices.IndexFunc(g.Rules, func(r row.SecurityGroupRule) bool {
			return r.ID == id && r.Egress == c.egress
		})
		if at < 0 {
			return ruleKind.absent(id)
		}
		out.remove(g, at)
	}
	return nil
}

// byPermission removes the rules that the permissions say. In a default VPC it passes over those
// that are not there; elsewhere they are a fault.
// https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_RevokeSecurityGroupIngress.html
func (out *revocation) byPermission(tx *state.Tx, g *row.SecurityGroup, c ruleCall) error {
	rules, err := asker{tx, *g, c.egress}.rules(c.all())
	if err != nil {
		return err
	}
	v, _ := row.VPCs.Get(tx, g.Scope.Key(g.VPC))
	for _, rule := range rules {
		at := slices.IndexFunc(g.Rules, func(r row.SecurityGroupRule) bool {
			return sameRule(r, rule)
		})
		if at >= 0 {
			out.remove(g, at)
			continue
		}
		if !v.Default {
			return aws.NewFault("InvalidPermission.NotFound",
				"The specified rule does not exist in this security group.")
		}
		p := permissionFor(rule)
		addPeer(&p, *g, rule)
		out.unknown = append(out.unknown, p)
	}
	return nil
}

func (out *revocation) remove(g *row.SecurityGroup, at int) {
	r := g.Rules[at]
	wire := ec2.RevokedSecurityGroupRule{
		SecurityGroupRuleId: new(r.ID), GroupId: new(g.ID), IsEgress: new(r.Egress),
		IpProtocol: new(r.Protocol), FromPort: new(r.From), ToPort: new(r.To),
		Description: wireText(r.Description), ReferencedGroupId: wireText(r.Group),
	}
	switch {
	case r.Group != "":
	case r.CIDR.Addr().Is6():
		wire.CidrIpv6 = new(r.CIDR.String())
	default:
		wire.CidrIpv4 = new(r.CIDR.String())
	}
	out.revoked = append(out.revoked, wire)
	g.Rules = slices.Delete(g.Rules, at, at+1)
}

// findRule returns the rule with the id: its group, and where it stands there.
func findRule(r state.Reader, scope row.Scope, id string) (row.SecurityGroup, int, error) {
	if err := ruleKind.check(id); err != nil {
		return row.SecurityGroup{}, 0, err
	}
	for g := range row.SecurityGroups.By(r, "rule", id) {
		if g.Scope == scope {
			return g, indexOfRule(g, id), nil
		}
	}
	return row.SecurityGroup{}, 0, ruleKind.absent(id)
}

func indexOfRule(g row.SecurityGroup, id string) int {
	return slices.IndexFunc(g.Rules, func(r row.SecurityGroupRule) bool { return r.ID == id })
}
