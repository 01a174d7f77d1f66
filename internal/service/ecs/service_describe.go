package ecs

import (
	"cmp"
	"context"
	"slices"

	"fairlead/internal/api/ecs"
	"fairlead/internal/aws"
	"fairlead/internal/plan"
	"fairlead/internal/row"
	"fairlead/internal/state"
)

// maxServicesDescribed is how many services one DescribeServices may name.
const maxServicesDescribed = 10

// DescribeServices describes services of any status.
func (s *Service) DescribeServices(
	ctx context.Context, in *ecs.DescribeServicesInput,
) (*ecs.DescribeServicesOutput, error) {
	if len(in.Services) > maxServicesDescribed {
		return nil, invalid("Services cannot have more than %d elements.", maxServicesDescribed)
	}
	if len(in.Services) == 0 {
		return nil, invalid("Services cannot be empty.")
	}
	view, c := s.store.View(), aws.CallerFrom(ctx)
	cluster, err := liveCluster(view, c, in.Cluster)
	if err != nil {
		return nil, err
	}
	out := &ecs.DescribeServicesOutput{Services: []ecs.Service{}, Failures: []ecs.Failure{}}
	for _, ref := range in.Services {
		arn := memberARN(c, cluster.ARN, "service", ref)
		svc, ok := row.Services.Get(view, arn)
		if !ok || svc.Cluster != cluster.ARN {
			out.Failures = append(out.Failures, missing(arn))
			continue
		}
		tags := slices.Contains(in.Include, ecs.ServiceFieldTAGS)
		out.Services = append(out.Services, describeService(view, svc, tags))
	}
	return out, nil
}

func describeService(r state.Reader, svc row.Service, tags bool) ecs.Service {
	counts := countTasks(r, svc.ARN)
	total := counts.total()
	out := ecs.Service{
		ServiceArn: &svc.ARN, ServiceName: &svc.Name, ClusterArn: &svc.Cluster, Status: &svc.Status,
		CreatedAt: &svc.CreatedAt, CreatedBy: &svc.CreatedBy,
		DesiredCount: new(int32(svc.DesiredCount)),
		RunningCount: &total.running, PendingCount: &total.pending,
		TaskDefinition:                new(svc.Spec.TaskDefinition),
		LaunchType:                    svc.Spec.LaunchType,
		CapacityProviderStrategy:      svc.Spec.CapacityStrategy,
		PlatformVersion:               new(svc.Spec.PlatformVersion),
		PlatformFamily:                new("Linux"),
		NetworkConfiguration:          describeNetwork(svc.Spec.Network),
		LoadBalancers:                 orEmpty(svc.Spec.LoadBalancers),
		ServiceRegistries:             []ecs.ServiceRegistry{},
		DeploymentConfiguration:       &svc.Configuration,
		DeploymentController:          svc.Controller,
		HealthCheckGracePeriodSeconds: svc.GracePeriod,
		AvailabilityZoneRebalancing:   svc.Rebalancing,
		SchedulingStrategy:            svc.Scheduling,
		PropagateTags:                 svc.PropagateTags,
		EnableECSManagedTags:          &svc.ManagedTags,
		EnableExecuteCommand:          &svc.ExecuteCommand,
		PlacementConstraints:          []ecs.PlacementConstraint{},
		PlacementStrategy:             []ecs.PlacementStrategy{},
		RoleArn:                       new(serviceRole(svc.Scope)),
		Events:                        eventsOf(r, svc.ARN),
	}
	describeRollout(r, svc, counts, &out)
	if tags {
		out.Tags = tagList(svc.Tags)
	}
	return out
}

// describeRollout adds the deployments.
func describeRollout(r state.Reader, svc row.Service, counts taskCounts, out *ecs.Service) {
	out.Deployments = []ecs.Deployment{}
	if svc.Status == row.ServiceInactive {
		return
	}
	for _, d := range deploymentsOf(r, svc.ARN) {
		n := counts[d.ID]
		out.Deployments = append(out.Deployments, describeDeployment(svc, d, n))
		if d.Status == row.DeploymentPrimary {
			out.CurrentServiceDeployment = new(d.Record)
		}
		out.CurrentServiceRevisions = append(out.CurrentServiceRevisions,
			ecs.ServiceCurrentRevisionSummary{
				Arn: new(d.Revision), RequestedTaskCount: new(wanted(svc, d, n)),
				RunningTaskCount: &n.running, PendingTaskCount: &n.pending,
			})
	}
}

// deploymentsOf lists a service's deployments, newest first; the PRIMARY one leads.
func deploymentsOf(r state.Reader, service string) []row.Deployment {
	list := slices.Collect(row.Deployments.Scan(r, service+"|"))
	slices.SortFunc(list, func(a, b row.Deployment) int {
		return cmp.Or(-cmp.Compare(a.Status, b.Status), b.CreatedAt.Compare(a.CreatedAt))
	})
	return list
}

