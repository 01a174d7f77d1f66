package ecs

import (
	"cmp"
	"slices"

	"fairlead/internal/api/ecs"
	"fairlead/internal/api/elbv2"
	"fairlead/internal/aws"
	"fairlead/internal/plan"
	"fairlead/internal/row"
	"fairlead/internal/state"
)

// Limits of a service.
// https://docs.aws.amazon.com/AmazonECS/latest/developerguide/service-quotas.html
const (
	maxDesiredCount   = 5000
	maxTargetGroups   = 5
	maxSubnets        = 16
	maxSecurityGroups = 5
)

// checkScheduling refuses a DAEMON service for the reason that AWS gives, and one that AWS would take
// because there are no container instances to run it.
func checkScheduling(in *ecs.CreateServiceInput) error {
	if in.SchedulingStrategy != ecs.SchedulingStrategyDAEMON {
		return nil
	}
	const does = "The daemon scheduling strategy does not support "
	switch {
	case in.DesiredCount != nil:
		return invalid(does + "a desired count for services. Remove the desired count value and try again")
	case in.LaunchType == ecs.LaunchTypeFARGATE: // AWS refuses it, too; the words are ours
		return invalid(does + "the FARGATE launch type.")
	case len(in.CapacityProviderStrategy) > 0:
		return invalid("Specifying a capacity provider strategy is not supported when you create a " +
			"service using the DAEMON scheduling strategy.")
	case len(in.PlacementStrategy) > 0:
		return invalid(does + "placement strategies. Remove the placement strategy and try again")
	case aws.Val(aws.Val(in.DeploymentConfiguration).MaximumPercent) > 100:
		return invalid(does + "values above 100 for maximumPercent")
	case in.AvailabilityZoneRebalancing == ecs.AvailabilityZoneRebalancingENABLED:
		return invalid("Availability Zone Rebalancing does not support DAEMON services")
	}
	return unserved("DAEMON services, which need container instances")
}

func checkController(in *ecs.CreateServiceInput) error {
	if in.DeploymentController == nil {
		return nil
	}
	switch in.DeploymentController.Type {
	case ecs.DeploymentControllerTypeCODEDEPLOY:
		if len(in.LoadBalancers) == 0 {
			return invalid("To use the CODE_DEPLOY deployment controller, the service requires an " +
				"Application Load Balancer or Network Load Balancer.")
		}
		return unserved("the CODE_DEPLOY deployment controller")
	case ecs.DeploymentControllerTypeEXTERNAL:
		if aws.Val(in.TaskDefinition) != "" {
			return invalid("TaskDefinition must be blank for services with an EXTERNAL deployment " +
				"controller.")
		}
		return unserved("the EXTERNAL deployment controller")
	}
	return nil
}

func checkCount(n *int32) error {
	if v := aws.Val(n); v < 0 || v > maxDesiredCount {
		return invalid("The desired count must be between 0 and %d.", maxDesiredCount)
	}
	return nil
}

func checkGrace(seconds *int32) error {
	if aws.Val(seconds) < 0 {
		return invalid("healthCheckGracePeriodSeconds must be between 0 and 2147483647.")
	}
	return nil
}

// checkConfiguration lets rolling updates pass, with all that concerns them.
func checkConfiguration(conf *ecs.DeploymentConfiguration) error {
	if conf == nil {
		return nil
	}
	low := aws.Or(conf.MinimumHealthyPercent, defaultMinimumHealthyPercent)
	high := aws.Or(conf.MaximumPercent, defaultMaximumPercent)
	switch {
	case low < 0:
		return invalid("minimumHealthyPercent must be at least 0")
	case low > 100:
		return invalid("minimumHealthyPercent must be at most 100")
	case high < 100:
		return invalid("maximumPercent must be at least 100")
	case conf.Strategy != "" && conf.Strategy != ecs.DeploymentStrategyROLLING:
		return unserved("the deployment strategy " + string(conf.Strategy))
	case len(conf.LifecycleHooks) > 0:
		return unserved("deployment lifecycle hooks")
	case conf.LinearConfiguration != nil, conf.CanaryConfiguration != nil:
		return unserved("linear and canary deployments")
	}
	return checkAlarms(conf)
}

// maxBakeTime is a day, in minutes.
const maxBakeTime = 1440

