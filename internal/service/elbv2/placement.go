package elbv2

import (
	"context"
	"slices"

	api "fairlead/internal/api/elbv2"
	"fairlead/internal/aws"
	"fairlead/internal/elb"
	"fairlead/internal/eni"
	"fairlead/internal/row"
	"fairlead/internal/state"
)

// minZones is how many Availability Zones an Application Load Balancer spans at least.
const minZones = 2

// SetSubnets moves a load balancer to other subnets. Nodes whose subnet stays keep their addresses.
func (s *Service) SetSubnets(
	ctx context.Context, in *api.SetSubnetsInput,
) (*api.SetSubnetsOutput, error) {
	if err := checkIPAddressType(in.IpAddressType); err != nil {
		return nil, err
	}
	if in.EnablePrefixForIpv6SourceNat == api.EnablePrefixForIpv6SourceNatEnumOn {
		return nil, elb.NotServed("EnablePrefixForIpv6SourceNat 'on'")
	}
	b, err := update(ctx, s, func(tx *state.Tx) (row.LoadBalancer, error) {
		b, err := findBalancer(tx, aws.Val(in.LoadBalancerArn))
		if err != nil {
			return b, err
		}
		subnets, err := subnetsOf(tx, b.Scope, in.Subnets, in.SubnetMappings)
		if err != nil {
			return b, err
		}
		return moveNodes(tx, b, subnets)
	})
	return &api.SetSubnetsOutput{
		AvailabilityZones: describeZones(b), IpAddressType: api.IpAddressTypeIpv4,
	}, err
}

func moveNodes(
	tx *state.Tx, b row.LoadBalancer, subnets []row.Subnet,
) (row.LoadBalancer, error) {
	isNew := func(s row.Subnet) bool {
		return !slices.ContainsFunc(b.Nodes, func(n row.LoadBalancerNode) bool {
			return n.Subnet == s.ID
		})
	}
	if err := checkSubnets(tx, b, slices.DeleteFunc(slices.Clone(subnets), func(s row.Subnet) bool {
		return !isNew(s)
	})); err != nil {
		return b, err
	}
	var nodes []row.LoadBalancerNode
	for _, s := range subnets {
		i := slices.IndexFunc(b.Nodes, func(n row.LoadBalancerNode) bool { return n.Subnet == s.ID })
		if i >= 0 {
			nodes = append(nodes, b.Nodes[i])
			continue
		}
		node, err := newNode(tx, b, s)
		if err != nil {
			return b, err
		}
		nodes = append(nodes, node)
	}
	for _, n := range b.Nodes {
		if !slices.Contains(nodes, n) {
			eni.Release(tx, b.Scope.Key(n.ENI))
		}
	}
	b.Nodes = nodes
	row.LoadBalancers.Put(tx, b)
	return b, nil
}

// SetSecurityGroups replaces the security groups of a load balancer and its network interfaces.
func (s *Service) SetSecurityGroups(
	ctx context.Context, in *api.SetSecurityGroupsInput,
) (*api.SetSecurityGroupsOutput, error) {
	if in.EnforceSecurityGroupInboundRulesOnPrivateLinkTraffic != "" {
		return nil, elb.NotServed("EnforceSecurityGroupInboundRulesOnPrivateLinkTraffic")
	}
	b, err := update(ctx, s, func(tx *state.Tx) (row.LoadBalancer, error) {
		b, err := findBalancer(tx, aws.Val(in.LoadBalancerArn))
		if err != nil {
			return b, err
		}
		if b.SecurityGroups, err = securityGroups(tx, b, in.SecurityGroups); err != nil {
			return b, err
		}
		for _, n := range b.Nodes {
			if i, ok := row.NetworkInterfaces.Get(tx, b.Scope.Key(n.ENI)); ok {
				i.Groups = b.SecurityGroups
				row.NetworkInterfaces.Put(tx, i)
			}
		}
		row.LoadBalancers.Put(tx, b)
		return b, nil
	})
	return &api.SetSecurityGroupsOutput{SecurityGroupIds: b.SecurityGroups}, err
}

