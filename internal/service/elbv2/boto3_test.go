package elbv2_test

import (
	"testing"

	"fairlead/internal/wire/wiretest"
)

// TestBoto3 lets boto3 use the service: shapes, paginators, waiters.
func TestBoto3(t *testing.T) {
	_, router := newWorld(t)
	wiretest.Boto3(t, router, "123456789012", "secret", `
elb = client("elbv2")
lb = elb.create_load_balancer(Name="web", Subnets=["subnet-a", "subnet-b"])["LoadBalancers"][0]
arn = lb["LoadBalancerArn"]
same(lb["State"], {"Code": "provisioning"})
same([z["ZoneName"] for z in lb["AvailabilityZones"]], ["eu-west-1a", "eu-west-1b"])
elb.create_load_balancer(Name="web2", Subnets=["subnet-a", "subnet-b"])
pages = elb.get_paginator("describe_load_balancers").paginate(PaginationConfig={"PageSize": 1})
same([b["LoadBalancerName"] for p in pages for b in p["LoadBalancers"]], ["web", "web2"])
fast = {"Delay": 1, "MaxAttempts": 2}
elb.get_waiter("load_balancer_exists").wait(Names=["web"], WaiterConfig=fast)

group = elb.create_target_group(Name="app", Protocol="HTTP", Port=80, VpcId="vpc-1", TargetType="ip")
tg = group["TargetGroups"][0]["TargetGroupArn"]
actions = [{"Type": "forward", "TargetGroupArn": tg}]
http = elb.create_listener(LoadBalancerArn=arn, Port=80, Protocol="HTTP", DefaultActions=actions)
listener = http["Listeners"][0]
rule = elb.create_rule(ListenerArn=listener["ListenerArn"], Priority=7, Actions=actions,
    Conditions=[{"Field": "path-pattern", "Values": ["/a*"]}])["Rules"][0]
same(rule["Priority"], "7")
same(rule["Conditions"][0]["PathPatternConfig"], {"Values": ["/a*"]})

# A validation of tokens, in either order.
https = elb.create_listener(LoadBalancerArn=arn, Port=443, Protocol="HTTPS", DefaultActions=actions,
    Certificates=[{"CertificateArn": "arn:aws:acm:eu-west-1:123456789012:certificate/app"}])["Listeners"][0]
jwt = {"Type": "jwt-validation", "Order": 1, "JwtValidationConfig": {
    "JwksEndpoint": "https://me/jwks.json", "Issuer": "https://me",
    "AdditionalClaims": [{"Name": "scope", "Format": "space-separated-values", "Values": ["a", "b"]}]}}
guarded = elb.create_rule(ListenerArn=https["ListenerArn"], Priority=7, Actions=[{**actions[0], "Order": 2}, jwt],
    Conditions=[{"Field": "path-pattern", "Values": ["/a*"]}])["Rules"][0]
same(guarded["Actions"][0], jwt)
same([a["Type"] for a in guarded["Actions"]], ["jwt-validation", "forward"])
elb.modify_rule(RuleArn=guarded["RuleArn"], Actions=guarded["Actions"])
same(code(elb.modify_rule, RuleArn=rule["RuleArn"], Actions=guarded["Actions"]), "InvalidLoadBalancerAction")

# What Describe shows can be sent back.
elb.modify_listener(ListenerArn=listener["ListenerArn"], DefaultActions=listener["DefaultActions"])
elb.modify_rule(RuleArn=rule["RuleArn"], Conditions=rule["Conditions"], Actions=rule["Actions"])
for describe, modify, key, value in [
    (elb.describe_load_balancer_attributes, elb.modify_load_balancer_attributes, "LoadBalancerArn", arn),
    (elb.describe_target_group_attributes, elb.modify_target_group_attributes, "TargetGroupArn", tg),
    (elb.describe_listener_attributes, elb.modify_listener_attributes, "ListenerArn", listener["ListenerArn"]),
]:
    attributes = describe(**{key: value})["Attributes"]
    same(modify(**{key: value, "Attributes": attributes[:20]})["Attributes"], attributes)

elb.register_targets(TargetGroupArn=tg, Targets=[{"Id": "10.0.1.7"}])
health = elb.describe_target_health(TargetGroupArn=tg)["TargetHealthDescriptions"]
same(health[0]["TargetHealth"]["State"], "initial")
same(code(elb.delete_target_group, TargetGroupArn=tg), "ResourceInUse")
elb.delete_load_balancer(LoadBalancerArn=arn)
elb.get_waiter("load_balancers_deleted").wait(Names=["web"], WaiterConfig=fast)
elb.get_waiter("target_deregistered").wait(TargetGroupArn=tg, WaiterConfig=fast)
elb.delete_target_group(TargetGroupArn=tg)
same(code(elb.describe_target_groups, Names=["app"]), "TargetGroupNotFound")
limits = {l["Name"]: l["Max"] for l in elb.describe_account_limits()["Limits"]}
same(limits["application-load-balancers"], "50")
assert any(p["Name"] == "ELBSecurityPolicy-2016-08" for p in elb.describe_ssl_policies()["SslPolicies"])
`)
}
