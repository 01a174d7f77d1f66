package ec2

import (
	"context"
	"slices"

	"fairlead/internal/api/ec2"
	"fairlead/internal/aws"
	"fairlead/internal/row"
	"fairlead/internal/state"
	"fairlead/internal/wire"
)

// maxRouteTables is the AWS quota "Route tables per VPC".
const maxRouteTables = 200

func (s *Service) registerRouteTables(r *wire.Router) {
	wire.Handle(r, ec2.OpCreateRouteTable, s.CreateRouteTable)
	wire.Handle(r, ec2.OpDeleteRouteTable, s.DeleteRouteTable)
	wire.Handle(r, ec2.OpDescribeRouteTables, s.DescribeRouteTables)
	wire.Handle(r, ec2.OpAssociateRouteTable, s.AssociateRouteTable)
	wire.Handle(r, ec2.OpDisassociateRouteTable, s.DisassociateRouteTable)
	wire.Handle(r, ec2.OpReplaceRouteTableAssociation, s.ReplaceRouteTableAssociation)
	wire.Handle(r, ec2.OpCreateRoute, s.CreateRoute)
	wire.Handle(r, ec2.OpReplaceRoute, s.ReplaceRoute)
	wire.Handle(r, ec2.OpDeleteRoute, s.DeleteRoute)
}

// CreateRouteTable makes a route table with the local routes.
func (s *Service) CreateRouteTable(
	ctx context.Context, in *ec2.CreateRouteTableInput,
) (*ec2.CreateRouteTableOutput, error) {
	tags, err := tagsOf(in.TagSpecifications, routeTableKind)
	if err != nil {
		return nil, err
	}
	return change(ctx, s, in.DryRun,
		func(tx *state.Tx, scope row.Scope) (*ec2.CreateRouteTableOutput, error) {
			v, err := find(tx, row.VPCs, vpcKind, scope, in.VpcId)
			if err != nil {
				return nil, err
			}
			t, made := routeTableByToken(tx, scope, aws.Val(in.ClientToken))
			if !made {
				if count(row.RouteTables.By(tx, "vpc", v.ID)) >= maxRouteTables {
					return nil, aws.NewFault("RouteTableLimitExceeded",
						"The maximum number of route tables has been reached.")
				}
				t = newRouteTable(v)
				t.Tags, t.ClientToken = tags, aws.Val(in.ClientToken)
				row.RouteTables.Put(tx, t)
			}
			wire := wireRouteTable(tx, t)
			return &ec2.CreateRouteTableOutput{RouteTable: &wire, ClientToken: in.ClientToken}, nil
		})
}

func routeTableByToken(r state.Reader, scope row.Scope, token string) (row.RouteTable, bool) {
	for t := range row.RouteTables.By(r, "token", token) {
		if t.Scope == scope {
			return t, true
		}
	}
	return row.RouteTable{}, false
}

func newRouteTable(v row.VPC) row.RouteTable {
	return row.RouteTable{Scope: v.Scope, ID: newID("rtb"), VPC: v.ID, CreatedAt: now()}
}

func putMainRouteTable(tx *state.Tx, v row.VPC, routes ...row.Route) {
	t := newRouteTable(v)
	t.Routes = routes
	t.Associations = []row.RouteTableAssociation{{ID: newID("rtbassoc")}}
	row.RouteTables.Put(tx, t)
}

// DeleteRouteTable removes a route table that serves no subnet.
func (s *Service) DeleteRouteTable(
	ctx context.Context, in *ec2.DeleteRouteTableInput,
) (*ec2.DeleteRouteTableOutput, error) {
	return change(ctx, s, in.DryRun,
		func(tx *state.Tx, scope row.Scope) (*ec2.DeleteRouteTableOutput, error) {
			t, err := find(tx, row.RouteTables, routeTableKind, scope, in.RouteTableId)
			if err != nil {
				return nil, err
			}
			if len(t.Associations) > 0 {
				return nil, dependency(
					"The routeTable '%s' has dependencies and cannot be deleted.", t.ID)
			}
			row.RouteTables.Delete(tx, t.Key())
			return &ec2.DeleteRouteTableOutput{}, nil
		})
}

// AssociateRouteTable makes a subnet use a route table of its own.
func (s *Service) AssociateRouteTable(
	ctx context.Context, in *ec2.AssociateRouteTableInput,
) (*ec2.AssociateRouteTableOutput, error) {
	err := refuse(
		setting{"route tables of gateways", in.GatewayId != nil},
		setting{"PublicIpv4Pool", in.PublicIpv4Pool != nil},
	)
	if err != nil {
		return nil, err
	}
	return change(ctx, s, in.DryRun,
		func(tx *state.Tx, scope row.Scope) (*ec2.AssociateRouteTableOutput, error) {
			t, err := find(tx, row.RouteTables, routeTableKind, scope, in.RouteTableId)
			if err != nil {
				return nil, err
			}
			subnet, err := find(tx, row.Subnets, subnetKind, scope, in.SubnetId)
			if err != nil {
				return nil, err
			}
			id, err := associate(tx, t, subnet)
			if err != nil {
				return nil, err
			}
			return &ec2.AssociateRouteTableOutput{
				AssociationId: new(id), AssociationState: associated(),
			}, nil
		})
}

