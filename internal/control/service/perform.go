package service

import (
	"errors"
	"fmt"

	"fairlead/internal/api/ecs"
	"fairlead/internal/aws"
	"fairlead/internal/plan"
	"fairlead/internal/row"
	"fairlead/internal/state"
)

// errStale says that the service was changed while it was being planned.
var errStale = errors.New("the service has changed meanwhile")

// perform writes a plan. The versions of the service and of the scheduler's memory stand for all
// that was read: clients' changes raise the one, plans the other.
func perform(tx *state.Tx, in plan.Input, p plan.Plan) error {
	svc, ok := row.Services.Get(tx, in.Service.ARN)
	memory, _ := row.Schedulings.Get(tx, in.Service.ARN)
	if !ok || svc.Version != in.Service.Version || memory.Version != in.Memory.Version {
		return errStale
	}
	if p.Forget {
		row.ForgetService(tx, svc.ARN)
		return nil
	}
	if err := start(tx, in, p); err != nil {
		return err
	}
	stop(tx, in, p)
	for _, note := range p.Notes {
		if t, ok := row.Tasks.Get(tx, note.Task); ok {
			t.Notes = note.Notes
			row.Tasks.Put(tx, t)
		}
	}
	for _, d := range p.Deployments {
		row.Deployments.Put(tx, d)
	}
	for _, d := range p.Drained {
		row.Deployments.Delete(tx, d.Key())
	}
	for _, record := range p.Records {
		row.ServiceDeployments.Put(tx, record)
	}
	conclude(tx, in, p, svc)
	return nil
}

// start writes the rows of new tasks.
func start(tx *state.Tx, in plan.Input, p plan.Plan) error {
	if len(p.Starts) == 0 {
		return nil
	}
	svc := in.Service
	cluster, ok := row.Clusters.Get(tx, svc.Cluster)
	if !ok {
		return fmt.Errorf("cluster %s is gone", svc.Cluster)
	}
	for _, s := range p.Starts {
		spec := specOf(in, s.Deployment)
		def, ok := row.TaskDefinitions.Get(tx, spec.TaskDefinition)
		if !ok {
			return fmt.Errorf("task definition %s is gone", spec.TaskDefinition)
		}
		t := plan.NewTask(plan.Birth{
			ID: s.ID, Cluster: cluster, Definition: def, Spec: spec, Subnet: s.Subnet,
			Provider: s.Provider, Now: in.Now,
		})
		t.Service, t.Deployment, t.StartedBy = svc.ARN, s.Deployment, s.Deployment
		t.Group = "service:" + svc.Name
		t.EnableExecuteCommand = svc.ExecuteCommand
		t.Tags = plan.TaskTags(nil, propagated(svc, def), svc.ManagedTags, cluster.Name, svc.Name)
		row.Tasks.Put(tx, t)
	}
	return nil
}

func specOf(in plan.Input, deployment string) row.ServiceSpec {
	for _, d := range in.Deployments {
		if d.ID == deployment {
			return d.Spec
		}
	}
	return in.Service.Spec
}

func propagated(svc row.Service, def row.TaskDefinition) row.Tags {
	switch svc.PropagateTags {
	case ecs.PropagateTagsSERVICE:
		return svc.Tags
	case ecs.PropagateTagsTASKDEFINITION:
		return def.Tags
	}
	return nil
}

// stop asks tasks to stop that nobody has asked yet.
func stop(tx *state.Tx, in plan.Input, p plan.Plan) {
	for _, s := range p.Stops {
		t, ok := row.Tasks.Get(tx, s.Task)
		if !ok || t.DesiredStatus == row.TaskStopped {
			continue
		}
		t.DesiredStatus, t.StopCode, t.StoppedReason = row.TaskStopped, s.Code, s.Reason
		t.StopAskedAt = new(in.Now)
		t.Version++
		row.Tasks.Put(tx, t)
	}
}

// conclude writes the events, the memory, and what the plan makes of the service itself.
func conclude(tx *state.Tx, in plan.Input, p plan.Plan, svc row.Service) {
	memory := p.Memory
	for _, text := range p.Events {
		row.ServiceEvents.Put(tx, row.ServiceEvent{
			Service: svc.ARN, Number: memory.NextEvent, ID: aws.UUID(), Message: text,
			CreatedAt: in.Now,
		})
		row.ServiceEvents.Delete(tx,
			row.ServiceEventKey(svc.ARN, memory.NextEvent-row.MaxServiceEvents))
		memory.NextEvent++
	}
	if p.RollBack != nil {
		svc.Spec = *p.RollBack
		svc.Version++
		memory.Seen = svc.Version
	}
	if p.Inactive {
		svc.Status, svc.InactiveAt = row.ServiceInactive, new(in.Now)
		svc.Version++
	}
	row.Services.Put(tx, svc)
	memory.Version++
	row.Schedulings.Put(tx, memory)
}
