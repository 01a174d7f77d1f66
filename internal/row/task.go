package row

import (
	"strings"
	"time"

	"fairlead/internal/api/ecs"
	"fairlead/internal/state"
)

// Task statuses in their order; a task moves forward only and is never reused.
const (
	TaskProvisioning   = "PROVISIONING"   // waits for its network interface
	TaskPending        = "PENDING"        // pulls images, creates and starts containers
	TaskActivating     = "ACTIVATING"     // registers targets
	TaskRunning        = "RUNNING"        // containers run, targets are registered
	TaskDeactivating   = "DEACTIVATING"   // targets are deregistered and drain
	TaskStopping       = "STOPPING"       // containers got SIGTERM
	TaskDeprovisioning = "DEPROVISIONING" // network interface is removed
	TaskStopped        = "STOPPED"
)

// Task is one run of a task definition.
type Task struct {
	// Identity and intent; writer: whoever creates the task (RunTask or the service controller), once.
	Scope
	ARN                  string             `json:"arn"`
	ID                   string             `json:"id"`                   // 32 hex digits
	Cluster              string             `json:"cluster"`              // ARN
	Service              string             `json:"service,omitempty"`    // ARN; empty for RunTask
	Deployment           string             `json:"deployment,omitempty"` // ecs-svc/…
	TaskDefinition       string             `json:"taskDefinition"`       // ARN
	Group                string             `json:"group"`
	StartedBy            string             `json:"startedBy,omitempty"`
	LaunchType           ecs.LaunchType     `json:"launchType,omitempty"`
	CapacityProvider     string             `json:"capacityProvider,omitempty"`
	PlatformVersion      string             `json:"platformVersion,omitempty"`
	CPU                  string             `json:"cpu,omitempty"`
	Memory               string             `json:"memory,omitempty"`
	Overrides            *ecs.TaskOverride  `json:"overrides,omitempty"`
	Network              *TaskNetwork       `json:"network,omitempty"`
	Zone                 string             `json:"zone,omitempty"` // of the network's subnet
	LoadBalancers        []ecs.LoadBalancer `json:"loadBalancers,omitempty"`
	EnableExecuteCommand bool               `json:"enableExecuteCommand,omitempty"`
	CreatedAt            time.Time          `json:"createdAt"`
	Tags                 Tags               `json:"tags,omitempty"` // also TagResource; StopTask drops them

	// Desired; writers: StopTask, the service controller, and the task controller when the task
	// cannot go on. DesiredStatus goes from RUNNING to STOPPED once.
	DesiredStatus string           `json:"desiredStatus"`
	StopCode      ecs.TaskStopCode `json:"stopCode,omitempty"`
	StoppedReason string           `json:"stoppedReason,omitempty"`
	StopAskedAt   *time.Time       `json:"stopAskedAt,omitempty"`
	Protection    *time.Time       `json:"protection,omitempty"` // scale-in protection ends here

	// Observed; writer: the task controller alone.
	LastStatus         string          `json:"lastStatus"`
	HealthStatus       string          `json:"healthStatus,omitempty"` // HEALTHY, UNHEALTHY, UNKNOWN
	ENI                string          `json:"eni,omitempty"`          // eni-…
	Attachment         *TaskAttachment `json:"attachment,omitempty"`
	Containers         []TaskContainer `json:"containers,omitempty"`
	Registered         []Target        `json:"registered,omitempty"` // targets this task is registered as
	ConnectivityAt     *time.Time      `json:"connectivityAt,omitempty"`
	PullStartedAt      *time.Time      `json:"pullStartedAt,omitempty"`
	PullStoppedAt      *time.Time      `json:"pullStoppedAt,omitempty"`
	StartedAt          *time.Time      `json:"startedAt,omitempty"`
	StoppingAt         *time.Time      `json:"stoppingAt,omitempty"`
	ExecutionStoppedAt *time.Time      `json:"executionStoppedAt,omitempty"`
	StoppedAt          *time.Time      `json:"stoppedAt,omitempty"`
	Version            int64           `json:"version"`

	// History; writer: the service controller alone.
	Notes TaskNotes `json:"notes,omitzero"`
}

