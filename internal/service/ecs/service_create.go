package ecs

import (
	"cmp"
	"context"
	"reflect"
	"slices"
	"strings"
	"time"

	"fairlead/internal/api/ecs"
	"fairlead/internal/aws"
	"fairlead/internal/row"
	"fairlead/internal/state"
)

// Defaults of a REPLICA service.
// https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_DeploymentConfiguration.html
const (
	defaultMinimumHealthyPercent = int32(100)
	defaultMaximumPercent        = int32(200)
)

// CreateService makes a service with its first deployment. A repeated call returns the service that
// is there; one of the same name that differs is refused.
func (s *Service) CreateService(
	ctx context.Context, in *ecs.CreateServiceInput,
) (*ecs.CreateServiceOutput, error) {
	if err := checkCreate(in); err != nil {
		return nil, err
	}
	tags, err := tagsOf(in.Tags)
	if err != nil {
		return nil, err
	}
	out := &ecs.CreateServiceOutput{}
	err = s.update(ctx, func(tx *state.Tx, c aws.Caller) error {
		cluster, err := liveCluster(tx, c, in.Cluster)
		if err != nil {
			return err
		}
		svc, err := s.newService(tx, c, cluster, in, tags)
		if err != nil {
			return err
		}
		if old, ok := row.Services.Get(tx, svc.ARN); ok {
			if svc, err = existing(old, svc); err != nil || svc.Version > 0 {
				out.Service = new(describeService(tx, svc, true))
				return err
			}
			row.ForgetService(tx, old.ARN)
		}
		svc.Version = 1
		row.Services.Put(tx, svc)
		s.deploy(tx, svc)
		out.Service = new(describeService(tx, svc, true))
		return nil
	})
	return out, err
}

// existing decides what a create means for a name that is taken: the old service for the same
// parameters, the new one if the old is gone.
func existing(old, svc row.Service) (row.Service, error) {
	switch {
	case old.Status == row.ServiceInactive:
		return svc, nil
	case old.Status == row.ServiceDraining:
		return svc, invalid("Unable to Start a service that is still Draining.")
	case sameIntent(old, svc):
		return old, nil
	}
	return svc, invalid("Creation of service was not idempotent.")
}

func sameIntent(a, b row.Service) bool {
	if a.ClientToken != "" && a.ClientToken == b.ClientToken {
		return true
	}
	a.ClientToken, a.Version, a.CreatedAt = b.ClientToken, b.Version, b.CreatedAt
	if len(a.Tags) == 0 && len(b.Tags) == 0 {
		a.Tags = b.Tags
	}
	return reflect.DeepEqual(a, b)
}

// checkCreate checks what needs no look at the state.
func checkCreate(in *ecs.CreateServiceInput) error {
	if !names.MatchString(aws.Val(in.ServiceName)) {
		return invalid("Service names can have letters, digits, '-' and '_', at most 255.")
	}
	err := cmp.Or(
		checkScheduling(in),
		checkController(in),
		checkCount(in.DesiredCount),
		checkConfiguration(in.DeploymentConfiguration),
		checkGrace(in.HealthCheckGracePeriodSeconds),
		checkPlatform(in.PlatformVersion),
		unservedService(in.ServiceConnectConfiguration, in.ServiceRegistries,
			in.VolumeConfigurations, in.VpcLatticeConfigurations),
		checkPlacement(in.PlacementConstraints, in.PlacementStrategy),
	)
	switch {
	case err != nil:
		return err
	case in.DesiredCount == nil:
		return invalid("The desired count must be specified for a REPLICA service.")
	case len(aws.Val(in.ClientToken)) > maxServiceToken:
		return invalid("clientToken can have at most %d characters.", maxServiceToken)
	case aws.Val(in.Role) != "":
		return invalid("You cannot specify an IAM role for services that require a service linked role.")
	}
	return nil
}

func (s *Service) newService(
	tx *state.Tx, c aws.Caller, cluster row.Cluster, in *ecs.CreateServiceInput, tags row.Tags,
) (row.Service, error) {
	svc := row.Service{
		Scope: scope(c), Name: *in.ServiceName, Cluster: cluster.ARN,
		ARN:         c.ARN("ecs", "service/"+cluster.Name+"/"+*in.ServiceName),
		CreatedAt:   s.now(),
		CreatedBy:   principal(c),
		Status:      row.ServiceActive,
		ClientToken: aws.Val(in.ClientToken),

		DesiredCount:  int(*in.DesiredCount),
		Configuration: fillConfiguration(in.DeploymentConfiguration),
		Controller:    in.DeploymentController,
		GracePeriod:   in.HealthCheckGracePeriodSeconds,
		Rebalancing:   in.AvailabilityZoneRebalancing,
		Scheduling:    ecs.SchedulingStrategyREPLICA,
		PropagateTags: cmp.Or(in.PropagateTags, ecs.PropagateTagsNONE),
		ManagedTags:   aws.Val(in.EnableECSManagedTags),

		ExecuteCommand: aws.Val(in.EnableExecuteCommand),

		Tags: tags,
	}
	svc.Rebalancing = cmp.Or(svc.Rebalancing, defaultRebalancing(svc.Configuration))
	if err := checkRebalancing(svc); err != nil {
		return svc, err
	}
	if len(in.LoadBalancers) > 0 && svc.GracePeriod == nil {
		svc.GracePeriod = new(int32(0))
	}
	capacity, err := resolveCapacity(cluster, in.LaunchType, in.CapacityProviderStrategy)
	if err != nil {
		return svc, err
	}
	svc.Spec = row.ServiceSpec{
		LaunchType: capacity.launch, CapacityStrategy: capacity.strategy,
		PlatformVersion: aws.Or(in.PlatformVersion, "LATEST"),
		Network:         fillNetwork(in.NetworkConfiguration),
		LoadBalancers:   in.LoadBalancers,
	}
	def, err := launchable(tx, c, aws.Val(in.TaskDefinition))
	if err != nil {
		return svc, err
	}
	svc.Spec.TaskDefinition = def.ARN
	if err := checkExecRole(svc.ExecuteCommand, def, "created"); err != nil {
		return svc, err
	}
	return svc, checkSpec(tx, svc.Spec, def)
}

