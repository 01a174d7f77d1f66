package ec2

import (
	"context"

	"fairlead/internal/api/ec2"
	"fairlead/internal/wire"
)

// There are no resources of these kinds and no way to make one. The Describe calls tell that, since
// Terraform and the console ask for them on the way to something else.
var (
	instanceKind = kind{prefix: "i", noun: "The instance ID",
		notFound: "InvalidInstanceID.NotFound", malformed: "InvalidInstanceID.Malformed"}
	natKind = kind{prefix: "nat", noun: "The Nat Gateway",
		notFound: "NatGatewayNotFound", malformed: "NatGatewayMalformed"}
	endpointKind = kind{prefix: "vpce", noun: "The Vpc Endpoint Id",
		notFound: "InvalidVpcEndpointId.NotFound", malformed: "InvalidVpcEndpointId.Malformed"}
	peeringKind = kind{prefix: "pcx", noun: "The vpcPeeringConnection ID",
		notFound:  "InvalidVpcPeeringConnectionID.NotFound",
		malformed: "InvalidVpcPeeringConnectionId.Malformed"}
	prefixListKind = kind{prefix: "pl", noun: "The prefix list ID",
		notFound: "InvalidPrefixListID.NotFound", malformed: "InvalidPrefixListId.Malformed"}
)

func (s *Service) registerAbsent(r *wire.Router) {
	wire.Handle(r, ec2.OpDescribeInstances, s.DescribeInstances)
	wire.Handle(r, ec2.OpDescribeNatGateways, s.DescribeNatGateways)
	wire.Handle(r, ec2.OpDescribeVpcEndpoints, s.DescribeVpcEndpoints)
	wire.Handle(r, ec2.OpDescribeVpcPeeringConnections, s.DescribeVpcPeeringConnections)
	wire.Handle(r, ec2.OpDescribePrefixLists, s.DescribePrefixLists)
	wire.Handle(r, ec2.OpDescribeManagedPrefixLists, s.DescribeManagedPrefixLists)
}

// none answers for a kind of which there are no resources: any id is unknown.
func (s *Service) none(ctx context.Context, k kind, dryRun *bool, ids []string) error {
	if _, _, err := s.view(ctx, dryRun); err != nil {
		return err
	}
	_, err := catalog[string]{kind: k, id: func(id string) string { return id }}.pick(nil, ids)
	return err
}

// DescribeInstances lists no instances: tasks need none.
func (s *Service) DescribeInstances(
	ctx context.Context, in *ec2.DescribeInstancesInput,
) (*ec2.DescribeInstancesOutput, error) {
	if err := s.none(ctx, instanceKind, in.DryRun, in.InstanceIds); err != nil {
		return nil, err
	}
	return &ec2.DescribeInstancesOutput{Reservations: []ec2.Reservation{}}, nil
}

// DescribeNatGateways lists no NAT gateways.
func (s *Service) DescribeNatGateways(
	ctx context.Context, in *ec2.DescribeNatGatewaysInput,
) (*ec2.DescribeNatGatewaysOutput, error) {
	if err := s.none(ctx, natKind, in.DryRun, in.NatGatewayIds); err != nil {
		return nil, err
	}
	return &ec2.DescribeNatGatewaysOutput{NatGateways: []ec2.NatGateway{}}, nil
}

// DescribeVpcEndpoints lists no VPC endpoints.
func (s *Service) DescribeVpcEndpoints(
	ctx context.Context, in *ec2.DescribeVpcEndpointsInput,
) (*ec2.DescribeVpcEndpointsOutput, error) {
	if err := s.none(ctx, endpointKind, in.DryRun, in.VpcEndpointIds); err != nil {
		return nil, err
	}
	return &ec2.DescribeVpcEndpointsOutput{VpcEndpoints: []ec2.VpcEndpoint{}}, nil
}

// DescribeVpcPeeringConnections lists no peering connections.
func (s *Service) DescribeVpcPeeringConnections(
	ctx context.Context, in *ec2.DescribeVpcPeeringConnectionsInput,
) (*ec2.DescribeVpcPeeringConnectionsOutput, error) {
	if err := s.none(ctx, peeringKind, in.DryRun, in.VpcPeeringConnectionIds); err != nil {
		return nil, err
	}
	return &ec2.DescribeVpcPeeringConnectionsOutput{
		VpcPeeringConnections: []ec2.VpcPeeringConnection{},
	}, nil
}

// DescribePrefixLists lists no prefix lists.
func (s *Service) DescribePrefixLists(
	ctx context.Context, in *ec2.DescribePrefixListsInput,
) (*ec2.DescribePrefixListsOutput, error) {
	if err := s.none(ctx, prefixListKind, in.DryRun, in.PrefixListIds); err != nil {
		return nil, err
	}
	return &ec2.DescribePrefixListsOutput{PrefixLists: []ec2.PrefixList{}}, nil
}

// DescribeManagedPrefixLists lists no prefix lists.
func (s *Service) DescribeManagedPrefixLists(
	ctx context.Context, in *ec2.DescribeManagedPrefixListsInput,
) (*ec2.DescribeManagedPrefixListsOutput, error) {
	if err := s.none(ctx, prefixListKind, in.DryRun, in.PrefixListIds); err != nil {
		return nil, err
	}
	return &ec2.DescribeManagedPrefixListsOutput{PrefixLists: []ec2.ManagedPrefixList{}}, nil
}
