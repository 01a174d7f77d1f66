package ec2

import (
	"context"

	"fairlead/internal/api/ec2"
	"fairlead/internal/aws"
	"fairlead/internal/row"
	"fairlead/internal/state"
	"fairlead/internal/wire"
)

func (s *Service) registerGateways(r *wire.Router) {
	wire.Handle(r, ec2.OpCreateInternetGateway, s.CreateInternetGateway)
	wire.Handle(r, ec2.OpDeleteInternetGateway, s.DeleteInternetGateway)
	wire.Handle(r, ec2.OpDescribeInternetGateways, s.DescribeInternetGateways)
	wire.Handle(r, ec2.OpAttachInternetGateway, s.AttachInternetGateway)
	wire.Handle(r, ec2.OpDetachInternetGateway, s.DetachInternetGateway)
}

// CreateInternetGateway makes a gateway that is attached to nothing yet.
func (s *Service) CreateInternetGateway(
	ctx context.Context, in *ec2.CreateInternetGatewayInput,
) (*ec2.CreateInternetGatewayOutput, error) {
	tags, err := tagsOf(in.TagSpecifications, gatewayKind)
	if err != nil {
		return nil, err
	}
	return change(ctx, s, in.DryRun,
		func(tx *state.Tx, scope row.Scope) (*ec2.CreateInternetGatewayOutput, error) {
			g := row.InternetGateway{
				Scope: scope, ID: newID(gatewayKind.prefix), CreatedAt: now(), Tags: tags,
			}
			row.InternetGateways.Put(tx, g)
			wire := wireGateway(g)
			return &ec2.CreateInternetGatewayOutput{InternetGateway: &wire}, nil
		})
}

// AttachInternetGateway connects a VPC that has no gateway with the internet.
func (s *Service) AttachInternetGateway(
	ctx context.Context, in *ec2.AttachInternetGatewayInput,
) (*ec2.AttachInternetGatewayOutput, error) {
	return change(ctx, s, in.DryRun,
		func(tx *state.Tx, scope row.Scope) (*ec2.AttachInternetGatewayOutput, error) {
			g, err := find(tx, row.InternetGateways, gatewayKind, scope, in.InternetGatewayId)
			if err != nil {
				return nil, err
			}
			v, err := find(tx, row.VPCs, vpcKind, scope, in.VpcId)
			if err != nil {
				return nil, err
			}
			if g.VPC != "" {
				return nil, aws.NewFault("Resource.AlreadyAssociated",
					"resource %s is already attached to network %s", g.ID, g.VPC)
			}
			if _, has := row.First(row.InternetGateways.By(tx, "vpc", v.ID)); has {
				return nil, invalid("Network %s already has an internet gateway attached", v.ID)
			}
			g.VPC = v.ID
			row.InternetGateways.Put(tx, g)
			return &ec2.AttachInternetGatewayOutput{}, nil
		})
}

// DetachInternetGateway takes a VPC off the internet. Nothing in it may have a public address.
func (s *Service) DetachInternetGateway(
	ctx context.Context, in *ec2.DetachInternetGatewayInput,
) (*ec2.DetachInternetGatewayOutput, error) {
	return change(ctx, s, in.DryRun,
		func(tx *state.Tx, scope row.Scope) (*ec2.DetachInternetGatewayOutput, error) {
			g, err := find(tx, row.InternetGateways, gatewayKind, scope, in.InternetGatewayId)
			if err != nil {
				return nil, err
			}
			v, err := find(tx, row.VPCs, vpcKind, scope, in.VpcId)
			if err != nil {
				return nil, err
			}
			if g.VPC != v.ID {
				return nil, aws.NewFault("Gateway.NotAttached",
					"resource %s is not attached to network %s", g.ID, v.ID)
			}
			if hasPublicAddress(tx, v.ID) {
				return nil, dependency("Network %s has some mapped public address(es). Please "+
					"unmap those public address(es) before detaching the gateway.", v.ID)
			}
			g.VPC = ""
			row.InternetGateways.Put(tx, g)
			return &ec2.DetachInternetGatewayOutput{}, nil
		})
}

func hasPublicAddress(r state.Reader, vpc string) bool {
	for n := range row.NetworkInterfaces.By(r, "vpc", vpc) {
		if n.PublicAddress != "" {
			return true
		}
	}
	return false
}

// DeleteInternetGateway removes a detached gateway. Routes to it become blackholes.
func (s *Service) DeleteInternetGateway(
	ctx context.Context, in *ec2.DeleteInternetGatewayInput,
) (*ec2.DeleteInternetGatewayOutput, error) {
	return change(ctx, s, in.DryRun,
		func(tx *state.Tx, scope row.Scope) (*ec2.DeleteInternetGatewayOutput, error) {
			g, err := find(tx, row.InternetGateways, gatewayKind, scope, in.InternetGatewayId)
			if err != nil {
				return nil, err
			}
			if g.VPC != "" {
				return nil, dependency(
					"The internetGateway '%s' has dependencies and cannot be deleted.", g.ID)
			}
			row.InternetGateways.Delete(tx, g.Key())
			return &ec2.DeleteInternetGatewayOutput{}, nil
		})
}

// DescribeInternetGateways lists internet gateways.
func (s *Service) DescribeInternetGateways(
	ctx context.Context, in *ec2.DescribeInternetGatewaysInput,
) (*ec2.DescribeInternetGatewaysOutput, error) {
	r, scope, err := s.view(ctx, in.DryRun)
	if err != nil {
		return nil, err
	}
	page, next, err := gatewayCatalog.list(
		wireAll(row.InternetGateways.Scan(r, scope.Key("")), wireGateway),
		query{in.InternetGatewayIds, in.Filters, in.MaxResults, in.NextToken})
	if err != nil {
		return nil, err
	}
	return &ec2.DescribeInternetGatewaysOutput{InternetGateways: page, NextToken: next}, nil
}

func wireGateway(g row.InternetGateway) ec2.InternetGateway {
	wire := ec2.InternetGateway{
		InternetGatewayId: new(g.ID), OwnerId: new(g.Account), Tags: wireTags(g.Tags),
		Attachments: []ec2.InternetGatewayAttachment{},
	}
	if g.VPC != "" {
		// AWS says "available" here, a word that the model's list of states lacks.
		wire.Attachments = append(wire.Attachments,
			ec2.InternetGatewayAttachment{State: "available", VpcId: new(g.VPC)})
	}
	return wire
}

var gatewayCatalog = catalog[ec2.InternetGateway]{
	kind: gatewayKind,
	id:   func(g ec2.InternetGateway) string { return *g.InternetGatewayId },
	tags: func(g ec2.InternetGateway) []ec2.Tag { return g.Tags },
	filters: filters[ec2.InternetGateway]{
		"attachment.state": func(g ec2.InternetGateway) []string {
			return each(g.Attachments,
				func(a ec2.InternetGatewayAttachment) []string { return enum(a.State) })
		},
		"attachment.vpc-id": func(g ec2.InternetGateway) []string {
			return each(g.Attachments,
				func(a ec2.InternetGatewayAttachment) []string { return one(a.VpcId) })
		},
		"internet-gateway-id": func(g ec2.InternetGateway) []string {
			return one(g.InternetGatewayId)
		},
		"owner-id": func(g ec2.InternetGateway) []string { return one(g.OwnerId) },
	},
}
