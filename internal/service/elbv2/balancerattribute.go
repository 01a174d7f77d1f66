package elbv2

import (
	"context"

	api "fairlead/internal/api/elbv2"
	"fairlead/internal/aws"
	"fairlead/internal/elb"
	"fairlead/internal/row"
	"fairlead/internal/state"
)

// DescribeLoadBalancerAttributes lists all attributes of a load balancer.
func (s *Service) DescribeLoadBalancerAttributes(
	_ context.Context, in *api.DescribeLoadBalancerAttributesInput,
) (*api.DescribeLoadBalancerAttributesOutput, error) {
	b, err := findBalancer(s.store.View(), aws.Val(in.LoadBalancerArn))
	return &api.DescribeLoadBalancerAttributesOutput{Attributes: balancerAttributes(b)}, err
}

// ModifyLoadBalancerAttributes changes all of the given attributes or none.
func (s *Service) ModifyLoadBalancerAttributes(
	ctx context.Context, in *api.ModifyLoadBalancerAttributesInput,
) (*api.ModifyLoadBalancerAttributesOutput, error) {
	var changes []elb.Setting
	for _, a := range in.Attributes {
		changes = append(changes, elb.Setting{Key: aws.Val(a.Key), Value: aws.Val(a.Value)})
	}
	b, err := update(ctx, s, func(tx *state.Tx) (row.LoadBalancer, error) {
		b, err := findBalancer(tx, aws.Val(in.LoadBalancerArn))
		if err != nil {
			return b, err
		}
		b.Attributes, err = elb.OfBalancer(b).Apply(b.Attributes, changes, unknownBalancerAttribute)
		if err == nil {
			row.LoadBalancers.Put(tx, b)
		}
		return b, err
	})
	return &api.ModifyLoadBalancerAttributesOutput{Attributes: balancerAttributes(b)}, err
}

func unknownBalancerAttribute(key string) *aws.Fault {
	return invalid("Load balancer attribute key '%s' is not recognized", key)
}

func balancerAttributes(b row.LoadBalancer) []api.LoadBalancerAttribute {
	list := []api.LoadBalancerAttribute{}
	attributes := elb.OfBalancer(b)
	values := attributes.Values(b.Attributes)
	for _, a := range attributes {
		list = append(list, api.LoadBalancerAttribute{Key: new(a.Key), Value: new(values[a.Key])})
	}
	return list
}
