package ecs

import (
	"context"
	"slices"

	"fairlead/internal/api/ecs"
	"fairlead/internal/aws"
	"fairlead/internal/row"
	"fairlead/internal/state"
)

// The capacity providers that every account has.
const (
	providerFargate     = "FARGATE"
	providerFargateSpot = "FARGATE_SPOT"
)

// Limits of strategies.
// https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_CapacityProviderStrategyItem.html
const (
	maxStrategyItems  = 20
	maxStrategyBase   = 100_000
	maxStrategyWeight = 1000
)

var fargateProviders = []string{providerFargate, providerFargateSpot}

// PutClusterCapacityProviders replaces a cluster's capacity providers and its default strategy.
func (s *Service) PutClusterCapacityProviders(
	ctx context.Context, in *ecs.PutClusterCapacityProvidersInput,
) (*ecs.PutClusterCapacityProvidersOutput, error) {
	if err := checkProviders(in.CapacityProviders); err != nil {
		return nil, err
	}
	if err := checkStrategy(in.DefaultCapacityProviderStrategy, in.CapacityProviders); err != nil {
		return nil, err
	}
	cluster, err := s.changeCluster(ctx, in.Cluster, func(tx *state.Tx, c *row.Cluster) error {
		for svc := range row.Services.By(tx, "cluster", c.ARN) {
			if p := droppedProvider(svc, in.CapacityProviders); p != "" {
				return ecs.ResourceInUseException(
					"The specified capacity provider is in use and cannot be removed: %s", p)
			}
		}
		c.CapacityProviders = in.CapacityProviders
		c.DefaultStrategy = in.DefaultCapacityProviderStrategy
		return nil
	})
	return &ecs.PutClusterCapacityProvidersOutput{Cluster: cluster}, err
}

// droppedProvider is a capacity provider that the service uses and that is not among those left.
func droppedProvider(svc row.Service, left []string) string {
	if svc.Status != row.ServiceActive {
		return ""
	}
	for _, item := range svc.Spec.CapacityStrategy {
		if p := aws.Val(item.CapacityProvider); !slices.Contains(left, p) {
			return p
		}
	}
	return ""
}

// checkProviders lets only those pass that exist.
func checkProviders(providers []string) error {
	for _, p := range providers {
		if !slices.Contains(fargateProviders, p) {
			return invalid("The specified capacity provider '%s' was not found. "+
				"Specify a valid name or ARN and try again.", p)
		}
	}
	return nil
}

// checkStrategy checks a strategy against the providers of its cluster.
func checkStrategy(items []ecs.CapacityProviderStrategyItem, associated []string) error {
	if len(items) > maxStrategyItems {
		return invalid("A capacity provider strategy has at most %d items.", maxStrategyItems)
	}
	var bases, weights int
	for _, item := range items {
		base, weight := aws.Val(item.Base), aws.Val(item.Weight)
		p := aws.Val(item.CapacityProvider)
		switch {
		case base < 0 || base > maxStrategyBase:
			return invalid("The base of a capacity provider is 0 to %d.", maxStrategyBase)
		case weight < 0 || weight > maxStrategyWeight:
			return invalid("The weight of a capacity provider is 0 to %d.", maxStrategyWeight)
		case !slices.Contains(associated, p):
			return invalid("The specified capacity provider strategy cannot contain a capacity "+
				"provider that is not associated with the cluster. Associate the capacity provider "+
				"with the cluster and try again: %s", p)
		}
		bases += min(1, int(base))
		weights += int(weight)
	}
	switch {
	case bases > 1:
		return invalid("Only one capacity provider in a capacity provider strategy can have a base.")
	case len(items) > 0 && weights == 0:
		return invalid("There are no capacity providers in the capacity provider strategy with a " +
			"weight value greater than zero. Specify a weight value greater than zero and try again.")
	}
	return nil
}

// DescribeCapacityProviders describes the two that there are.
func (s *Service) DescribeCapacityProviders(
	ctx context.Context, in *ecs.DescribeCapacityProvidersInput,
) (*ecs.DescribeCapacityProvidersOutput, error) {
	c := aws.CallerFrom(ctx)
	asked := in.CapacityProviders
	if len(asked) == 0 {
		asked = fargateProviders
	}
	out := &ecs.DescribeCapacityProvidersOutput{
		CapacityProviders: []ecs.CapacityProvider{}, Failures: []ecs.Failure{},
	}
	for _, ref := range asked {
		name := lastPart(ref)
		arn := c.ARN("ecs", "capacity-provider/"+name)
		if !slices.Contains(fargateProviders, name) {
			out.Failures = append(out.Failures, missing(arn))
			continue
		}
		out.CapacityProviders = append(out.CapacityProviders, ecs.CapacityProvider{
			CapacityProviderArn: &arn, Name: &name,
			Status: ecs.CapacityProviderStatusACTIVE, Tags: []ecs.Tag{},
		})
	}
	return out, nil
}

// ListContainerInstances lists none: there are no container instances yet.
func (s *Service) ListContainerInstances(
	ctx context.Context, in *ecs.ListContainerInstancesInput,
) (*ecs.ListContainerInstancesOutput, error) {
	_, err := liveCluster(s.store.View(), aws.CallerFrom(ctx), in.Cluster)
	return &ecs.ListContainerInstancesOutput{ContainerInstanceArns: []string{}}, err
}

// DescribeContainerInstances finds none.
func (s *Service) DescribeContainerInstances(
	ctx context.Context, in *ecs.DescribeContainerInstancesInput,
) (*ecs.DescribeContainerInstancesOutput, error) {
	c := aws.CallerFrom(ctx)
	cluster, err := liveCluster(s.store.View(), c, in.Cluster)
	if err != nil {
		return nil, err
	}
	out := &ecs.DescribeContainerInstancesOutput{ContainerInstances: []ecs.ContainerInstance{}}
	for _, ref := range in.ContainerInstances {
		out.Failures = append(out.Failures,
			missing(memberARN(c, cluster.ARN, "container-instance", ref)))
	}
	return out, nil
}

// ListAttributes lists none: only container instances have attributes.
func (s *Service) ListAttributes(
	ctx context.Context, in *ecs.ListAttributesInput,
) (*ecs.ListAttributesOutput, error) {
	_, err := liveCluster(s.store.View(), aws.CallerFrom(ctx), in.Cluster)
	return &ecs.ListAttributesOutput{Attributes: []ecs.Attribute{}}, err
}
