"""Makes a network by boto3, looks at it, and takes it down again."""
import sys

import boto3
from botocore.exceptions import ClientError

ec2 = boto3.client("ec2", endpoint_url=sys.argv[1])


def name(kind, value):
    return [{"ResourceType": kind, "Tags": [{"Key": "Name", "Value": value}]}]


def refused(code, call, **kwargs):
    try:
        call(**kwargs)
    except ClientError as e:
        assert e.response["Error"]["Code"] == code, e
        return
    raise AssertionError("not refused: " + code)


vpc = ec2.create_vpc(CidrBlock="10.0.0.0/16", TagSpecifications=name("vpc", "web"))["Vpc"]["VpcId"]
ec2.get_waiter("vpc_available").wait(VpcIds=[vpc])
ec2.modify_vpc_attribute(VpcId=vpc, EnableDnsHostnames={"Value": True})
subnet = ec2.create_subnet(VpcId=vpc, CidrBlock="10.0.1.0/24")["Subnet"]["SubnetId"]
ec2.get_waiter("subnet_available").wait(SubnetIds=[subnet])
igw = ec2.create_internet_gateway()["InternetGateway"]["InternetGatewayId"]
ec2.attach_internet_gateway(VpcId=vpc, InternetGatewayId=igw)
ec2.get_waiter("internet_gateway_exists").wait(InternetGatewayIds=[igw])
rtb = ec2.create_route_table(VpcId=vpc)["RouteTable"]["RouteTableId"]
ec2.create_route(RouteTableId=rtb, DestinationCidrBlock="0.0.0.0/0", GatewayId=igw)
association = ec2.associate_route_table(RouteTableId=rtb, SubnetId=subnet)["AssociationId"]
sg = ec2.create_security_group(GroupName="web", Description="web", VpcId=vpc)["GroupId"]
ec2.get_waiter("security_group_exists").wait(GroupIds=[sg])
rules = ec2.authorize_security_group_ingress(GroupId=sg, IpPermissions=[
    {"IpProtocol": "tcp", "FromPort": 80, "ToPort": 80, "IpRanges": [{"CidrIp": "0.0.0.0/0"}]},
])["SecurityGroupRules"]
assert rules[0]["SecurityGroupRuleId"].startswith("sgr-") and rules[0]["FromPort"] == 80, rules
group = ec2.describe_security_groups(GroupIds=[sg])["SecurityGroups"][0]
assert group["IpPermissions"] == [{
    "IpProtocol": "tcp", "FromPort": 80, "ToPort": 80, "IpRanges": [{"CidrIp": "0.0.0.0/0"}],
    "Ipv6Ranges": [], "PrefixListIds": [], "UserIdGroupPairs": [],
}], group
eni = ec2.create_network_interface(SubnetId=subnet, Groups=[sg])["NetworkInterface"]
assert eni["PrivateIpAddress"] == "10.0.1.4", eni
found = list(ec2.get_paginator("describe_network_interfaces").paginate(
    Filters=[{"Name": "group-id", "Values": [sg]}], PaginationConfig={"PageSize": 5}))
assert [n["NetworkInterfaceId"] for n in found[0]["NetworkInterfaces"]] == [
    eni["NetworkInterfaceId"]], found

refused("DryRunOperation", ec2.create_vpc, CidrBlock="10.0.0.0/16", DryRun=True)
refused("InvalidVpc.Range", ec2.create_vpc, CidrBlock="10.0.0.0/8")
refused("DependencyViolation", ec2.delete_vpc, VpcId=vpc)
refused("DependencyViolation", ec2.delete_security_group, GroupId=sg)
refused("InvalidSubnetID.NotFound", ec2.describe_subnets, SubnetIds=["subnet-0123456789abcdef0"])

ec2.delete_network_interface(NetworkInterfaceId=eni["NetworkInterfaceId"])
ec2.disassociate_route_table(AssociationId=association)
ec2.delete_route_table(RouteTableId=rtb)
ec2.delete_security_group(GroupId=sg)
ec2.detach_internet_gateway(VpcId=vpc, InternetGatewayId=igw)
ec2.delete_internet_gateway(InternetGatewayId=igw)
ec2.delete_subnet(SubnetId=subnet)
ec2.delete_vpc(VpcId=vpc)
refused("InvalidVpcID.NotFound", ec2.describe_vpcs, VpcIds=[vpc])
assert ec2.describe_instances()["Reservations"] == []
assert len(ec2.describe_availability_zones()["AvailabilityZones"]) == 3
