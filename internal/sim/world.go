// Package sim simulates services: the scheduler as it is, in a world of rows and a clock that jumps
// from one event to the next. A simulated node takes tasks through their lives and simulated probes
// see their targets, both as an [Image] says; faults are whatever a test does in between. After every
// plan the world checks that the scheduler kept its promises.
package sim

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"time"

	"fairlead/internal/api/ecs"
	"fairlead/internal/api/elbv2"
	"fairlead/internal/aws"
	"fairlead/internal/plan"
	"fairlead/internal/row"
)

// Image is how the tasks of a deployment behave.
type Image struct {
	Start     time.Duration // from creation until RUNNING
	FailStart bool          // stops in place of RUNNING
	Healthy   time.Duration // from RUNNING until the checks pass
	Sick      bool          // the checks fail in place of passing
	Exit      time.Duration // from RUNNING until the essential container exits; 0 for never
	Drain     time.Duration // from DEACTIVATING until the targets are drained
	Stop      time.Duration // from SIGTERM until the containers are gone
}

// Sound is an image that does what it should.
var Sound = Image{
	Start: 5 * time.Second, Healthy: 10 * time.Second, Drain: 30 * time.Second, Stop: 2 * time.Second,
}

// World is one service and all that surrounds it.
type World struct {
	Now      time.Time
	Service  row.Service
	Memory   row.Scheduling
	Rollouts []*Rollout // of the service, the newest last
	Tasks    []*Task    // that are not forgotten
	Events   []Event
	// Records are those of deployments that have left the service.
	Records []row.ServiceDeployment
	// Subnets are where tasks can be.
	Subnets []plan.Subnet
	// Balanced puts the tasks behind a target group; Checked gives them a container health check.
	Balanced, Checked bool
	// Alarm watches the deployments, if there is one.
	Alarm *plan.Alarm
	// Broken is the first promise that the scheduler broke; nil while it has kept them.
	Broken error

	wake time.Time
	ids  int
	rng  *rand.Rand
}

// Rollout is a deployment with its record and the behaviour of its tasks.
type Rollout struct {
	row.Deployment
	Record row.ServiceDeployment
	Image  Image
}

// Event is a service event and when it was written, from the begin of the simulation.
type Event struct {
	At   time.Duration
	Text string
}

// begin is when every simulation begins.
var begin = time.Date(2026, 7, 1, 12, 0, 0, 0, time.UTC)

// New returns a world with a service of a count and two percentages, behind a load balancer, and its
// first deployment. The seed decides every choice that Random makes.
func New(seed uint64, desired, minimum, maximum int, image Image) *World {
	w := &World{
		Now:      begin,
		Balanced: true,
		Subnets:  []plan.Subnet{{ID: "subnet-a", Zone: "a"}, {ID: "subnet-b", Zone: "b"}},
		rng:      rand.New(rand.NewPCG(seed, seed)),
		Service: row.Service{
			ARN: "service/c/s", Name: "s", Cluster: "cluster/c", DesiredCount: desired,
			Status: row.ServiceActive, Version: 1,
			Configuration: ecs.DeploymentConfiguration{
				MinimumHealthyPercent: new(int32(minimum)), MaximumPercent: new(int32(maximum)),
			},
		},
	}
	w.Deploy(image)
	return w
}

// Breaker turns the circuit breaker on.
func (w *World) Breaker(rollback bool) {
	w.Service.Configuration.DeploymentCircuitBreaker = &ecs.DeploymentCircuitBreaker{
		Enable: new(true), Rollback: &rollback,
	}
	w.changed()
}

// Watch lets an alarm of a minute watch the deployments.
func (w *World) Watch(rollback bool) {
	w.Alarm = &plan.Alarm{Name: "alarm", Period: time.Minute, Periods: 1}
	w.Service.Configuration.Alarms = &ecs.DeploymentAlarms{
		AlarmNames: []string{"alarm"}, Enable: new(true), Rollback: &rollback,
	}
	w.changed()
}

// Fire makes the alarm fire, or be well again.
func (w *World) Fire(firing bool) {
	w.Alarm.Firing = firing
	w.wake = w.Now
}

// Deploy begins a deployment, as UpdateService does.
func (w *World) Deploy(image Image) *Rollout {
	for _, r := range w.Rollouts {
		r.Status = row.DeploymentActive
	}
	id := "ecs-svc/" + strconv.Itoa(1000+w.id())
	r := &Rollout{Image: image}
	r.Record = row.ServiceDeployment{
		ARN: "record/" + id, Service: w.Service.ARN, Deployment: id, CreatedAt: w.Now,
		Status: ecs.ServiceDeploymentStatusPENDING,
	}
	r.Deployment = row.Deployment{
		Service: w.Service.ARN, ID: id, Revision: "revision/" + id, Record: r.Record.ARN,
		Status: row.DeploymentPrimary, CreatedAt: w.Now,
		RolloutState: ecs.DeploymentRolloutStateINPROGRESS,
		Spec:         row.ServiceSpec{TaskDefinition: "definition/" + id},
	}
	w.Rollouts = append(w.Rollouts, r)
	w.changed()
	return r
}

// Scale sets the desired count.
func (w *World) Scale(n int) {
	w.Service.DesiredCount = n
	w.changed()
}

// Delete deletes the service.
func (w *World) Delete() {
	w.Service.Status, w.Service.DesiredCount = row.ServiceDraining, 0
	w.changed()
}

// changed is a client's change of the service: the scheduler is to look.
func (w *World) changed() {
	w.Service.Version++
	w.wake = w.Now
}

func (w *World) id() int {
	w.ids++
	return w.ids
}

