package ec2

import (
	"context"
	"iter"
	"maps"
	"slices"
	"strings"
	"unicode/utf8"

	"fairlead/internal/api/ec2"
	"fairlead/internal/aws"
	"fairlead/internal/row"
	"fairlead/internal/state"
	"fairlead/internal/wire"
)

// Limits of tags.
// https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/Using_Tags.html#tag-restrictions
const (
	maxTags          = 50  // per resource
	maxTagKey        = 128 // characters
	maxTagValue      = 256 // characters
	maxTaggedPerCall = 1000
)

func (s *Service) registerTags(r *wire.Router) {
	wire.Handle(r, ec2.OpCreateTags, s.CreateTags)
	wire.Handle(r, ec2.OpDeleteTags, s.DeleteTags)
	wire.Handle(r, ec2.OpDescribeTags, s.DescribeTags)
}

// CreateTags sets tags of resources of any kind.
func (s *Service) CreateTags(
	ctx context.Context, in *ec2.CreateTagsInput,
) (*ec2.CreateTagsOutput, error) {
	tags, err := parseTags(in.Tags)
	if err != nil {
		return nil, err
	}
	return change(ctx, s, in.DryRun,
		func(tx *state.Tx, scope row.Scope) (*ec2.CreateTagsOutput, error) {
			err := retagAll(tx, scope, in.Resources, func(old row.Tags) (row.Tags, error) {
				old = maps.Clone(old)
				if old == nil {
					old = row.Tags{}
				}
				maps.Copy(old, tags)
				return old, checkTagCount(old)
			})
			return &ec2.CreateTagsOutput{}, err
		})
}

// DeleteTags removes tags of resources: those with the keys, and the values where values are given;
// all of them when no tags are named.
func (s *Service) DeleteTags(
	ctx context.Context, in *ec2.DeleteTagsInput,
) (*ec2.DeleteTagsOutput, error) {
	return change(ctx, s, in.DryRun,
		func(tx *state.Tx, scope row.Scope) (*ec2.DeleteTagsOutput, error) {
			err := retagAll(tx, scope, in.Resources, func(old row.Tags) (row.Tags, error) {
				if len(in.Tags) == 0 {
					return nil, nil
				}
				old = maps.Clone(old)
				for _, t := range in.Tags {
					if key := aws.Val(t.Key); t.Value == nil || *t.Value == old[key] {
						delete(old, key)
					}
				}
				return old, nil
			})
			return &ec2.DeleteTagsOutput{}, err
		})
}

// retagAll replaces the tags of every resource by what edit makes of them.
func retagAll(
	tx *state.Tx, scope row.Scope, ids []string, edit func(row.Tags) (row.Tags, error),
) error {
	if len(ids) == 0 {
		return missing("resourceIdSet")
	}
	if len(ids) > maxTaggedPerCall {
		return invalid("The maximum number of resources in one call is %d", maxTaggedPerCall)
	}
	for _, id := range ids {
		if err := retag(tx, scope, id, edit); err != nil {
			return err
		}
	}
	return nil
}

func retag(
	tx *state.Tx, scope row.Scope, id string, edit func(row.Tags) (row.Tags, error),
) error {
	switch prefix, _, _ := strings.Cut(id, "-"); prefix {
	case vpcKind.prefix:
		return retagRow(tx, row.VPCs, vpcKind, scope, id, edit,
			func(v *row.VPC) *row.Tags { return &v.Tags })
	case subnetKind.prefix:
		return retagRow(tx, row.Subnets, subnetKind, scope, id, edit,
			func(s *row.Subnet) *row.Tags { return &s.Tags })
	case gatewayKind.prefix:
		return retagRow(tx, row.InternetGateways, gatewayKind, scope, id, edit,
			func(g *row.InternetGateway) *row.Tags { return &g.Tags })
	case routeTableKind.prefix:
		return retagRow(tx, row.RouteTables, routeTableKind, scope, id, edit,
			func(t *row.RouteTable) *row.Tags { return &t.Tags })
	case groupKind.prefix:
		return retagRow(tx, row.SecurityGroups, groupKind, scope, id, edit,
			func(g *row.SecurityGroup) *row.Tags { return &g.Tags })
	case interfaceKind.prefix:
		return retagRow(tx, row.NetworkInterfaces, interfaceKind, scope, id, edit,
			func(n *row.NetworkInterface) *row.Tags { return &n.Tags })
	case addressKind.prefix:
		return retagRow(tx, row.Addresses, addressKind, scope, id, edit,
			func(a *row.Address) *row.Tags { return &a.Tags })
	case ruleKind.prefix:
		return retagRule(tx, scope, id, edit)
	case aclKind.prefix:
		return retagACL(tx, scope, id, edit)
	case dhcpKind.prefix:
		return retagDHCP(tx, scope, id, edit)
	}
	return aws.NewFault("InvalidID", "The ID '%s' is not valid", id)
}

