package ec2

import (
	"context"
	"net/netip"
	"regexp"
	"strings"

	"fairlead/internal/api/ec2"
	"fairlead/internal/aws"
	"fairlead/internal/row"
	"fairlead/internal/state"
	"fairlead/internal/wire"
)

// maxGroups is the AWS quota "VPC security groups per Region".
const maxGroups = 2500

// defaultGroup is the name of the group that every VPC has from the start.
const defaultGroup = "default"

func (s *Service) registerSecurityGroups(r *wire.Router) {
	wire.Handle(r, ec2.OpCreateSecurityGroup, s.CreateSecurityGroup)
	wire.Handle(r, ec2.OpDeleteSecurityGroup, s.DeleteSecurityGroup)
	wire.Handle(r, ec2.OpDescribeSecurityGroups, s.DescribeSecurityGroups)
	wire.Handle(r, ec2.OpDescribeSecurityGroupRules, s.DescribeSecurityGroupRules)
	wire.Handle(r, ec2.OpAuthorizeSecurityGroupIngress, s.AuthorizeSecurityGroupIngress)
	wire.Handle(r, ec2.OpAuthorizeSecurityGroupEgress, s.AuthorizeSecurityGroupEgress)
	wire.Handle(r, ec2.OpRevokeSecurityGroupIngress, s.RevokeSecurityGroupIngress)
	wire.Handle(r, ec2.OpRevokeSecurityGroupEgress, s.RevokeSecurityGroupEgress)
	wire.Handle(r, ec2.OpModifySecurityGroupRules, s.ModifySecurityGroupRules)
	wire.Handle(r, ec2.OpUpdateSecurityGroupRuleDescriptionsIngress,
		s.UpdateSecurityGroupRuleDescriptionsIngress)
	wire.Handle(r, ec2.OpUpdateSecurityGroupRuleDescriptionsEgress,
		s.UpdateSecurityGroupRuleDescriptionsEgress)
}

// CreateSecurityGroup makes a group that allows nothing in and everything out.
func (s *Service) CreateSecurityGroup(
	ctx context.Context, in *ec2.CreateSecurityGroupInput,
) (*ec2.CreateSecurityGroupOutput, error) {
	tags, err := tagsOf(in.TagSpecifications, groupKind)
	if err != nil {
		return nil, err
	}
	if err := checkGroupText(aws.Val(in.GroupName), aws.Val(in.Description)); err != nil {
		return nil, err
	}
	return change(ctx, s, in.DryRun,
		func(tx *state.Tx, scope row.Scope) (*ec2.CreateSecurityGroupOutput, error) {
			v, err := vpcOrDefault(tx, scope, in.VpcId)
			if err != nil {
				return nil, err
			}
			g := row.SecurityGroup{
				Scope: scope, ID: newID("sg"), VPC: v.ID, Name: *in.GroupName,
				Description: *in.Description, CreatedAt: now(), Tags: tags,
				Rules: []row.SecurityGroupRule{allOut()},
			}
			if err := checkNewGroup(tx, g); err != nil {
				return nil, err
			}
			row.SecurityGroups.Put(tx, g)
			return &ec2.CreateSecurityGroupOutput{
				GroupId: new(g.ID), SecurityGroupArn: new(g.ARN()), Tags: wireTags(g.Tags),
			}, nil
		})
}

// groupText is what names and descriptions of groups and rules are made of.
var groupText = regexp.MustCompile(`^[a-zA-Z0-9. _\-:/()#,@\[\]+=&;{}!$*]{0,255}$`)

func checkGroupText(name, description string) error {
	switch {
	case name == "":
		return missing("groupName")
	case description == "":
		return missing("groupDescription")
	case name == defaultGroup:
		return invalid("Cannot use reserved security group name: %s", name)
	case strings.HasPrefix(name, "sg-"):
		return invalid("Group names may not be in the format sg-*.")
	case !groupText.MatchString(name):
		return invalid("Value (%s) for parameter groupName is invalid. Character sets beyond "+
			"ASCII are not supported.", name)
	case !groupText.MatchString(description):
		return invalid("Invalid security group description. Valid descriptions are strings less " +
			"than 256 characters from the following set:  a-zA-Z0-9. _-:/()#,@[]+=&;{}!$*")
	}
	return nil
}