// checkAlarms checks what watches a deployment, and how long after it has nothing left to do.
func checkAlarms(conf *ecs.DeploymentConfiguration) error {
	alarms, bake := aws.Val(conf.Alarms), aws.Val(conf.BakeTimeInMinutes)
	enabled := aws.Val(alarms.Enable)
	switch {
	case enabled && len(alarms.AlarmNames) == 0:
		return invalid("alarmNames cannot be empty when deployment alarms are enabled.")
	case slices.Contains(alarms.AlarmNames, ""):
		return invalid("alarmNames cannot have an empty name.")
	case bake < 0 || bake > maxBakeTime:
		return invalid("bakeTimeInMinutes must be between 0 and %d.", maxBakeTime)
	case bake > 0 && !enabled:
		return unserved("bakeTimeInMinutes of rolling deployments that no alarm watches")
	}
	return checkBreaker(aws.Val(conf.DeploymentCircuitBreaker).ThresholdConfiguration)
}

// checkBreaker checks the value of a threshold. The model states its enumeration and what is
// required; AWS does not publish the words of these refusals.
func checkBreaker(conf *ecs.ThresholdConfiguration) error {
	value := aws.Val(aws.Val(conf).Value)
	switch {
	case conf == nil:
	case value < 1:
		return invalid("The value of thresholdConfiguration must be at least 1.")
	case conf.Type != ecs.ThresholdTypeCOUNT && value > 100:
		return invalid("The value of thresholdConfiguration must be between 1 and 100 when its type is %s.",
			conf.Type)
	}
	return nil
}

func checkPlatform(version *string) error {
	if v := aws.Val(version); v != "" && v != "LATEST" && v != plan.PlatformVersion {
		return ecs.PlatformUnknownException("The specified platform version does not exist: %s", v)
	}
	return nil
}

func unservedService(
	connect *ecs.ServiceConnectConfiguration, registries []ecs.ServiceRegistry,
	volumes []ecs.ServiceVolumeConfiguration, lattice []ecs.VpcLatticeConfiguration,
) error {
	switch {
	case connect != nil && aws.Val(connect.Enabled):
		return unserved("Service Connect")
	case len(registries) > 0:
		return unserved("service discovery (serviceRegistries)")
	case len(volumes) > 0:
		return unserved("EBS volumes (volumeConfigurations)")
	case len(lattice) > 0:
		return unserved("VPC Lattice")
	}
	return nil
}

// checkPlacement refuses placement, which needs container instances.
func checkPlacement(constraints []ecs.PlacementConstraint, strategy []ecs.PlacementStrategy) error {
	switch {
	case len(constraints) > 0:
		return invalid("Placement constraints are not supported with FARGATE launch type.")
	case len(strategy) > 0:
		return invalid("Placement strategies are not supported with FARGATE launch type.")
	}
	return nil
}

// capacity is where tasks run: by a launch type or by a strategy.
type capacity struct {
	launch   ecs.LaunchType
	strategy []ecs.CapacityProviderStrategyItem
}

// resolveCapacity applies the cluster's default to a call that says nothing.
func resolveCapacity(
	cluster row.Cluster, launch ecs.LaunchType, strategy []ecs.CapacityProviderStrategyItem,
) (capacity, error) {
	if launch != "" && len(strategy) > 0 {
		return capacity{}, invalid("Specifying both a launch type and capacity provider strategy is " +
			"not supported. Remove one and try again.")
	}
	if launch == "" && len(strategy) == 0 {
		strategy = cluster.DefaultStrategy
	}
	if len(strategy) > 0 {
		return capacity{strategy: strategy}, checkStrategy(strategy, cluster.CapacityProviders)
	}
	if launch = cmp.Or(launch, ecs.LaunchTypeEC2); launch != ecs.LaunchTypeFARGATE {
		return capacity{}, unserved("the launch type " + string(launch) +
			", which needs container instances")
	}
	return capacity{launch: launch}, nil
}

// checkSpec checks what tasks are to be made from, against each other and against the state.
func checkSpec(r state.Reader, spec row.ServiceSpec, def row.TaskDefinition) error {
	vpc, err := checkLaunch(r, def, spec.Network)
	if err != nil {
		return err
	}
	if len(spec.LoadBalancers) > maxTargetGroups {
		return invalid("load balancers can have at most %d items.", maxTargetGroups)
	}
	for _, lb := range spec.LoadBalancers {
		if err := checkLoadBalancer(def, lb); err != nil {
			return err
		}
		if err := checkTargetGroup(r, def, lb, vpc); err != nil {
			return err
		}
	}
	return nil
}

