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

// maxDeploymentsDescribed is how many deployments or revisions one Describe call may name.
const maxDeploymentsDescribed = 20

// ListServiceDeployments lists a service's deployments, newest first.
func (s *Service) ListServiceDeployments(
	ctx context.Context, in *ecs.ListServiceDeploymentsInput,
) (*ecs.ListServiceDeploymentsOutput, error) {
	view := s.store.View()
	svc, err := findService(view, aws.CallerFrom(ctx), in.Cluster, in.Service)
	if err != nil {
		return nil, err
	}
	var found []row.ServiceDeployment
	for d := range row.ServiceDeployments.By(view, "service", svc.ARN) {
		if deploymentListed(d, in) {
			found = append(found, d)
		}
	}
	slices.SortFunc(found, func(a, b row.ServiceDeployment) int {
		return cmp.Or(b.CreatedAt.Compare(a.CreatedAt), cmp.Compare(a.ARN, b.ARN))
	})
	page, next, err := paginate(found, func(d row.ServiceDeployment) string { return d.ARN },
		paging{in.NextToken, in.MaxResults, deploymentsPage, maxPage})
	out := &ecs.ListServiceDeploymentsOutput{
		ServiceDeployments: []ecs.ServiceDeploymentBrief{}, NextToken: next,
	}
	for _, d := range page {
		out.ServiceDeployments = append(out.ServiceDeployments, ecs.ServiceDeploymentBrief{
			ServiceDeploymentArn: &d.ARN, ServiceArn: &d.Service, ClusterArn: &d.Cluster,
			TargetServiceRevisionArn: &d.Target, Status: shownStatus(d),
			StatusReason: optional(d.StatusReason),
			CreatedAt:    &d.CreatedAt, StartedAt: d.StartedAt, FinishedAt: d.FinishedAt,
		})
	}
	return out, err
}

func deploymentListed(d row.ServiceDeployment, in *ecs.ListServiceDeploymentsInput) bool {
	if len(in.Status) > 0 && !slices.Contains(in.Status, shownStatus(d)) {
		return false
	}
	between := aws.Val(in.CreatedAt)
	return (between.After == nil || !d.CreatedAt.Before(*between.After)) &&
		(between.Before == nil || !d.CreatedAt.After(*between.Before))
}

// DescribeServiceDeployments describes deployments of any age.
func (s *Service) DescribeServiceDeployments(
	_ context.Context, in *ecs.DescribeServiceDeploymentsInput,
) (*ecs.DescribeServiceDeploymentsOutput, error) {
	if n := len(in.ServiceDeploymentArns); n == 0 || n > maxDeploymentsDescribed {
		return nil, invalid("serviceDeploymentArns must have 1 to %d items.", maxDeploymentsDescribed)
	}
	view := s.store.View()
	out := &ecs.DescribeServiceDeploymentsOutput{
		ServiceDeployments: []ecs.ServiceDeployment{}, Failures: []ecs.Failure{},
	}
	for _, arn := range in.ServiceDeploymentArns {
		if d, ok := row.ServiceDeployments.Get(view, arn); ok {
			out.ServiceDeployments = append(out.ServiceDeployments, describeRecord(view, d))
		} else {
			out.Failures = append(out.Failures, missing(arn))
		}
	}
	return out, nil
}

func describeRecord(r state.Reader, d row.ServiceDeployment) ecs.ServiceDeployment {
	svc, _ := row.Services.Get(r, d.Service)
	counts := countTasks(r, d.Service)
	out := ecs.ServiceDeployment{
		ServiceDeploymentArn: &d.ARN, ServiceArn: &d.Service, ClusterArn: &d.Cluster,
		Status: shownStatus(d), StatusReason: optional(d.StatusReason),
		CreatedAt: &d.CreatedAt, StartedAt: d.StartedAt, UpdatedAt: &d.UpdatedAt,
		FinishedAt: d.FinishedAt, StoppedAt: d.StoppedAt, Rollback: d.Rollback,
		DeploymentConfiguration:  &d.Configuration,
		DeploymentCircuitBreaker: &d.Breaker,
		Alarms:                   describeAlarms(d.Alarms),
		TargetServiceRevision:    new(describeRevisionCounts(r, svc, counts, d.Target)),
		SourceServiceRevisions:   []ecs.ServiceRevisionSummary{},
	}
	for _, arn := range d.Sources {
		out.SourceServiceRevisions = append(out.SourceServiceRevisions,
			describeRevisionCounts(r, svc, counts, arn))
	}
	return out
}

// describeAlarms shows a deployment that has not begun as not watched.
func describeAlarms(a ecs.ServiceDeploymentAlarms) *ecs.ServiceDeploymentAlarms {
	return &ecs.ServiceDeploymentAlarms{
		AlarmNames: orEmpty(a.AlarmNames), TriggeredAlarmNames: orEmpty(a.TriggeredAlarmNames),
		Status: cmp.Or(a.Status, ecs.ServiceDeploymentRollbackMonitorsStatusDISABLED),
	}
}

// describeRevisionCounts counts the tasks of a revision, whose ARN ends in its deployment's number.
func describeRevisionCounts(
	r state.Reader, svc row.Service, counts taskCounts, arn string,
) ecs.ServiceRevisionSummary {
	id := "ecs-svc/" + lastPart(arn)
	n := counts[id]
	var requested int32
	if d, ok := row.Deployments.Get(r, row.Deployment{Service: svc.ARN, ID: id}.Key()); ok {
		requested = wanted(svc, d, n)
	}
	return ecs.ServiceRevisionSummary{
		Arn: &arn, RequestedTaskCount: &requested,
		RunningTaskCount: &n.running, PendingTaskCount: &n.pending,
	}
}