func retagRow[R any](
	tx *state.Tx, table *state.Table[R], k kind, scope row.Scope, id string,
	edit func(row.Tags) (row.Tags, error), tags func(*R) *row.Tags,
) error {
	found, err := find(tx, table, k, scope, &id)
	if err != nil {
		return err
	}
	if *tags(&found), err = edit(*tags(&found)); err != nil {
		return err
	}
	table.Put(tx, found)
	return nil
}

func retagRule(
	tx *state.Tx, scope row.Scope, id string, edit func(row.Tags) (row.Tags, error),
) error {
	g, at, err := findRule(tx, scope, id)
	if err != nil {
		return err
	}
	g.Rules = slices.Clone(g.Rules)
	if g.Rules[at].Tags, err = edit(g.Rules[at].Tags); err != nil {
		return err
	}
	row.SecurityGroups.Put(tx, g)
	return nil
}

func retagACL(
	tx *state.Tx, scope row.Scope, id string, edit func(row.Tags) (row.Tags, error),
) (err error) {
	for v := range row.VPCs.Scan(tx, scope.Key("")) {
		if v.NetworkACL == id {
			if v.NetworkACLTags, err = edit(v.NetworkACLTags); err == nil {
				row.VPCs.Put(tx, v)
			}
			return err
		}
	}
	return aclKind.absent(id)
}

func retagDHCP(
	tx *state.Tx, scope row.Scope, id string, edit func(row.Tags) (row.Tags, error),
) (err error) {
	home, _ := row.EC2s.Get(tx, scope.Key(""))
	if home.DHCPOptions != id {
		return dhcpKind.absent(id)
	}
	if home.DHCPOptionsTags, err = edit(home.DHCPOptionsTags); err == nil {
		row.EC2s.Put(tx, home)
	}
	return err
}

// tagsOf returns the tags that a call gives to a new resource of the kind.
func tagsOf(specs []ec2.TagSpecification, k kind) (row.Tags, error) {
	var all []ec2.Tag
	for _, spec := range specs {
		if spec.ResourceType != k.resource {
			return nil, invalid("'%s' is not a valid taggable resource type for this operation.",
				spec.ResourceType)
		}
		all = append(all, spec.Tags...)
	}
	tags, err := parseTags(all)
	if err != nil {
		return nil, err
	}
	return tags, checkTagCount(tags)
}

func parseTags(list []ec2.Tag) (row.Tags, error) {
	var tags row.Tags
	for _, t := range list {
		key, value := aws.Val(t.Key), aws.Val(t.Value)
		_, twice := tags[key]
		switch {
		case key == "":
			return nil, missing("key")
		case strings.HasPrefix(strings.ToLower(key), "aws:"):
			return nil, invalid("Value ( %s ) for parameter key is invalid. Tag keys starting "+
				"with 'aws:' are reserved for internal use", key)
		case utf8.RuneCountInString(key) > maxTagKey:
			return nil, invalid("Tag key exceeds the maximum length of %d characters", maxTagKey)
		case utf8.RuneCountInString(value) > maxTagValue:
			return nil, invalid("Tag value exceeds the maximum length of %d characters",
				maxTagValue)
		case twice:
			return nil, invalid("Duplicate tag key '%s' specified.", key)
		case tags == nil:
			tags = row.Tags{}
		}
		tags[key] = value
	}
	return tags, nil
}

func checkTagCount(tags row.Tags) error {
	if len(tags) > maxTags {
		return aws.NewFault("TagLimitExceeded",
			"The maximum number of Tags for a resource has been reached.")
	}
	return nil
}

// wireTags returns the tags in the order of their keys, nil when there are none.
func wireTags(tags row.Tags) (list []ec2.Tag) {
	for _, key := range slices.Sorted(maps.Keys(tags)) {
		list = append(list, ec2.Tag{Key: new(key), Value: new(tags[key])})
	}
	return list
}

// DescribeTags lists the tags of resources of all kinds.
func (s *Service) DescribeTags(
	ctx context.Context, in *ec2.DescribeTagsInput,
) (*ec2.DescribeTagsOutput, error) {
	r, scope, err := s.view(ctx, in.DryRun)
	if err != nil {
		return nil, err
	}
	page, next, err := tagCatalog.list(slices.Collect(allTags(r, scope)),
		query{nil, in.Filters, in.MaxResults, in.NextToken})
	if err != nil {
		return nil, err
	}
	return &ec2.DescribeTagsOutput{Tags: page, NextToken: next}, nil
}

// allTags yields the tags of every resource in the scope.
func allTags(r state.Reader, scope row.Scope) iter.Seq[ec2.TagDescription] {
	return func(yield func(ec2.TagDescription) bool) {
		for resource := range tagged(r, scope) {
			for _, t := range wireTags(resource.tags) {
				if !yield(ec2.TagDescription{
					ResourceId: new(resource.id), ResourceType: resource.kind.resource,
					Key: t.Key, Value: t.Value,
				}) {
					return
				}
			}
		}
	}
}