// TaskNotes is what the service controller has already drawn from a task's life, so that each
// transition is told and counted once, also across restarts.
type TaskNotes struct {
	Registered bool `json:"registered,omitempty"` // told: registered targets
	Healthy    bool `json:"healthy,omitempty"`    // counted as healthy once
	Draining   bool `json:"draining,omitempty"`   // told: deregistered targets
	Ended      bool `json:"ended,omitempty"`      // ended by itself, counted if that was a failure
	Stopped    bool `json:"stopped,omitempty"`    // STOPPED, nothing is left to draw
}

// TaskNetwork is the awsvpc configuration with the one subnet that placement chose.
type TaskNetwork struct {
	Subnet         string   `json:"subnet"`
	SecurityGroups []string `json:"securityGroups,omitempty"`
	AssignPublicIP bool     `json:"assignPublicIp,omitempty"`
}

// TaskAttachment is the ElasticNetworkInterface attachment as DescribeTasks shows it; it outlives the
// interface itself.
type TaskAttachment struct {
	ID      string `json:"id"`     // UUID
	Status  string `json:"status"` // PRECREATED … DELETED
	Subnet  string `json:"subnet"`
	ENI     string `json:"eni,omitempty"`
	MAC     string `json:"mac,omitempty"`
	Address string `json:"address,omitempty"`
}

// TaskContainer is what is known of one container of a task.
type TaskContainer struct {
	Name         string     `json:"name"`
	ARN          string     `json:"arn"`
	RuntimeID    string     `json:"runtimeId"`
	Image        string     `json:"image"`
	ImageDigest  string     `json:"imageDigest,omitempty"`
	LastStatus   string     `json:"lastStatus"` // PENDING, RUNNING, STOPPED
	HealthStatus string     `json:"healthStatus,omitempty"`
	ExitCode     *int32     `json:"exitCode,omitempty"`
	Reason       string     `json:"reason,omitempty"`
	StartedAt    *time.Time `json:"startedAt,omitempty"`
	FinishedAt   *time.Time `json:"finishedAt,omitempty"`
	Restarts     int        `json:"restarts,omitempty"`
}

// Tasks is the table of tasks, stopped ones included until they are forgotten.
// Indexes: id, cluster, service, definition (task definition ARN), open ("yes" until STOPPED),
// live (service ARN until the service controller has seen the task STOPPED).
var Tasks = state.NewTable("ecs.task", func(t Task) string { return t.ARN },
	state.Index[Task]{Name: "id", Keys: func(t Task) []string { return []string{t.ID} }},
	state.Index[Task]{Name: "cluster", Keys: func(t Task) []string { return []string{t.Cluster} }},
	state.Index[Task]{Name: "service", Keys: func(t Task) []string { return []string{t.Service} }},
	state.Index[Task]{Name: "definition", Keys: func(t Task) []string { return []string{t.TaskDefinition} }},
	state.Index[Task]{Name: "open", Keys: func(t Task) []string {
		if t.LastStatus == TaskStopped {
			return nil
		}
		return []string{"yes"}
	}},
	state.Index[Task]{Name: "live", Keys: func(t Task) []string {
		if t.Service == "" || t.LastStatus == TaskStopped && t.Notes.Stopped {
			return nil
		}
		return []string{t.Service}
	}},
)

// InnerARN names something inside the task: arn:…:KIND/CLUSTER/TASK-ID/ID, as containers are.
func (t Task) InnerARN(kind, id string) string {
	_, path, _ := strings.Cut(t.ARN, ":task/")
	return t.Scope.ARN("ecs", kind+"/"+path+"/"+id)
}
