package elbv2

import (
	"context"

	api "fairlead/internal/api/elbv2"
	"fairlead/internal/aws"
	"fairlead/internal/elb"
	"fairlead/internal/row"
	"fairlead/internal/state"
)

// DescribeListenerAttributes lists all attributes of a listener.
func (s *Service) DescribeListenerAttributes(
	_ context.Context, in *api.DescribeListenerAttributesInput,
) (*api.DescribeListenerAttributesOutput, error) {
	l, err := findListener(s.store.View(), aws.Val(in.ListenerArn))
	return &api.DescribeListenerAttributesOutput{Attributes: listenerAttributes(l)}, err
}

// ModifyListenerAttributes changes all of the given attributes or none. An empty value returns an
// attribute to its default.
func (s *Service) ModifyListenerAttributes(
	ctx context.Context, in *api.ModifyListenerAttributesInput,
) (*api.ModifyListenerAttributesOutput, error) {
	l, err := update(ctx, s, func(tx *state.Tx) (row.Listener, error) {
		l, err := findListener(tx, aws.Val(in.ListenerArn))
		if err != nil {
			return l, err
		}
		attributes := elb.OfListener(l)
		standard := attributes.Values(nil)
		var changes []elb.Setting
		for _, a := range in.Attributes {
			value := aws.Val(a.Value)
			if value == "" {
				value = standard[aws.Val(a.Key)]
			}
			changes = append(changes, elb.Setting{Key: aws.Val(a.Key), Value: value})
		}
		l.Attributes, err = attributes.Apply(l.Attributes, changes, unknownListenerAttribute)
		if err == nil {
			row.Listeners.Put(tx, l)
		}
		return l, err
	})
	return &api.ModifyListenerAttributesOutput{Attributes: listenerAttributes(l)}, err
}

func unknownListenerAttribute(key string) *aws.Fault {
	return invalid("Listener attribute key '%s' is not recognized", key) // by analogy
}

func listenerAttributes(l row.Listener) []api.ListenerAttribute {
	list := []api.ListenerAttribute{}
	attributes := elb.OfListener(l)
	values := attributes.Values(l.Attributes)
	for _, a := range attributes {
		list = append(list, api.ListenerAttribute{Key: new(a.Key), Value: new(values[a.Key])})
	}
	return list
}