// DescribeServiceRevisions describes what services were to be at their deployments.
func (s *Service) DescribeServiceRevisions(
	_ context.Context, in *ecs.DescribeServiceRevisionsInput,
) (*ecs.DescribeServiceRevisionsOutput, error) {
	if n := len(in.ServiceRevisionArns); n == 0 || n > maxDeploymentsDescribed {
		return nil, invalid("serviceRevisionArns must have 1 to %d items.", maxDeploymentsDescribed)
	}
	view := s.store.View()
	out := &ecs.DescribeServiceRevisionsOutput{
		ServiceRevisions: []ecs.ServiceRevision{}, Failures: []ecs.Failure{},
	}
	for _, arn := range in.ServiceRevisionArns {
		if v, ok := row.ServiceRevisions.Get(view, arn); ok {
			out.ServiceRevisions = append(out.ServiceRevisions, describeRevision(view, v))
		} else {
			out.Failures = append(out.Failures, missing(arn))
		}
	}
	return out, nil
}

func describeRevision(r state.Reader, v row.ServiceRevision) ecs.ServiceRevision {
	out := ecs.ServiceRevision{
		ServiceRevisionArn: &v.ARN, ServiceArn: &v.Service, ClusterArn: &v.Cluster,
		TaskDefinition: new(v.Spec.TaskDefinition), CreatedAt: &v.CreatedAt,
		LaunchType: v.Spec.LaunchType, CapacityProviderStrategy: v.Spec.CapacityStrategy,
		PlatformVersion: new(plan.PlatformVersion), PlatformFamily: new("Linux"),
		NetworkConfiguration:  describeNetwork(v.Spec.Network),
		LoadBalancers:         orEmpty(v.Spec.LoadBalancers),
		ServiceRegistries:     []ecs.ServiceRegistry{},
		ContainerImages:       []ecs.ContainerImage{},
		GuardDutyEnabled:      new(false),
		ResolvedConfiguration: &ecs.ResolvedConfiguration{},
	}
	def, _ := row.TaskDefinitions.Get(r, v.Spec.TaskDefinition)
	for _, c := range def.Definition.ContainerDefinitions {
		out.ContainerImages = append(out.ContainerImages,
			ecs.ContainerImage{
				ContainerName: c.Name, Image: c.Image, ImageDigest: optional(v.Images[*c.Name]),
			})
	}
	for _, lb := range v.Spec.LoadBalancers {
		out.ResolvedConfiguration.LoadBalancers = append(out.ResolvedConfiguration.LoadBalancers,
			ecs.ServiceRevisionLoadBalancer{TargetGroupArn: lb.TargetGroupArn})
	}
	return out
}

// StopServiceDeployment asks the scheduler to end a deployment that is under way and to go back to
// the last one that was completed.
func (s *Service) StopServiceDeployment(
	ctx context.Context, in *ecs.StopServiceDeploymentInput,
) (*ecs.StopServiceDeploymentOutput, error) {
	arn := aws.Val(in.ServiceDeploymentArn)
	stop := cmp.Or(in.StopType, ecs.StopServiceDeploymentStopTypeROLLBACK)
	err := s.update(ctx, func(tx *state.Tx, _ aws.Caller) error {
		d, ok := row.ServiceDeployments.Get(tx, arn)
		if !ok {
			return ecs.ServiceDeploymentNotFoundException("Service deployment not found.")
		}
		if !stoppable(d.Status) {
			return ecs.ConflictException("The service deployment cannot be stopped in status %s.", d.Status)
		}
		if d.StopAsked != "" {
			return nil // it stops already
		}
		svc, _ := row.Services.Get(tx, d.Service)
		svc.Version++
		row.Services.Put(tx, svc)
		d.StopAsked = stop
		row.ServiceDeployments.Put(tx, d)
		return nil
	})
	return &ecs.StopServiceDeploymentOutput{ServiceDeploymentArn: &arn}, err
}

// shownStatus is the status of a deployment that was asked to stop, until the scheduler has seen it.
func shownStatus(d row.ServiceDeployment) ecs.ServiceDeploymentStatus {
	switch d.Status {
	case ecs.ServiceDeploymentStatusPENDING, ecs.ServiceDeploymentStatusINPROGRESS:
	default:
		return d.Status
	}
	switch d.StopAsked {
	case ecs.StopServiceDeploymentStopTypeABORT:
		return ecs.ServiceDeploymentStatusSTOPREQUESTED
	case ecs.StopServiceDeploymentStopTypeROLLBACK:
		return ecs.ServiceDeploymentStatusROLLBACKREQUESTED
	}
	return d.Status
}

// stoppable lists the statuses from which a deployment can be stopped.
// https://docs.aws.amazon.com/AmazonECS/latest/developerguide/stop-service-deployment.html
func stoppable(s ecs.ServiceDeploymentStatus) bool {
	return slices.Contains([]ecs.ServiceDeploymentStatus{
		ecs.ServiceDeploymentStatusPENDING, ecs.ServiceDeploymentStatusINPROGRESS,
		ecs.ServiceDeploymentStatusSTOPREQUESTED, ecs.ServiceDeploymentStatusROLLBACKREQUESTED,
		ecs.ServiceDeploymentStatusROLLBACKINPROGRESS,
	}, s)
}
