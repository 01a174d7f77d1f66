package sim

import (
	"time"

	"fairlead/internal/api/ecs"
	"fairlead/internal/plan"
	"fairlead/internal/row"
)

// group is the target group of every service.
const group = "group"

// Task is a task on a simulated node.
type Task struct {
	row.Task
	image  Image
	health string    // of its target
	next   time.Time // when its node or its probe does something
	since  time.Time // when it got its status
}

func (w *World) newTask(s plan.Start) *Task {
	t := &Task{image: w.rollout(s.Deployment).Image, health: initial, since: w.Now}
	t.Task = row.Task{
		ARN: "task/" + s.ID, ID: s.ID, Service: w.Service.ARN, Deployment: s.Deployment,
		CreatedAt: w.Now, Zone: s.Subnet.Zone, Network: &row.TaskNetwork{Subnet: s.Subnet.ID},
		CapacityProvider: s.Provider, DesiredStatus: row.TaskRunning, LastStatus: row.TaskPending,
		HealthStatus: string(ecs.HealthStatusUNKNOWN),
	}
	if w.Balanced {
		t.LoadBalancers = []ecs.LoadBalancer{{TargetGroupArn: new(group)}}
	}
	t.next = w.Now.Add(t.image.Start)
	return t
}

func (t *Task) kept() bool {
	return t.DesiredStatus == row.TaskRunning && t.LastStatus != row.TaskStopped
}

// targets is what the probes know.
func (t *Task) targets() []row.TargetHealth {
	if len(t.Registered) == 0 {
		return nil
	}
	return []row.TargetHealth{{TargetGroup: group, ID: t.ID, Port: 80, State: t.health,
		Description: "Health checks failed with these codes: [503]"}}
}

// stop asks the task to stop.
func (t *Task) stop(code ecs.TaskStopCode, reason string) {
	if t.DesiredStatus == row.TaskStopped {
		return
	}
	t.DesiredStatus, t.StopCode, t.StoppedReason = row.TaskStopped, code, reason
	t.next = time.Time{}.Add(time.Nanosecond) // at once
}

// Exit ends the essential container.
func (t *Task) Exit() {
	t.stop(ecs.TaskStopCodeEssentialContainerExited, "Essential container in task exited")
}

// SetHealth makes the checks pass or fail from now on.
func (t *Task) SetHealth(ok bool) {
	t.health, t.HealthStatus = unhealthy, string(ecs.HealthStatusUNHEALTHY)
	if ok {
		t.health, t.HealthStatus = healthy, string(ecs.HealthStatusHEALTHY)
	}
}

// advance does what is due at now.
func (t *Task) advance(now time.Time) {
	if t.next.IsZero() || t.next.After(now) {
		return
	}
	t.next = time.Time{}
	if t.DesiredStatus == row.TaskStopped {
		t.wind(now)
		return
	}
	switch t.LastStatus {
	case row.TaskPending:
		t.run(now)
	case row.TaskRunning:
		if t.image.Exit > 0 && !now.Before(t.since.Add(t.image.Exit)) {
			t.Exit()
			return
		}
		t.SetHealth(!t.image.Sick)
		if t.image.Exit > 0 {
			t.next = t.since.Add(t.image.Exit)
		}
	}
}

func (t *Task) run(now time.Time) {
	if t.image.FailStart {
		t.stop(ecs.TaskStopCodeTaskFailedToStart, "CannotPullContainerError: no such image")
		return
	}
	t.enter(row.TaskRunning, now, t.image.Healthy)
	t.StartedAt = &t.since
	if len(t.LoadBalancers) > 0 {
		t.Registered = []row.Target{{TargetGroup: group, ID: t.ID, Port: 80}}
	}
}

// wind takes a task that is to stop one step further. One that ended by itself need not drain.
func (t *Task) wind(now time.Time) {
	over := t.StopCode == ecs.TaskStopCodeEssentialContainerExited ||
		t.StopCode == ecs.TaskStopCodeTaskFailedToStart
	switch t.LastStatus {
	case row.TaskPending:
		t.enter(row.TaskStopping, now, t.image.Stop)
	case row.TaskRunning:
		drain := t.image.Drain
		if over {
			drain = 0
		}
		t.enter(row.TaskDeactivating, now, drain)
	case row.TaskDeactivating:
		t.enter(row.TaskStopping, now, t.image.Stop)
	case row.TaskStopping:
		t.LastStatus, t.since = row.TaskStopped, now
	}
}

// enter sets a status and when the next thing happens.
func (t *Task) enter(status string, now time.Time, stay time.Duration) {
	t.LastStatus, t.since, t.next = status, now, now.Add(stay)
}