func checkNewGroup(tx *state.Tx, g row.SecurityGroup) error {
	for other := range row.SecurityGroups.By(tx, "vpc", g.VPC) {
		if other.Name == g.Name {
			return aws.NewFault("InvalidGroup.Duplicate",
				"The security group '%s' already exists for VPC '%s'", g.Name, g.VPC)
		}
	}
	if count(row.SecurityGroups.Scan(tx, g.Scope.Key(""))) >= maxGroups {
		return aws.NewFault("SecurityGroupLimitExceeded",
			"The maximum number of security groups has been reached.")
	}
	return nil
}

// vpcOrDefault returns the VPC with the id, or the default VPC when there is no id.
func vpcOrDefault(r state.Reader, scope row.Scope, id *string) (row.VPC, error) {
	if id != nil {
		return find(r, row.VPCs, vpcKind, scope, id)
	}
	v, ok := defaultVPC(r, scope)
	if !ok {
		return v, aws.NewFault("VPCIdNotSpecified", "No default VPC for this user")
	}
	return v, nil
}

// putDefaultGroup adds the group of those who name none: open between its members, and to the
// world.
func putDefaultGroup(tx *state.Tx, v row.VPC) {
	g := row.SecurityGroup{
		Scope: v.Scope, ID: newID("sg"), VPC: v.ID, Name: defaultGroup,
		Description: "default VPC security group", CreatedAt: v.CreatedAt,
	}
	fromMembers := row.SecurityGroupRule{
		ID: newID("sgr"), Protocol: anyProtocol, From: -1, To: -1, Group: g.ID,
	}
	g.Rules = []row.SecurityGroupRule{fromMembers, allOut()}
	row.SecurityGroups.Put(tx, g)
}

// allOut is the rule that a new group begins with.
func allOut() row.SecurityGroupRule {
	return row.SecurityGroupRule{
		ID: newID("sgr"), Egress: true, Protocol: anyProtocol, From: -1, To: -1,
		CIDR: netip.PrefixFrom(netip.IPv4Unspecified(), 0),
	}
}

// DeleteSecurityGroup removes a group that no interface is in and no rule of another group names.
func (s *Service) DeleteSecurityGroup(
	ctx context.Context, in *ec2.DeleteSecurityGroupInput,
) (*ec2.DeleteSecurityGroupOutput, error) {
	return change(ctx, s, in.DryRun,
		func(tx *state.Tx, scope row.Scope) (*ec2.DeleteSecurityGroupOutput, error) {
			g, err := findGroup(tx, scope, in.GroupId, in.GroupName)
			if err != nil {
				return nil, err
			}
			if g.Name == defaultGroup {
				return nil, aws.NewFault("CannotDelete", "the specified group: \"%s\" "+
					"name: \"%s\" cannot be deleted by a user", g.ID, g.Name)
			}
			if groupInUse(tx, g) {
				return nil, dependency("resource %s has a dependent object", g.ID)
			}
			row.SecurityGroups.Delete(tx, g.Key())
			return &ec2.DeleteSecurityGroupOutput{GroupId: new(g.ID), Return: new(true)}, nil
		})
}

func groupInUse(r state.Reader, g row.SecurityGroup) bool {
	if _, used := row.First(row.NetworkInterfaces.By(r, "group", g.ID)); used {
		return true
	}
	for other := range row.SecurityGroups.By(r, "peer", g.ID) {
		if other.ID != g.ID {
			return true
		}
	}
	return false
}

// findGroup returns the group with the id, or the group of the default VPC with the name.
func findGroup(r state.Reader, scope row.Scope, id, name *string) (row.SecurityGroup, error) {
	if id != nil {
		return find(r, row.SecurityGroups, groupKind, scope, id)
	}
	if name == nil {
		return row.SecurityGroup{}, missing("groupName or groupId")
	}
	v, err := vpcOrDefault(r, scope, nil)
	if err != nil {
		return row.SecurityGroup{}, err
	}
	return groupByName(r, v, *name)
}

func groupByName(r state.Reader, v row.VPC, name string) (row.SecurityGroup, error) {
	for g := range row.SecurityGroups.By(r, "vpc", v.ID) {
		if g.Name == name {
			return g, nil
		}
	}
	return row.SecurityGroup{}, aws.NewFault("InvalidGroup.NotFound",
		"The security group '%s' does not exist in VPC '%s'", name, v.ID)
}
