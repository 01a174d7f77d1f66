package plan

import (
	"time"

	"fairlead/internal/api/ecs"
	"fairlead/internal/row"
)

// Input is all that a plan for a service is made of.
type Input struct {
	Now     time.Time
	Service row.Service
	Memory  row.Scheduling // as the last plan left it; zero before the first
	// Deployments are those of the service, one of them PRIMARY.
	Deployments []Deployment
	// Tasks are those that are not STOPPED, and those whose end no plan has seen yet.
	Tasks []Task
	// Alarms are those that watch the service's deployments.
	Alarms []Alarm
	// NewID returns the id of a new task: 32 hex digits.
	NewID func() string
}

// Deployment is a deployment with what its tasks are made from.
type Deployment struct {
	row.Deployment
	Record row.ServiceDeployment
	// HealthChecked is whether an essential container has a health check.
	HealthChecked bool
	Subnets       []Subnet
}

// Task is a task with the health of the targets that it is registered as.
type Task struct {
	row.Task
	Targets []row.TargetHealth
}

// Plan is what is to be done about a service, all of it at once.
type Plan struct {
	Starts []Start
	Stops  []Stop
	Notes  []Note
	Events []string // in the order in which they are to be told

	Deployments []row.Deployment        // as they are to be stored
	Drained     []row.Deployment        // are to be removed
	Records     []row.ServiceDeployment // as they are to be stored
	Memory      row.Scheduling          // as it is to be remembered
	// RollBack is what the service is to be from now on, when it goes back to an older deployment.
	RollBack *row.ServiceSpec
	// Inactive is whether the deleted service has stopped its last task; Forget whether it has been
	// INACTIVE for long enough.
	Inactive, Forget bool

	// Wake is when to plan again if nothing has happened before; zero for never.
	Wake time.Time
	// Changed is whether there is anything to store.
	Changed bool
}

// Start asks for a new task of a deployment.
type Start struct {
	ID         string
	Deployment string // ecs-svc/…
	Subnet     Subnet
	Provider   string // capacity provider; empty for the deployment's launch type
}

// Stop asks a task to stop.
type Stop struct {
	Task   string // ARN
	Code   ecs.TaskStopCode
	Reason string
}

// Note tells what is now drawn from a task.
type Note struct {
	Task  string // ARN
	Notes row.TaskNotes
}
