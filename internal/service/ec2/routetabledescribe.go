package ec2

import (
	"context"

	"fairlead/internal/api/ec2"
	"fairlead/internal/row"
	"fairlead/internal/state"
)

// DescribeRouteTables lists route tables.
func (s *Service) DescribeRouteTables(
	ctx context.Context, in *ec2.DescribeRouteTablesInput,
) (*ec2.DescribeRouteTablesOutput, error) {
	r, scope, err := s.view(ctx, in.DryRun)
	if err != nil {
		return nil, err
	}
	all := wireAll(row.RouteTables.Scan(r, scope.Key("")),
		func(t row.RouteTable) ec2.RouteTable { return wireRouteTable(r, t) })
	page, next, err := routeTableCatalog.list(all,
		query{in.RouteTableIds, in.Filters, in.MaxResults, in.NextToken})
	if err != nil {
		return nil, err
	}
	return &ec2.DescribeRouteTablesOutput{RouteTables: page, NextToken: next}, nil
}

func wireRouteTable(r state.Reader, t row.RouteTable) ec2.RouteTable {
	wire := ec2.RouteTable{
		RouteTableId: new(t.ID), VpcId: new(t.VPC), OwnerId: new(t.Account),
		Associations: []ec2.RouteTableAssociation{}, PropagatingVgws: []ec2.PropagatingVgw{},
		Tags: wireTags(t.Tags),
	}
	v, _ := row.VPCs.Get(r, t.Scope.Key(t.VPC))
	for _, c := range v.CIDRs {
		wire.Routes = append(wire.Routes, ec2.Route{
			DestinationCidrBlock: new(c.CIDR.String()), GatewayId: new("local"),
			Origin: ec2.RouteOriginCreateRouteTable, State: ec2.RouteStateActive,
		})
	}
	for _, route := range t.Routes {
		wire.Routes = append(wire.Routes, wireRoute(r, t, route))
	}
	for _, a := range t.Associations {
		association := ec2.RouteTableAssociation{
			RouteTableAssociationId: new(a.ID), RouteTableId: new(t.ID),
			Main: new(a.Subnet == ""), AssociationState: associated(),
		}
		if a.Subnet != "" {
			association.SubnetId = new(a.Subnet)
		}
		wire.Associations = append(wire.Associations, association)
	}
	return wire
}

// wireRoute shows a route, as a blackhole when its gateway has left the VPC.
func wireRoute(r state.Reader, t row.RouteTable, route row.Route) ec2.Route {
	status := ec2.RouteStateBlackhole
	g, ok := row.InternetGateways.Get(r, t.Scope.Key(route.Gateway))
	if ok && g.VPC == t.VPC {
		status = ec2.RouteStateActive
	}
	return ec2.Route{
		DestinationCidrBlock: new(route.Destination.String()), GatewayId: new(route.Gateway),
		Origin: ec2.RouteOriginCreateRoute, State: status,
	}
}

var routeTableCatalog = catalog[ec2.RouteTable]{
	kind: routeTableKind,
	id:   func(t ec2.RouteTable) string { return *t.RouteTableId },
	tags: func(t ec2.RouteTable) []ec2.Tag { return t.Tags },
	filters: filters[ec2.RouteTable]{
		"association.gateway-id": never[ec2.RouteTable],
		"association.main": associations(
			func(a ec2.RouteTableAssociation) []string { return flag(a.Main) }),
		"association.route-table-association-id": associations(
			func(a ec2.RouteTableAssociation) []string { return one(a.RouteTableAssociationId) }),
		"association.route-table-id": associations(
			func(a ec2.RouteTableAssociation) []string { return one(a.RouteTableId) }),
		"association.subnet-id": associations(
			func(a ec2.RouteTableAssociation) []string { return one(a.SubnetId) }),
		"owner-id":       func(t ec2.RouteTable) []string { return one(t.OwnerId) },
		"route-table-id": func(t ec2.RouteTable) []string { return one(t.RouteTableId) },
		"route.destination-cidr-block": routes(
			func(r ec2.Route) []string { return one(r.DestinationCidrBlock) }),
		"route.destination-ipv6-cidr-block":     never[ec2.RouteTable],
		"route.destination-prefix-list-id":      never[ec2.RouteTable],
		"route.egress-only-internet-gateway-id": never[ec2.RouteTable],
		"route.gateway-id": routes(func(r ec2.Route) []string {
			return one(r.GatewayId)
		}),
		"route.instance-id":        never[ec2.RouteTable],
		"route.nat-gateway-id":     never[ec2.RouteTable],
		"route.transit-gateway-id": never[ec2.RouteTable],
		"route.origin": routes(func(r ec2.Route) []string {
			return enum(r.Origin)
		}),
		"route.state": routes(func(r ec2.Route) []string {
			return enum(r.State)
		}),
		"route.vpc-peering-connection-id": never[ec2.RouteTable],
		"vpc-id": func(t ec2.RouteTable) []string {
			return one(t.VpcId)
		},
	},
}

func associations(value func(ec2.RouteTableAssociation) []string) func(ec2.RouteTable) []string {
	return func(t ec2.RouteTable) []string { return each(t.Associations, value) }
}

func routes(value func(ec2.Route) []string) func(ec2.RouteTable) []string {
	return func(t ec2.RouteTable) []string { return each(t.Routes, value) }
}