// defaultRebalancing is on where there is room to start a task before another is stopped.
func defaultRebalancing(conf ecs.DeploymentConfiguration) ecs.AvailabilityZoneRebalancing {
	if *conf.MaximumPercent > 100 {
		return ecs.AvailabilityZoneRebalancingENABLED
	}
	return ecs.AvailabilityZoneRebalancingDISABLED
}

func checkRebalancing(svc row.Service) error {
	if svc.Rebalancing == ecs.AvailabilityZoneRebalancingENABLED &&
		defaultRebalancing(svc.Configuration) != svc.Rebalancing {
		return invalid("Availability Zone Rebalancing requires a maximumPercent greater than 100.")
	}
	return nil
}

// launchable finds an ACTIVE task definition for a service.
func launchable(r state.Reader, c aws.Caller, ref string) (row.TaskDefinition, error) {
	def, ok := findDefinition(r, c, ref)
	switch {
	case ref == "":
		return def, invalid("TaskDefinition cannot be blank.")
	case !ok:
		return def, ecs.ClientException("TaskDefinition not found.")
	case def.Definition.Status != ecs.TaskDefinitionStatusACTIVE:
		return def, ecs.ClientException("TaskDefinition is inactive")
	}
	return def, nil
}

// deploy begins a deployment of what the service is to be: it becomes PRIMARY, the others ACTIVE.
func (s *Service) deploy(tx *state.Tx, svc row.Service) {
	now := s.now()
	digits := aws.Digits(deploymentDigits)
	path := strings.Join([]string{lastPart(svc.Cluster), svc.Name, ""}, "/")
	d := row.Deployment{
		Service: svc.ARN, ID: "ecs-svc/" + digits, Spec: svc.Spec, Status: row.DeploymentPrimary,
		Revision:      svc.Scope.ARN("ecs", "service-revision/"+path+digits),
		Record:        svc.Scope.ARN("ecs", "service-deployment/"+path+aws.Token(recordToken)),
		CreatedAt:     now,
		UpdatedAt:     now,
		RolloutState:  ecs.DeploymentRolloutStateINPROGRESS,
		RolloutReason: "ECS deployment ecs-svc/" + digits + " in progress.",
	}
	sources := demote(tx, svc.ARN, now)
	row.Deployments.Put(tx, d)
	row.ServiceRevisions.Put(tx, row.ServiceRevision{
		ARN: d.Revision, Service: svc.ARN, Cluster: svc.Cluster, Spec: svc.Spec, CreatedAt: now,
	})
	row.ServiceDeployments.Put(tx, row.ServiceDeployment{
		ARN: d.Record, Service: svc.ARN, Cluster: svc.Cluster, Deployment: d.ID, Target: d.Revision,
		Sources: sources, Configuration: svc.Configuration, CreatedAt: now, UpdatedAt: now,
		Status:  ecs.ServiceDeploymentStatusPENDING,
		Breaker: ecs.ServiceDeploymentCircuitBreaker{Status: breakerStatus(svc.Configuration)},
	})
}

// Lengths of identifiers: a deployment's number, a service deployment's token.
const (
	deploymentDigits = 19
	recordToken      = 21
	maxServiceToken  = 36
)

func breakerStatus(conf ecs.DeploymentConfiguration) ecs.ServiceDeploymentRollbackMonitorsStatus {
	if b := conf.DeploymentCircuitBreaker; b != nil && aws.Val(b.Enable) {
		return ecs.ServiceDeploymentRollbackMonitorsStatusMONITORING
	}
	return ecs.ServiceDeploymentRollbackMonitorsStatusDISABLED
}

// demote makes the PRIMARY deployment ACTIVE and returns the revisions that are being replaced.
func demote(tx *state.Tx, service string, now time.Time) (revisions []string) {
	for d := range row.Deployments.Scan(tx, service+"|") {
		revisions = append(revisions, d.Revision)
		if d.Status == row.DeploymentPrimary {
			d.Status, d.UpdatedAt = row.DeploymentActive, now
			row.Deployments.Put(tx, d)
		}
	}
	return slices.Compact(revisions)
}

func fillConfiguration(conf *ecs.DeploymentConfiguration) ecs.DeploymentConfiguration {
	filled := aws.Val(conf)
	filled.MinimumHealthyPercent = new(aws.Or(filled.MinimumHealthyPercent, defaultMinimumHealthyPercent))
	filled.MaximumPercent = new(aws.Or(filled.MaximumPercent, defaultMaximumPercent))
	filled.Strategy = ecs.DeploymentStrategyROLLING
	filled.DeploymentCircuitBreaker = cmp.Or(filled.DeploymentCircuitBreaker,
		&ecs.DeploymentCircuitBreaker{Enable: new(false), Rollback: new(false)})
	return filled
}

func fillNetwork(n *ecs.NetworkConfiguration) *ecs.NetworkConfiguration {
	if n == nil || n.AwsvpcConfiguration == nil {
		return nil
	}
	v := *n.AwsvpcConfiguration
	v.AssignPublicIp = cmp.Or(v.AssignPublicIp, ecs.AssignPublicIpDISABLED)
	return &ecs.NetworkConfiguration{AwsvpcConfiguration: &v}
}
