package ec2

import (
	"context"
	"net/netip"
	"slices"

	"fairlead/internal/api/ec2"
	"fairlead/internal/aws"
	"fairlead/internal/row"
	"fairlead/internal/state"
)

// maxRoutes is the AWS quota "Routes per route table", the local ones not counted.
const maxRoutes = 50

// CreateRoute sends packets for a range to an internet gateway.
func (s *Service) CreateRoute(
	ctx context.Context, in *ec2.CreateRouteInput,
) (*ec2.CreateRouteOutput, error) {
	err := refuseRoute(in.DestinationIpv6CidrBlock, in.DestinationPrefixListId,
		in.NatGatewayId, in.VpcPeeringConnectionId, in.NetworkInterfaceId, in.InstanceId,
		in.TransitGatewayId, in.VpcEndpointId, in.EgressOnlyInternetGatewayId,
		in.CarrierGatewayId, in.LocalGatewayId, in.CoreNetworkArn, in.OdbNetworkArn)
	if err != nil {
		return nil, err
	}
	return change(ctx, s, in.DryRun,
		func(tx *state.Tx, scope row.Scope) (*ec2.CreateRouteOutput, error) {
			t, route, err := routeTo(tx, scope,
				in.RouteTableId, in.DestinationCidrBlock, in.GatewayId)
			if err != nil {
				return nil, err
			}
			if routeAt(t, route.Destination) >= 0 {
				return nil, aws.NewFault("RouteAlreadyExists",
					"The route identified by %s already exists.", route.Destination)
			}
			if len(t.Routes) >= maxRoutes {
				return nil, aws.NewFault("RouteLimitExceeded",
					"The maximum number of routes has been reached.")
			}
			t.Routes = append(slices.Clone(t.Routes), route)
			row.RouteTables.Put(tx, t)
			return &ec2.CreateRouteOutput{Return: new(true)}, nil
		})
}

// ReplaceRoute sends packets for a range that has a route to another internet gateway.
func (s *Service) ReplaceRoute(
	ctx context.Context, in *ec2.ReplaceRouteInput,
) (*ec2.ReplaceRouteOutput, error) {
	err := refuseRoute(in.DestinationIpv6CidrBlock, in.DestinationPrefixListId,
		in.NatGatewayId, in.VpcPeeringConnectionId, in.NetworkInterfaceId, in.InstanceId,
		in.TransitGatewayId, in.VpcEndpointId, in.EgressOnlyInternetGatewayId,
		in.CarrierGatewayId, in.LocalGatewayId, in.CoreNetworkArn, in.OdbNetworkArn)
	if err != nil {
		return nil, err
	}
	return change(ctx, s, in.DryRun,
		func(tx *state.Tx, scope row.Scope) (*ec2.ReplaceRouteOutput, error) {
			t, route, err := routeTo(tx, scope,
				in.RouteTableId, in.DestinationCidrBlock, in.GatewayId)
			if err != nil {
				return nil, err
			}
			at := routeAt(t, route.Destination)
			if at < 0 {
				return nil, invalid("There is no route defined for '%s' in the route table. "+
					"Use CreateRoute instead.", route.Destination)
			}
			t.Routes = slices.Clone(t.Routes)
			t.Routes[at] = route
			row.RouteTables.Put(tx, t)
			return &ec2.ReplaceRouteOutput{}, nil
		})
}

// DeleteRoute removes the route for a range.
func (s *Service) DeleteRoute(
	ctx context.Context, in *ec2.DeleteRouteInput,
) (*ec2.DeleteRouteOutput, error) {
	if err := refuseRoute(in.DestinationIpv6CidrBlock, in.DestinationPrefixListId); err != nil {
		return nil, err
	}
	return change(ctx, s, in.DryRun,
		func(tx *state.Tx, scope row.Scope) (*ec2.DeleteRouteOutput, error) {
			t, err := find(tx, row.RouteTables, routeTableKind, scope, in.RouteTableId)
			if err != nil {
				return nil, err
			}
			destination, err := parseDestination(in.DestinationCidrBlock)
			if err != nil {
				return nil, err
			}
			if v, _ := row.VPCs.Get(tx, scope.Key(t.VPC)); v.Contains(destination) {
				return nil, invalid("cannot remove local route %s in route table %s",
					destination, t.ID)
			}
			at := routeAt(t, destination)
			if at < 0 {
				return nil, aws.NewFault("InvalidRoute.NotFound",
					"no route with destination-cidr-block %s in route table %s", destination, t.ID)
			}
			t.Routes = slices.Delete(slices.Clone(t.Routes), at, at+1)
			row.RouteTables.Put(tx, t)
			return &ec2.DeleteRouteOutput{}, nil
		})
}

// refuseRoute refuses all routes but those from an IPv4 range to an internet gateway. The order of
// the arguments is that of the names.
func refuseRoute(members ...*string) error {
	names := []string{"IPv6 routes", "prefix lists in routes",
		"routes to NAT gateways", "routes to VPC peering connections",
		"routes to network interfaces", "routes to instances", "routes to transit gateways",
		"routes to VPC endpoints", "routes to egress-only internet gateways",
		"routes to carrier gateways", "routes to local gateways", "routes to core networks",
		"routes to ODB networks"}
	for i, member := range members {
		if member != nil {
			return unsupported(names[i])
		}
	}
	return nil
}

// routeTo returns the route that a call describes, and the table that it is for.
func routeTo(
	r state.Reader, scope row.Scope, table, destination, gateway *string,
) (t row.RouteTable, route row.Route, err error) {
	if t, err = find(r, row.RouteTables, routeTableKind, scope, table); err != nil {
		return t, route, err
	}
	if route.Destination, err = parseDestination(destination); err != nil {
		return t, route, err
	}
	if v, _ := row.VPCs.Get(r, scope.Key(t.VPC)); v.Contains(route.Destination) {
		return t, route, invalid("The destination CIDR block %s is equal to or more specific "+
			"than one of this VPC's CIDR blocks. This route can target only an interface or an "+
			"instance.", route.Destination)
	}
	if gateway == nil {
		return t, route, missing("gatewayId")
	}
	g, ok := row.InternetGateways.Get(r, scope.Key(*gateway))
	if !ok {
		return t, route, aws.NewFault("InvalidGatewayID.NotFound",
			"The gateway ID '%s' does not exist", *gateway)
	}
	if g.VPC != t.VPC {
		return t, route, invalid(
			"route table %s and network gateway %s belong to different networks", t.ID, g.ID)
	}
	if route.Destination.Bits() != 0 {
		return t, route, unsupported("routes of ranges other than 0.0.0.0/0")
	}
	route.Gateway = g.ID
	return t, route, nil
}

func parseDestination(destination *string) (netip.Prefix, error) {
	if destination == nil {
		return netip.Prefix{}, missing("destinationCidrBlock")
	}
	return parseCIDR(*destination, "destinationCidrBlock")
}

// routeAt returns where the table has the route for exactly this range, or -1.
func routeAt(t row.RouteTable, destination netip.Prefix) int {
	return slices.IndexFunc(t.Routes, func(r row.Route) bool {
		return r.Destination == destination
	})
}
