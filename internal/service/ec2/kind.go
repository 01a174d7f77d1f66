package ec2

import (
	"strings"

	"fairlead/internal/api/ec2"
	"fairlead/internal/aws"
	"fairlead/internal/row"
	"fairlead/internal/state"
)

// kind is a kind of resource, the way its ids begin and its faults read. EC2 is not regular here:
// the same kind may be ID in one code and Id in the other.
type kind struct {
	prefix    string // of ids, without the dash
	noun      string // "The vpc ID", as sentences begin
	notFound  string // fault code
	malformed string // fault code
	resource  ec2.ResourceType
}

var (
	vpcKind = kind{"vpc", "The vpc ID",
		"InvalidVpcID.NotFound", "InvalidVpcID.Malformed", ec2.ResourceTypeVpc}
	subnetKind = kind{"subnet", "The subnet ID",
		"InvalidSubnetID.NotFound", "InvalidSubnetID.Malformed", ec2.ResourceTypeSubnet}
	gatewayKind = kind{"igw", "The internetGateway ID",
		"InvalidInternetGatewayID.NotFound", "InvalidInternetGatewayId.Malformed",
		ec2.ResourceTypeInternetGateway}
	routeTableKind = kind{"rtb", "The routeTable ID",
		"InvalidRouteTableID.NotFound", "InvalidRouteTableId.Malformed", ec2.ResourceTypeRouteTable}
	groupKind = kind{"sg", "The security group",
		"InvalidGroup.NotFound", "InvalidGroupId.Malformed", ec2.ResourceTypeSecurityGroup}
	ruleKind = kind{"sgr", "The security group rule ID",
		"InvalidSecurityGroupRuleId.NotFound", "InvalidSecurityGroupRuleId.Malformed",
		ec2.ResourceTypeSecurityGroupRule}
	interfaceKind = kind{"eni", "The networkInterface ID",
		"InvalidNetworkInterfaceID.NotFound", "InvalidNetworkInterfaceId.Malformed",
		ec2.ResourceTypeNetworkInterface}
	aclKind = kind{"acl", "The networkAcl ID",
		"InvalidNetworkAclID.NotFound", "InvalidNetworkAclId.Malformed", ec2.ResourceTypeNetworkAcl}
	dhcpKind = kind{"dopt", "The dhcpOption ID",
		"InvalidDhcpOptionID.NotFound", "InvalidDhcpOptionsId.Malformed",
		ec2.ResourceTypeDhcpOptions}
	addressKind = kind{"eipalloc", "The allocation ID",
		"InvalidAllocationID.NotFound", "InvalidAllocationId.Malformed", ec2.ResourceTypeElasticIp}
)

// newID returns a fresh id: the prefix, a dash and 17 hex digits.
func newID(prefix string) string { return prefix + "-" + aws.HexID(17) }

// check refuses what cannot be an id of the kind.
func (k kind) check(id string) error {
	digits, ok := strings.CutPrefix(id, k.prefix+"-")
	if !ok || digits == "" || strings.Trim(digits, "0123456789abcdef") != "" {
		return aws.NewFault(k.malformed, "Invalid id: %q (expecting \"%s-...\")", id, k.prefix)
	}
	return nil
}

// absent says that there is no resource with any of the ids.
func (k kind) absent(ids ...string) *aws.Fault {
	if len(ids) == 1 {
		return aws.NewFault(k.notFound, "%s '%s' does not exist", k.noun, ids[0])
	}
	return aws.NewFault(k.notFound, "%ss '%s' do not exist", k.noun, strings.Join(ids, ", "))
}

// find returns the row of the resource with the id.
func find[R any](
	r state.Reader, table *state.Table[R], k kind, scope row.Scope, id *string,
) (found R, err error) {
	if err := k.check(aws.Val(id)); err != nil {
		return found, err
	}
	found, ok := table.Get(r, scope.Key(*id))
	if !ok {
		return found, k.absent(*id)
	}
	return found, nil
}