// subnetsOf finds the subnets that a call names in one of two equal forms and checks how they lie:
// in one VPC, in different zones, in two zones at least.
func subnetsOf(
	r state.Reader, scope row.Scope, ids []string, mappings []api.SubnetMapping,
) ([]row.Subnet, error) {
	if len(ids) > 0 && len(mappings) > 0 {
		return nil, invalid("Only one of subnets or subnet mappings can be specified") // our own text
	}
	for _, m := range mappings {
		if m.AllocationId != nil || m.IPv6Address != nil || m.PrivateIPv4Address != nil ||
			m.SourceNatIpv6Prefix != nil { // our own text: AWS permits these for other types only
			return nil, api.InvalidConfigurationRequestException(
				"Addresses cannot be specified in the subnet mappings of application load balancers")
		}
		ids = append(ids, aws.Val(m.SubnetId))
	}
	var subnets []row.Subnet
	for _, id := range ids {
		subnet, ok := row.Subnets.Get(r, scope.Key(id))
		if !ok {
			return nil, api.SubnetNotFoundException("The subnet ID '%s' does not exist", id) // as EC2's
		}
		if slices.ContainsFunc(subnets, func(s row.Subnet) bool { return s.Zone == subnet.Zone }) {
			return nil, api.InvalidConfigurationRequestException("A load balancer cannot be attached to " +
				"multiple subnets in the same Availability Zone")
		}
		if len(subnets) > 0 && subnet.VPC != subnets[0].VPC { // our own text
			return nil, api.InvalidConfigurationRequestException(
				"All subnets must belong to the same VPC: '%s'", subnets[0].VPC)
		}
		subnets = append(subnets, subnet)
	}
	if len(subnets) < minZones {
		return nil, invalid(
			"At least two subnets in two different Availability Zones must be specified")
	}
	return subnets, nil
}

// checkSubnets checks whether nodes of the load balancer can be put into the subnets.
func checkSubnets(r state.Reader, b row.LoadBalancer, subnets []row.Subnet) error {
	for _, s := range subnets {
		if s.VPC != b.VPC { // our own text
			return api.InvalidConfigurationRequestException(
				"The subnet '%s' is not in the VPC '%s' of the load balancer", s.ID, b.VPC)
		}
		if eni.Available(r, s) < minFreeAddresses {
			return api.InvalidSubnetException("Not enough IP space available in %s. ELB requires at "+
				"least %d free IP addresses in each subnet.", s.ID, minFreeAddresses)
		}
	}
	_, connected := row.First(row.InternetGateways.By(r, "vpc", b.VPC))
	if !b.Internal() && !connected {
		return api.InvalidSubnetException("VPC %s has no internet gateway", b.VPC)
	}
	return nil
}

// securityGroups checks the ids of security groups for a load balancer; none means the default
// group of its VPC.
func securityGroups(r state.Reader, b row.LoadBalancer, ids []string) ([]string, error) {
	if len(ids) > maxSecurityGroups { // our own text
		return nil, api.InvalidConfigurationRequestException(
			"A load balancer cannot have more than '%d' security groups", maxSecurityGroups)
	}
	for i, id := range ids {
		g, ok := row.SecurityGroups.Get(r, b.Scope.Key(id))
		if !ok {
			return nil, api.InvalidSecurityGroupException("Security group %s does not exist", id)
		}
		if g.VPC != b.VPC || slices.Contains(ids[:i], id) {
			return nil, api.InvalidConfigurationRequestException(
				"One or more security groups are invalid")
		}
	}
	if len(ids) > 0 {
		return ids, nil
	}
	for g := range row.SecurityGroups.By(r, "vpc", b.VPC) {
		if g.Name == "default" && g.Scope == b.Scope {
			return []string{g.ID}, nil
		}
	}
	return nil, api.InvalidSecurityGroupException(
		"The VPC '%s' has no default security group", b.VPC)
}
