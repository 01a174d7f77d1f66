package elbv2

import (
	"context"

	api "fairlead/internal/api/elbv2"
	"fairlead/internal/aws"
	"fairlead/internal/elb"
	"fairlead/internal/row"
	"fairlead/internal/state"
)

// DescribeTargetGroupAttributes lists all attributes of a target group.
func (s *Service) DescribeTargetGroupAttributes(
	_ context.Context, in *api.DescribeTargetGroupAttributesInput,
) (*api.DescribeTargetGroupAttributesOutput, error) {
	g, err := findGroup(s.store.View(), aws.Val(in.TargetGroupArn))
	return &api.DescribeTargetGroupAttributesOutput{Attributes: groupAttributes(g)}, err
}

// ModifyTargetGroupAttributes changes all of the given attributes or none.
func (s *Service) ModifyTargetGroupAttributes(
	ctx context.Context, in *api.ModifyTargetGroupAttributesInput,
) (*api.ModifyTargetGroupAttributesOutput, error) {
	var changes []elb.Setting
	for _, a := range in.Attributes {
		changes = append(changes, elb.Setting{Key: aws.Val(a.Key), Value: aws.Val(a.Value)})
	}
	g, err := update(ctx, s, func(tx *state.Tx) (row.TargetGroup, error) {
		g, err := findGroup(tx, aws.Val(in.TargetGroupArn))
		if err != nil {
			return g, err
		}
		attributes := elb.OfGroup(g)
		g.Attributes, err = attributes.Apply(g.Attributes, changes, func(key string) *aws.Fault {
			return elb.UnknownOfGroup(g, key)
		})
		if err != nil {
			return g, err
		}
		if err := checkGroup(tx, g, attributes.Values(g.Attributes)); err != nil {
			return g, err
		}
		row.TargetGroups.Put(tx, g)
		return g, nil
	})
	return &api.ModifyTargetGroupAttributesOutput{Attributes: groupAttributes(g)}, err
}

// checkGroup refuses attribute values that do not go together, or not with where the group is used.
func checkGroup(tx *state.Tx, g row.TargetGroup, values elb.Values) error {
	if err := elb.CheckGroup(values); err != nil {
		return err
	}
	if values[elb.CrossZone] == "false" {
		for t := range row.Targets.Scan(tx, g.ARN+"|") {
			if t.Zone == elb.AllZones { // our own text
				return api.InvalidConfigurationRequestException("Cross-zone load balancing cannot be "+
					"turned off while target '%s' is registered for all Availability Zones", t.ID)
			}
		}
	}
	if !values.Bool(elb.Stickiness) {
		return nil
	}
	for r := range row.Rules.By(tx, "group", g.ARN) {
		if needsGroupStickiness(r.Actions) {
			return errGroupStickiness()
		}
	}
	return nil
}

func groupAttributes(g row.TargetGroup) []api.TargetGroupAttribute {
	list := []api.TargetGroupAttribute{}
	attributes := elb.OfGroup(g)
	values := attributes.Values(g.Attributes)
	for _, a := range attributes {
		list = append(list, api.TargetGroupAttribute{Key: new(a.Key), Value: new(values[a.Key])})
	}
	return list
}
