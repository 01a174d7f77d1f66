package ecs

import (
	"cmp"
	"context"
	"reflect"

	"fairlead/internal/api/ecs"
	"fairlead/internal/aws"
	"fairlead/internal/row"
	"fairlead/internal/state"
)

// UpdateService changes what a service is to be. A change of what its tasks are made from, or
// forceNewDeployment, begins a new deployment.
func (s *Service) UpdateService(
	ctx context.Context, in *ecs.UpdateServiceInput,
) (*ecs.UpdateServiceOutput, error) {
	if err := checkUpdate(in); err != nil {
		return nil, err
	}
	out := &ecs.UpdateServiceOutput{}
	err := s.update(ctx, func(tx *state.Tx, c aws.Caller) error {
		svc, err := findService(tx, c, in.Cluster, in.Service)
		if err != nil {
			return err
		}
		if svc.Status != row.ServiceActive {
			return ecs.ServiceNotActiveException("Service was not ACTIVE.")
		}
		old := svc.Spec
		applyIntent(&svc, in)
		if err := checkRebalancing(svc); err != nil {
			return err
		}
		if err := applySpec(tx, c, &svc, in); err != nil {
			return err
		}
		def, _ := row.TaskDefinitions.Get(tx, svc.Spec.TaskDefinition)
		if err := checkExecRole(svc.ExecuteCommand, def, "updated"); err != nil {
			return err
		}
		svc.Version++
		row.Services.Put(tx, svc)
		if aws.Val(in.ForceNewDeployment) || needsDeployment(old, svc.Spec) {
			s.deploy(tx, svc)
		}
		out.Service = new(describeService(tx, svc, true))
		return nil
	})
	return out, err
}

// needsDeployment tells whether tasks of the old spec must give way. A change of the capacity
// provider strategy alone holds for tasks to come.
// https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_UpdateService.html
func needsDeployment(old, spec row.ServiceSpec) bool {
	old.CapacityStrategy, old.LaunchType = spec.CapacityStrategy, spec.LaunchType
	return !reflect.DeepEqual(old, spec)
}

func checkUpdate(in *ecs.UpdateServiceInput) error {
	if dc := in.DeploymentController; dc != nil && dc.Type != "" &&
		dc.Type != ecs.DeploymentControllerTypeECS {
		return unserved("the deployment controller " + string(dc.Type))
	}
	return cmp.Or(
		checkCount(in.DesiredCount),
		checkConfiguration(in.DeploymentConfiguration),
		checkGrace(in.HealthCheckGracePeriodSeconds),
		checkPlatform(in.PlatformVersion),
		unservedService(in.ServiceConnectConfiguration, in.ServiceRegistries,
			in.VolumeConfigurations, in.VpcLatticeConfigurations),
		checkPlacement(in.PlacementConstraints, in.PlacementStrategy),
	)
}

// applyIntent changes what needs no new tasks.
func applyIntent(svc *row.Service, in *ecs.UpdateServiceInput) {
	if in.DesiredCount != nil {
		svc.DesiredCount = int(*in.DesiredCount)
	}
	if in.DeploymentConfiguration != nil {
		svc.Configuration = fillConfiguration(mergeConfiguration(svc.Configuration,
			*in.DeploymentConfiguration))
	}
	if in.HealthCheckGracePeriodSeconds != nil {
		svc.GracePeriod = in.HealthCheckGracePeriodSeconds
	}
	svc.Rebalancing = cmp.Or(in.AvailabilityZoneRebalancing, svc.Rebalancing)
	svc.PropagateTags = cmp.Or(in.PropagateTags, svc.PropagateTags)
	svc.ManagedTags = aws.Or(in.EnableECSManagedTags, svc.ManagedTags)
	svc.ExecuteCommand = aws.Or(in.EnableExecuteCommand, svc.ExecuteCommand)
}

