package service

import (
	"slices"
	"time"

	"fairlead/internal/api/cloudwatch"
	"fairlead/internal/api/ecs"
	"fairlead/internal/api/elbv2"
	"fairlead/internal/aws"
	"fairlead/internal/plan"
	"fairlead/internal/row"
	"fairlead/internal/state"
)

// gather collects what a service is planned from. Everything is found by key or index, so the cost
// is that of the service's own rows, however many others there are.
func gather(r state.Reader, arn string) (in plan.Input, ok bool) {
	if in.Service, ok = row.Services.Get(r, arn); !ok {
		return in, false
	}
	in.Memory, _ = row.Schedulings.Get(r, arn)
	for _, name := range in.Service.WatchingAlarms() {
		if a, ok := row.Alarms.Get(r, row.AlarmARN(in.Service.Scope, name)); ok {
			in.Alarms = append(in.Alarms, gatherAlarm(a))
		}
	}
	for d := range row.Deployments.Scan(r, arn+"|") {
		in.Deployments = append(in.Deployments, gatherDeployment(r, in.Service.Scope, d))
	}
	for t := range row.Tasks.By(r, "live", arn) {
		in.Tasks = append(in.Tasks, gatherTask(r, t))
	}
	return in, true
}

func gatherAlarm(a row.Alarm) plan.Alarm {
	return plan.Alarm{
		Name: a.Name, Firing: a.State.Value == cloudwatch.StateValueALARM,
		Period:  time.Duration(aws.Val(a.Definition.Period)) * time.Second,
		Periods: int(aws.Val(a.Definition.EvaluationPeriods)),
	}
}

func gatherDeployment(r state.Reader, sc row.Scope, d row.Deployment) plan.Deployment {
	out := plan.Deployment{Deployment: d}
	out.Record, _ = row.ServiceDeployments.Get(r, d.Record)
	def, _ := row.TaskDefinitions.Get(r, d.Spec.TaskDefinition)
	out.HealthChecked = slices.ContainsFunc(def.Definition.ContainerDefinitions,
		func(c ecs.ContainerDefinition) bool { return aws.Val(c.Essential) && c.HealthCheck != nil })
	if d.Spec.Network == nil {
		return out
	}
	for _, id := range d.Spec.Network.AwsvpcConfiguration.Subnets {
		if subnet, ok := row.Subnets.Get(r, sc.Key(id)); ok {
			out.Subnets = append(out.Subnets, plan.Subnet{ID: id, Zone: subnet.Zone})
		}
	}
	return out
}

// gatherTask adds the health of a task's targets. A target group that was deleted under the service
// says nothing about the task any more.
func gatherTask(r state.Reader, t row.Task) plan.Task {
	out := plan.Task{Task: t}
	for _, target := range t.Registered {
		if health, ok := row.TargetHealths.Get(r, target.Key()); ok {
			out.Targets = append(out.Targets, health)
		} else if _, ok := row.TargetGroups.Get(r, target.TargetGroup); !ok {
			out.Targets = append(out.Targets, row.TargetHealth{
				TargetGroup: target.TargetGroup, ID: target.ID, Port: target.Port,
				State: string(elbv2.TargetHealthStateEnumUnavailable),
			})
		}
	}
	return out
}
