package balancer

import (
	"net/netip"
	"testing"
	"time"

	api "fairlead/internal/api/elbv2"
	"fairlead/internal/ca"
	"fairlead/internal/row"
	"fairlead/internal/state"
	"fairlead/internal/state/statetest"
)

var (
	scope = row.Scope{Account: "123456789012", Region: "eu-west-1"}
	start = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
)

// arn returns the name of a load balancing resource.
func arn(resource string) string { return scope.ARN("elasticloadbalancing", resource) }

func open(t *testing.T) *state.Store { return statetest.Open(t, row.Tables()...) }

// put stores a load balancer app/NAME/1 with nodes in zones a and b, their interfaces eni-NAME-a
// and -b at the addresses 10.0.NET.4 and .5, and the listener on port 80 that forwards to group.
func putBalancer(tx *state.Tx, name, scheme string, net byte, group string) row.LoadBalancer {
	b := row.LoadBalancer{
		Scope: scope, ARN: arn("loadbalancer/app/" + name + "/1"), Name: name, ID: "1",
		DNSName: name + "-1.eu-west-1.elb.localhost", Scheme: scheme, VPC: "vpc-1", State: "provisioning",
	}
	for i, zone := range []string{"a", "b"} {
		n := row.NetworkInterface{
			Scope: scope, ID: "eni-" + name + "-" + zone, Ready: true, HostListens: true,
			Address: netip.AddrFrom4([4]byte{10, 0, net, byte(4 + i)}).String(),
		}
		if !b.Internal() {
			n.PublicAddress = netip.AddrFrom4([4]byte{127, 9, net, byte(4 + i)}).String()
		}
		row.NetworkInterfaces.Put(tx, n)
		b.Nodes = append(b.Nodes, row.LoadBalancerNode{
			Zone: "eu-west-1" + zone, Subnet: "subnet-" + zone, ENI: n.ID,
		})
	}
	row.LoadBalancers.Put(tx, b)
	putListener(tx, b, 80, "HTTP", forward(group))
	return b
}

// putListener stores a listener app/NAME/1/PORT with a default rule.
func putListener(
	tx *state.Tx, b row.LoadBalancer, port int, protocol string, actions ...api.Action,
) row.Listener {
	l := row.Listener{
		Scope: scope, ARN: arn("listener/app/" + b.Name + "/1/" + string(rune('a'+port%26))),
		LoadBalancer: b.ARN, Port: port, Protocol: protocol,
	}
	row.Listeners.Put(tx, l)
	putRule(tx, l, 0, nil, actions...)
	return l
}

func putRule(
	tx *state.Tx, l row.Listener, priority int, conditions []api.RuleCondition, actions ...api.Action,
) {
	row.Rules.Put(tx, row.Rule{
		Scope: scope, ARN: l.ARN + "/rule/" + string(rune('a'+priority)), Listener: l.ARN,
		LoadBalancer: l.LoadBalancer, Priority: priority, Conditions: conditions, Actions: actions,
	})
}

// forward is a forward action to groups of equal weight.
func forward(groups ...string) api.Action {
	f := &api.ForwardActionConfig{}
	for _, g := range groups {
		f.TargetGroups = append(f.TargetGroups, api.TargetGroupTuple{
			TargetGroupArn: new(groupARN(g)), Weight: new(int32(1)),
		})
	}
	return api.Action{Type: api.ActionTypeEnumForward, ForwardConfig: f}
}

func groupARN(name string) string { return arn("targetgroup/" + name + "/1") }

func putGroup(tx *state.Tx, name string, attributes map[string]string) row.TargetGroup {
	g := row.TargetGroup{
		Scope: scope, ARN: groupARN(name), Name: name, TargetType: "ip", Protocol: "HTTP",
		ProtocolVersion: "HTTP1", Port: 8080, VPC: "vpc-1", Attributes: attributes,
		HealthCheck: row.HealthCheck{
			Enabled: true, Protocol: "HTTP", Port: "traffic-port", Path: "/", IntervalSeconds: 30,
			TimeoutSeconds: 5, HealthyThreshold: 5, UnhealthyThreshold: 2, HTTPCode: "200",
		},
	}
	row.TargetGroups.Put(tx, g)
	return g
}

// putFunction stores a group with a function as its target.
func putFunction(
	tx *state.Tx, name, function string, attributes map[string]string,
) row.TargetGroup {
	g := row.TargetGroup{
		Scope: scope, ARN: groupARN(name), Name: name, TargetType: "lambda", Attributes: attributes,
		HealthCheck: row.HealthCheck{
			Path: "/", IntervalSeconds: 35, TimeoutSeconds: 30, HealthyThreshold: 5,
			UnhealthyThreshold: 5, HTTPCode: "200",
		},
	}
	row.TargetGroups.Put(tx, g)
	row.Targets.Put(tx, row.Target{TargetGroup: g.ARN, ID: scope.ARN("lambda", "function:"+function)})
	return g
}

func putTarget(tx *state.Tx, group, id, zone string, drainingSince *time.Time) row.Target {
	t := row.Target{
		TargetGroup: groupARN(group), ID: id, Port: 8080, Zone: zone, RegisteredAt: start,
		DrainingSince: drainingSince,
	}
	row.Targets.Put(tx, t)
	return t
}

// putCertificate stores a certificate certificate/ID for the names.
func putCertificate(t *testing.T, tx *state.Tx, id string, names ...string) string {
	authority, err := ca.Open(t.TempDir(), time.Now())
	if err != nil {
		t.Fatal(err)
	}
	issued, err := authority.Issue(names, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	c := row.Certificate{
		Scope: scope, ARN: scope.ARN("acm", "certificate/"+id), Type: "IMPORTED",
		PEM: string(issued.Cert), Chain: string(issued.Chain), PrivateKey: row.PrivateKey(issued.Key),
	}
	row.Certificates.Put(tx, c)
	return c.ARN
}