// mergeConfiguration keeps of the old configuration what the new one does not name. An empty
// circuit breaker turns it off.
func mergeConfiguration(old, conf ecs.DeploymentConfiguration) *ecs.DeploymentConfiguration {
	conf.MinimumHealthyPercent = cmp.Or(conf.MinimumHealthyPercent, old.MinimumHealthyPercent)
	conf.MaximumPercent = cmp.Or(conf.MaximumPercent, old.MaximumPercent)
	conf.Alarms = cmp.Or(conf.Alarms, old.Alarms)
	conf.BakeTimeInMinutes = cmp.Or(conf.BakeTimeInMinutes, old.BakeTimeInMinutes)
	switch b := conf.DeploymentCircuitBreaker; {
	case b == nil:
		conf.DeploymentCircuitBreaker = old.DeploymentCircuitBreaker
	case b.Enable == nil:
		conf.DeploymentCircuitBreaker = nil
	}
	return &conf
}

// applySpec changes what tasks are made from, and checks the result if anything did.
func applySpec(tx *state.Tx, c aws.Caller, svc *row.Service, in *ecs.UpdateServiceInput) error {
	spec := &svc.Spec
	def, _ := row.TaskDefinitions.Get(tx, spec.TaskDefinition)
	if in.TaskDefinition != nil {
		var err error
		if def, err = launchable(tx, c, *in.TaskDefinition); err != nil {
			return err
		}
		spec.TaskDefinition = def.ARN
	}
	if in.CapacityProviderStrategy != nil {
		cluster, _ := row.Clusters.Get(tx, svc.Cluster)
		capacity, err := updateCapacity(cluster, in.CapacityProviderStrategy)
		if err != nil {
			return err
		}
		spec.LaunchType, spec.CapacityStrategy = capacity.launch, capacity.strategy
	}
	if in.NetworkConfiguration != nil {
		spec.Network = fillNetwork(in.NetworkConfiguration)
	}
	if in.LoadBalancers != nil {
		spec.LoadBalancers = in.LoadBalancers
		if len(in.LoadBalancers) == 0 {
			spec.LoadBalancers = nil
		}
	}
	spec.PlatformVersion = aws.Or(in.PlatformVersion, spec.PlatformVersion)
	if in.TaskDefinition == nil && in.NetworkConfiguration == nil && in.LoadBalancers == nil {
		return nil
	}
	return checkSpec(tx, *spec, def)
}

// updateCapacity is what a given strategy means; an empty one goes back to the launch type.
func updateCapacity(
	cluster row.Cluster, strategy []ecs.CapacityProviderStrategyItem,
) (capacity, error) {
	if len(strategy) == 0 {
		return capacity{launch: ecs.LaunchTypeFARGATE}, nil
	}
	return resolveCapacity(cluster, "", strategy)
}

// DeleteService stops a service: it drains until its last task has stopped.
func (s *Service) DeleteService(
	ctx context.Context, in *ecs.DeleteServiceInput,
) (*ecs.DeleteServiceOutput, error) {
	out := &ecs.DeleteServiceOutput{}
	err := s.update(ctx, func(tx *state.Tx, c aws.Caller) error {
		svc, err := findService(tx, c, in.Cluster, in.Service)
		if err != nil {
			return err
		}
		if svc.Status == row.ServiceActive {
			if err := checkDelete(tx, svc, aws.Val(in.Force)); err != nil {
				return err
			}
			svc.Status, svc.DesiredCount = row.ServiceDraining, 0
			svc.Version++
			row.Services.Put(tx, svc)
		}
		out.Service = new(describeService(tx, svc, true))
		return nil
	})
	return out, err
}

func checkDelete(r state.Reader, svc row.Service, force bool) error {
	switch {
	case force:
		return nil
	case svc.DesiredCount > 0:
		return invalid("The service cannot be stopped while it is scaled above 0.")
	case len(deploymentsOf(r, svc.ARN)) > 1:
		return invalid("The service cannot be stopped while deployments are active.")
	}
	return nil
}
