package apply

import (
	"context"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
)

func (s *stack) network(ctx context.Context) error {
	vpc, err := s.ec2.CreateVpc(ctx, &ec2.CreateVpcInput{CidrBlock: new("10.0.0.0/16")})
	if err != nil {
		return err
	}
	s.vpc = *vpc.Vpc.VpcId
	_, err = s.ec2.ModifyVpcAttribute(ctx, &ec2.ModifyVpcAttributeInput{
		VpcId: &s.vpc, EnableDnsHostnames: &types.AttributeBooleanValue{Value: new(true)},
	})
	if err != nil {
		return err
	}
	table, err := s.publicRoutes(ctx)
	if err != nil {
		return err
	}
	zones, err := s.ec2.DescribeAvailabilityZones(ctx, &ec2.DescribeAvailabilityZonesInput{})
	if err != nil {
		return err
	}
	for i := range 2 {
		if err := s.subnet(ctx, table, *zones.AvailabilityZones[i].ZoneName, i+1); err != nil {
			return err
		}
	}
	return nil
}

// publicRoutes makes a route table that leads to an internet gateway.
func (s *stack) publicRoutes(ctx context.Context) (table string, err error) {
	gateway, err := s.ec2.CreateInternetGateway(ctx, &ec2.CreateInternetGatewayInput{})
	if err != nil {
		return "", err
	}
	id := gateway.InternetGateway.InternetGatewayId
	_, err = s.ec2.AttachInternetGateway(ctx, &ec2.AttachInternetGatewayInput{
		InternetGatewayId: id, VpcId: &s.vpc,
	})
	if err != nil {
		return "", err
	}
	routes, err := s.ec2.CreateRouteTable(ctx, &ec2.CreateRouteTableInput{VpcId: &s.vpc})
	if err != nil {
		return "", err
	}
	_, err = s.ec2.CreateRoute(ctx, &ec2.CreateRouteInput{
		RouteTableId: routes.RouteTable.RouteTableId, GatewayId: id,
		DestinationCidrBlock: new("0.0.0.0/0"),
	})
	return *routes.RouteTable.RouteTableId, err
}

func (s *stack) subnet(ctx context.Context, table, zone string, n int) error {
	subnet, err := s.ec2.CreateSubnet(ctx, &ec2.CreateSubnetInput{
		VpcId: &s.vpc, CidrBlock: new(fmt.Sprintf("10.0.%d.0/24", n)), AvailabilityZone: &zone,
	})
	if err != nil {
		return err
	}
	s.subnets = append(s.subnets, *subnet.Subnet.SubnetId)
	_, err = s.ec2.AssociateRouteTable(ctx, &ec2.AssociateRouteTableInput{
		RouteTableId: &table, SubnetId: subnet.Subnet.SubnetId,
	})
	return err
}

func (s *stack) securityGroups(ctx context.Context) (err error) {
	anywhere := []types.IpRange{{CidrIp: new("0.0.0.0/0")}}
	s.lbGroup, err = s.securityGroup(ctx, "twtech-lb", "HTTP and HTTPS from anywhere",
		types.IpPermission{IpRanges: anywhere, FromPort: new(int32(80)), ToPort: new(int32(80))},
		types.IpPermission{IpRanges: anywhere, FromPort: new(int32(443)), ToPort: new(int32(443))})
	if err != nil {
		return err
	}
	s.taskGroup, err = s.securityGroup(ctx, "twtech-task", "HTTP from the load balancer",
		types.IpPermission{
			UserIdGroupPairs: []types.UserIdGroupPair{{GroupId: &s.lbGroup}},
			FromPort:         new(int32(80)), ToPort: new(int32(80)),
		})
	return err
}

func (s *stack) securityGroup(ctx context.Context, name, text string, rules ...types.IpPermission) (string, error) {
	group, err := s.ec2.CreateSecurityGroup(ctx, &ec2.CreateSecurityGroupInput{
		GroupName: &name, Description: &text, VpcId: &s.vpc,
	})
	if err != nil {
		return "", err
	}
	for i := range rules {
		rules[i].IpProtocol = new("tcp")
	}
	_, err = s.ec2.AuthorizeSecurityGroupIngress(ctx, &ec2.AuthorizeSecurityGroupIngressInput{
		GroupId: group.GroupId, IpPermissions: rules,
	})
	return *group.GroupId, err
}