// Primary is the deployment that the service is to become.
func (w *World) Primary() *Rollout {
	for _, r := range w.Rollouts {
		if r.Status == row.DeploymentPrimary {
			return r
		}
	}
	return nil
}

// Plan plans and performs until there is nothing to do at this moment.
func (w *World) Plan() {
	const enough = 1000 // plans at one moment: more is going in circles
	for range enough {
		in := w.input()
		p := plan.Service(in)
		w.wake = p.Wake
		if !p.Changed {
			return
		}
		w.check(in, p)
		if w.Broken != nil {
			return
		}
		w.perform(p)
	}
	w.fail("the scheduler goes in circles")
}

func (w *World) input() plan.Input {
	in := plan.Input{
		Now: w.Now, Service: w.Service, Memory: w.Memory,
		NewID: func() string { return "t" + strconv.Itoa(w.id()) },
	}
	if w.Alarm != nil {
		in.Alarms = []plan.Alarm{*w.Alarm}
	}
	for _, r := range w.Rollouts {
		in.Deployments = append(in.Deployments, plan.Deployment{
			Deployment: r.Deployment, Record: r.Record, HealthChecked: w.Checked, Subnets: w.Subnets,
		})
	}
	for _, t := range w.Tasks {
		in.Tasks = append(in.Tasks, plan.Task{Task: t.Task, Targets: t.targets()})
	}
	return in
}

// perform does what the service controller does with a plan.
func (w *World) perform(p plan.Plan) {
	for _, s := range p.Starts {
		w.Tasks = append(w.Tasks, w.newTask(s))
	}
	for _, s := range p.Stops {
		w.task(s.Task).stop(s.Code, s.Reason)
	}
	for _, n := range p.Notes {
		w.task(n.Task).Notes = n.Notes
	}
	for _, d := range p.Deployments {
		w.rollout(d.ID).Deployment = d
	}
	for _, record := range p.Records {
		w.rollout(record.Deployment).Record = record
	}
	for _, d := range p.Drained {
		w.Records = append(w.Records, w.rollout(d.ID).Record)
		w.Rollouts = slices.DeleteFunc(w.Rollouts, func(r *Rollout) bool { return r.ID == d.ID })
	}
	for _, text := range p.Events {
		w.Events = append(w.Events, Event{At: w.Now.Sub(begin), Text: text})
	}
	w.Tasks = slices.DeleteFunc(w.Tasks, func(t *Task) bool {
		return t.LastStatus == row.TaskStopped && t.Notes.Stopped
	})
	w.Memory = p.Memory
	w.Memory.Version++
	if p.RollBack != nil {
		w.Service.Spec = *p.RollBack
	}
	if p.Inactive {
		w.Service.Status = row.ServiceInactive
	}
}

func (w *World) task(arn string) *Task {
	for _, t := range w.Tasks {
		if t.ARN == arn {
			return t
		}
	}
	panic("sim: a plan names the unknown task " + arn)
}

func (w *World) rollout(id string) *Rollout {
	for _, r := range w.Rollouts {
		if r.ID == id {
			return r
		}
	}
	panic("sim: a plan names the unknown deployment " + id)
}

// Run lets time pass, from one event to the next, for at most d or until done says so.
func (w *World) Run(d time.Duration, done func() bool) bool {
	end := w.Now.Add(d)
	w.Plan()
	for w.Broken == nil && !done() {
		next := w.next()
		if next.IsZero() || next.After(end) {
			w.Now = end
			w.Plan()
			return done()
		}
		w.step(next)
	}
	return w.Broken == nil
}

// next is when something happens next; zero for never.
func (w *World) next() time.Time {
	next := w.wake
	for _, t := range w.Tasks {
		if next.IsZero() || !t.next.IsZero() && t.next.Before(next) {
			next = t.next
		}
	}
	return next
}

// step does what happens at a time, and plans.
func (w *World) step(at time.Time) {
	w.Now = later(w.Now, at)
	for _, t := range w.Tasks {
		t.advance(w.Now)
	}
	w.Plan()
}

// Outage lets time pass with nobody to plan, as when the controller was killed. Tasks live on. The
// controller that comes back makes a full pass.
func (w *World) Outage(d time.Duration) {
	end := w.Now.Add(d)
	for {
		w.wake = time.Time{}
		next := w.next()
		if next.IsZero() || next.After(end) {
			break
		}
		w.Now = later(w.Now, next)
		for _, t := range w.Tasks {
			t.advance(w.Now)
		}
	}
	w.Now, w.wake = end, end
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// Steady tells whether the service has reached its steady state.
func (w *World) Steady() bool { return w.Memory.Steady }

// Kept counts the tasks that nobody has asked to stop.
func (w *World) Kept() (n int) {
	for _, t := range w.Tasks {
		if t.kept() {
			n++
		}
	}
	return n
}

// Serving counts the RUNNING tasks whose checks pass, those that drain included.
func (w *World) Serving() (n int) {
	for _, t := range w.Tasks {
		if t.health == healthy && (t.LastStatus == row.TaskRunning || t.LastStatus == row.TaskDeactivating) {
			n++
		}
	}
	return n
}

func (w *World) fail(format string, args ...any) {
	if w.Broken == nil {
		w.Broken = fmt.Errorf(format+" at %v", append(args, w.Now.Sub(begin))...)
	}
}

// healthy and unhealthy are the states of a target that matter.
const (
	healthy   = string(elbv2.TargetHealthStateEnumHealthy)
	unhealthy = string(elbv2.TargetHealthStateEnumUnhealthy)
	initial   = string(elbv2.TargetHealthStateEnumInitial)
)

// percent reads a bound of the service's configuration.
func percent(p *int32) int { return int(aws.Val(p)) }