func describeDeployment(svc row.Service, d row.Deployment, n taskCount) ecs.Deployment {
	return ecs.Deployment{
		Id: &d.ID, Status: &d.Status, TaskDefinition: new(d.Spec.TaskDefinition),
		DesiredCount: new(wanted(svc, d, n)), PendingCount: &n.pending, RunningCount: &n.running,
		FailedTasks: new(int32(d.FailedTasks)), CreatedAt: &d.CreatedAt, UpdatedAt: &d.UpdatedAt,
		LaunchType: d.Spec.LaunchType, CapacityProviderStrategy: d.Spec.CapacityStrategy,
		PlatformVersion: new(plan.PlatformVersion), PlatformFamily: new("Linux"),
		NetworkConfiguration: describeNetwork(d.Spec.Network),
		RolloutState:         d.RolloutState, RolloutStateReason: &d.RolloutReason,
	}
}

// wanted is how many tasks a deployment is to have: all for the PRIMARY one, for an older one what
// it has not yet been asked to stop.
func wanted(svc row.Service, d row.Deployment, n taskCount) int32 {
	if d.Status == row.DeploymentPrimary {
		return int32(svc.DesiredCount)
	}
	return n.kept
}

func describeNetwork(n *ecs.NetworkConfiguration) *ecs.NetworkConfiguration {
	if n == nil {
		return nil
	}
	v := *n.AwsvpcConfiguration
	v.SecurityGroups = orEmpty(v.SecurityGroups)
	return &ecs.NetworkConfiguration{AwsvpcConfiguration: &v}
}

func serviceRole(sc row.Scope) string {
	return aws.ARN{Service: "iam", Account: sc.Account,
		Resource: "role/aws-service-role/ecs.amazonaws.com/AWSServiceRoleForECS"}.String()
}

// taskCounts counts the tasks of a service by deployment.
type taskCounts map[string]taskCount

type taskCount struct {
	running, pending int32
	kept             int32 // not asked to stop
}

func countTasks(r state.Reader, service string) taskCounts {
	counts := taskCounts{}
	for task := range row.Tasks.By(r, "live", service) {
		n := counts[task.Deployment]
		switch {
		case task.LastStatus == row.TaskRunning:
			n.running++
		case taskPending(task):
			n.pending++
		}
		if task.DesiredStatus == string(ecs.DesiredStatusRUNNING) {
			n.kept++
		}
		counts[task.Deployment] = n
	}
	return counts
}

func (c taskCounts) total() (sum taskCount) {
	for _, n := range c {
		sum.running += n.running
		sum.pending += n.pending
	}
	return sum
}

// taskPending tells whether a task is on its way to RUNNING.
func taskPending(t row.Task) bool {
	switch t.LastStatus {
	case row.TaskProvisioning, row.TaskPending, row.TaskActivating:
		return true
	}
	return false
}

// eventsOf lists a service's events, newest first.
func eventsOf(r state.Reader, service string) []ecs.ServiceEvent {
	events := []ecs.ServiceEvent{}
	for e := range row.ServiceEvents.Scan(r, service+"|") {
		events = append(events, ecs.ServiceEvent{
			Id: &e.ID, Message: &e.Message, CreatedAt: &e.CreatedAt,
		})
	}
	slices.Reverse(events)
	return events
}

// ListServices lists the ACTIVE services of a cluster.
func (s *Service) ListServices(
	ctx context.Context, in *ecs.ListServicesInput,
) (*ecs.ListServicesOutput, error) {
	view := s.store.View()
	cluster, err := liveCluster(view, aws.CallerFrom(ctx), in.Cluster)
	if err != nil {
		return nil, err
	}
	var arns []string
	for svc := range row.Services.By(view, "cluster", cluster.ARN) {
		if svc.Status == row.ServiceActive && listed(svc, in) {
			arns = append(arns, svc.ARN)
		}
	}
	page, next, err := paginate(arns, itself,
		paging{in.NextToken, in.MaxResults, servicesPage, maxPage})
	return &ecs.ListServicesOutput{ServiceArns: orEmpty(page), NextToken: next}, err
}

func listed(svc row.Service, in *ecs.ListServicesInput) bool {
	return (in.LaunchType == "" || in.LaunchType == svc.Spec.LaunchType) &&
		(in.SchedulingStrategy == "" || in.SchedulingStrategy == svc.Scheduling) &&
		in.ResourceManagementType != ecs.ResourceManagementTypeECS
}

// ListServicesByNamespace finds none: there is no Service Connect that would put one in a namespace.
func (s *Service) ListServicesByNamespace(
	_ context.Context, in *ecs.ListServicesByNamespaceInput,
) (*ecs.ListServicesByNamespaceOutput, error) {
	return nil, ecs.NamespaceNotFoundException("The namespace %s was not found.", aws.Val(in.Namespace))
}