// associate returns the id of the new association, or of the one that is there already.
func associate(tx *state.Tx, t row.RouteTable, subnet row.Subnet) (string, error) {
	if subnet.VPC != t.VPC {
		return "", invalid("Route table %s and subnet %s belong to different networks",
			t.ID, subnet.ID)
	}
	for other := range row.RouteTables.By(tx, "vpc", t.VPC) {
		for _, a := range other.Associations {
			switch {
			case a.Subnet != subnet.ID:
			case other.ID == t.ID:
				return a.ID, nil
			default:
				return "", aws.NewFault("Resource.AlreadyAssociated", "the specified association "+
					"for route table %s conflicts with an existing association", t.ID)
			}
		}
	}
	a := row.RouteTableAssociation{ID: newID("rtbassoc"), Subnet: subnet.ID}
	t.Associations = append(slices.Clone(t.Associations), a)
	row.RouteTables.Put(tx, t)
	return a.ID, nil
}

// DisassociateRouteTable gives a subnet back to the main route table.
func (s *Service) DisassociateRouteTable(
	ctx context.Context, in *ec2.DisassociateRouteTableInput,
) (*ec2.DisassociateRouteTableOutput, error) {
	return change(ctx, s, in.DryRun,
		func(tx *state.Tx, scope row.Scope) (*ec2.DisassociateRouteTableOutput, error) {
			t, a, err := findAssociation(tx, scope, aws.Val(in.AssociationId))
			if err != nil {
				return nil, err
			}
			if a.Subnet == "" {
				return nil, invalid(
					"cannot disassociate the main route table association %s", a.ID)
			}
			dropAssociation(tx, t, a)
			return &ec2.DisassociateRouteTableOutput{}, nil
		})
}

// ReplaceRouteTableAssociation moves an association, the main one too, to another route table.
func (s *Service) ReplaceRouteTableAssociation(
	ctx context.Context, in *ec2.ReplaceRouteTableAssociationInput,
) (*ec2.ReplaceRouteTableAssociationOutput, error) {
	return change(ctx, s, in.DryRun,
		func(tx *state.Tx, scope row.Scope) (*ec2.ReplaceRouteTableAssociationOutput, error) {
			from, a, err := findAssociation(tx, scope, aws.Val(in.AssociationId))
			if err != nil {
				return nil, err
			}
			to, err := find(tx, row.RouteTables, routeTableKind, scope, in.RouteTableId)
			if err != nil {
				return nil, err
			}
			if from.VPC != to.VPC {
				return nil, invalid(
					"Route table %s and route table %s belong to different networks",
					from.ID, to.ID)
			}
			if from.ID != to.ID {
				dropAssociation(tx, from, a)
				a.ID = newID("rtbassoc")
				to.Associations = append(slices.Clone(to.Associations), a)
				row.RouteTables.Put(tx, to)
			}
			return &ec2.ReplaceRouteTableAssociationOutput{
				NewAssociationId: new(a.ID), AssociationState: associated(),
			}, nil
		})
}

func findAssociation(
	r state.Reader, scope row.Scope, id string,
) (row.RouteTable, row.RouteTableAssociation, error) {
	for t := range row.RouteTables.By(r, "association", id) {
		for _, a := range t.Associations {
			if a.ID == id && t.Scope == scope {
				return t, a, nil
			}
		}
	}
	return row.RouteTable{}, row.RouteTableAssociation{}, aws.NewFault(
		"InvalidAssociationID.NotFound", "The association ID '%s' does not exist", id)
}

func dropAssociation(tx *state.Tx, t row.RouteTable, a row.RouteTableAssociation) {
	t.Associations = slices.DeleteFunc(slices.Clone(t.Associations),
		func(other row.RouteTableAssociation) bool { return other.ID == a.ID })
	row.RouteTables.Put(tx, t)
}

// dissociateSubnet drops the association of a subnet that is about to go.
func dissociateSubnet(tx *state.Tx, subnet row.Subnet) {
	for t := range row.RouteTables.By(tx, "vpc", subnet.VPC) {
		for _, a := range t.Associations {
			if a.Subnet == subnet.ID {
				dropAssociation(tx, t, a)
			}
		}
	}
}

func associated() *ec2.RouteTableAssociationState {
	return &ec2.RouteTableAssociationState{State: ec2.RouteTableAssociationStateCodeAssociated}
}