// checkLaunch checks that Fargate runs the definition in the given network, and returns the VPC.
func checkLaunch(
	r state.Reader, def row.TaskDefinition, network *ecs.NetworkConfiguration,
) (vpc string, err error) {
	awsvpc := def.Definition.NetworkMode == ecs.NetworkModeAwsvpc
	switch {
	case awsvpc && network == nil:
		return "", invalid("Network Configuration must be provided when networkMode 'awsvpc' is specified.")
	case !awsvpc && network != nil:
		return "", invalid("Network Configuration is not valid for the given networkMode of this task " +
			"definition.")
	case !slices.Contains(def.Definition.Compatibilities, ecs.CompatibilityFARGATE):
		return "", invalid("Task definition does not support launch_type FARGATE.")
	}
	return checkNetwork(r, def.Scope, network.AwsvpcConfiguration)
}

func checkNetwork(r state.Reader, sc row.Scope, n *ecs.AwsVpcConfiguration) (vpc string, err error) {
	switch {
	case len(n.Subnets) == 0:
		return "", invalid("subnets can not be empty.")
	case len(n.Subnets) > maxSubnets:
		return "", invalid("subnets can have at most %d items.", maxSubnets)
	case len(n.SecurityGroups) > maxSecurityGroups:
		return "", invalid("securityGroups can have at most %d items.", maxSecurityGroups)
	}
	for _, id := range n.Subnets {
		subnet, ok := row.Subnets.Get(r, sc.Key(id))
		switch {
		case !ok:
			return "", invalid("Error retrieving subnet information for [%s]: The subnet ID '%s' does not "+
				"exist (ErrorCode: InvalidSubnetID.NotFound)", id, id)
		case vpc != "" && vpc != subnet.VPC:
			return "", invalid("The provided subnets do not belong to the same VPC.")
		}
		vpc = subnet.VPC
	}
	return vpc, checkSecurityGroups(r, sc, n.SecurityGroups, vpc)
}

func checkSecurityGroups(r state.Reader, sc row.Scope, groups []string, vpc string) error {
	for _, id := range groups {
		group, ok := row.SecurityGroups.Get(r, sc.Key(id))
		switch {
		case !ok:
			return invalid("Error retrieving security group information for [%s]: The security group "+
				"'%s' does not exist (ErrorCode: InvalidGroup.NotFound)", id, id)
		case group.VPC != vpc:
			return invalid("Security Group %s does not appear to belong to the same VPC as the input "+
				"subnets.", id)
		}
	}
	return nil
}

// checkLoadBalancer checks an entry against the task definition.
func checkLoadBalancer(def row.TaskDefinition, lb ecs.LoadBalancer) error {
	name, port := aws.Val(lb.ContainerName), aws.Val(lb.ContainerPort)
	switch {
	case lb.AdvancedConfiguration != nil:
		return unserved("blue/green deployments (advancedConfiguration)")
	case lb.TargetGroupArn != nil && lb.LoadBalancerName != nil:
		return invalid("loadBalancerName and targetGroupArn cannot both be specified. You must specify " +
			"either a loadBalancerName or a targetGroupArn.")
	case lb.LoadBalancerName != nil:
		return invalid("Classic Load Balancers are not supported with Fargate.")
	case lb.TargetGroupArn == nil:
		return invalid("Either a loadBalancerName or a targetGroupArn must be specified.")
	}
	at := slices.IndexFunc(def.Definition.ContainerDefinitions, func(c ecs.ContainerDefinition) bool {
		return *c.Name == name
	})
	if at < 0 {
		return invalid("The container %s does not exist in the task definition.", name)
	}
	mapped := slices.ContainsFunc(def.Definition.ContainerDefinitions[at].PortMappings,
		func(p ecs.PortMapping) bool { return aws.Val(p.ContainerPort) == port })
	if !mapped {
		return invalid("The container %s did not have a container port %d defined.", name, port)
	}
	return nil
}

// checkTargetGroup checks that a target group can take the tasks' addresses.
func checkTargetGroup(
	r state.Reader, def row.TaskDefinition, lb ecs.LoadBalancer, vpc string,
) error {
	arn := *lb.TargetGroupArn
	group, ok := row.TargetGroups.Get(r, arn)
	switch {
	case !ok:
		return invalid("The specified target group does not exist: %s", arn)
	case group.TargetType != string(elbv2.TargetTypeEnumIp):
		return invalid("The provided target group %s has target type %s, which is incompatible with "+
			"the %s network mode specified in the task definition.",
			arn, group.TargetType, def.Definition.NetworkMode)
	case row.LoadBalancerOf(r, arn) == "":
		return invalid("The target group with targetGroupArn %s does not have an associated load "+
			"balancer.", arn)
	case group.VPC != vpc:
		return invalid("The target group with targetGroupArn %s is not in the VPC %s of the service's "+
			"subnets.", arn, vpc)
	}
	return nil
}
