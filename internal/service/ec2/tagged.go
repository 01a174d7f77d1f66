package ec2

import (
	"iter"
	"slices"

	"fairlead/internal/api/ec2"
	"fairlead/internal/row"
	"fairlead/internal/state"
)

// resource is what DescribeTags needs to know of anything that has tags.
type resource struct {
	kind kind
	id   string
	tags row.Tags
}

// tagged yields everything in the scope that can have tags.
func tagged(r state.Reader, scope row.Scope) iter.Seq[resource] {
	all := scope.Key("")
	return concat(
		resources(row.EC2s.Scan(r, all), func(e row.EC2) []resource {
			return []resource{{dhcpKind, e.DHCPOptions, e.DHCPOptionsTags}}
		}),
		resources(row.VPCs.Scan(r, all), func(v row.VPC) []resource {
			return []resource{{vpcKind, v.ID, v.Tags}, {aclKind, v.NetworkACL, v.NetworkACLTags}}
		}),
		resources(row.Subnets.Scan(r, all), func(s row.Subnet) []resource {
			return []resource{{subnetKind, s.ID, s.Tags}}
		}),
		resources(row.InternetGateways.Scan(r, all), func(g row.InternetGateway) []resource {
			return []resource{{gatewayKind, g.ID, g.Tags}}
		}),
		resources(row.RouteTables.Scan(r, all), func(t row.RouteTable) []resource {
			return []resource{{routeTableKind, t.ID, t.Tags}}
		}),
		resources(row.SecurityGroups.Scan(r, all), taggedGroup),
		resources(row.NetworkInterfaces.Scan(r, all), func(n row.NetworkInterface) []resource {
			return []resource{{interfaceKind, n.ID, n.Tags}}
		}),
		resources(row.Addresses.Scan(r, all), func(a row.Address) []resource {
			return []resource{{addressKind, a.ID, a.Tags}}
		}),
	)
}

func taggedGroup(g row.SecurityGroup) []resource {
	all := []resource{{groupKind, g.ID, g.Tags}}
	for _, rule := range g.Rules {
		all = append(all, resource{ruleKind, rule.ID, rule.Tags})
	}
	return all
}

func resources[R any](rows iter.Seq[R], of func(R) []resource) iter.Seq[resource] {
	return func(yield func(resource) bool) {
		for r := range rows {
			if slices.ContainsFunc(of(r), func(found resource) bool { return !yield(found) }) {
				return
			}
		}
	}
}

func concat[E any](all ...iter.Seq[E]) iter.Seq[E] {
	return func(yield func(E) bool) {
		for _, seq := range all {
			for e := range seq {
				if !yield(e) {
					return
				}
			}
		}
	}
}

var tagCatalog = catalog[ec2.TagDescription]{
	kind: kind{prefix: "tag"},
	id:   func(t ec2.TagDescription) string { return *t.ResourceId + "/" + *t.Key },
	tags: func(t ec2.TagDescription) []ec2.Tag { return []ec2.Tag{{Key: t.Key, Value: t.Value}} },
	filters: filters[ec2.TagDescription]{
		"key":           func(t ec2.TagDescription) []string { return one(t.Key) },
		"resource-id":   func(t ec2.TagDescription) []string { return one(t.ResourceId) },
		"resource-type": func(t ec2.TagDescription) []string { return enum(t.ResourceType) },
		"value":         func(t ec2.TagDescription) []string { return one(t.Value) },
	},
}
