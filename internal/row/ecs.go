package row

import (
	"fmt"
	"time"

	"fairlead/internal/api/ecs"
	"fairlead/internal/state"
)

// Cluster statuses. An INACTIVE cluster is still described, and revived by a create of its name.
const (
	ClusterActive   = "ACTIVE"
	ClusterInactive = "INACTIVE"
)

// Cluster groups services and tasks. Writer: the cluster operations.
type Cluster struct {
	Scope
	ARN                    string                             `json:"arn"`
	Name                   string                             `json:"name"`
	Status                 string                             `json:"status"`
	Settings               []ecs.ClusterSetting               `json:"settings,omitempty"`
	Configuration          *ecs.ClusterConfiguration          `json:"configuration,omitempty"`
	CapacityProviders      []string                           `json:"capacityProviders,omitempty"`
	DefaultStrategy        []ecs.CapacityProviderStrategyItem `json:"defaultStrategy,omitempty"`
	ServiceConnectDefaults *ecs.ClusterServiceConnectDefaults `json:"serviceConnectDefaults,omitempty"`
	CreatedAt              time.Time                          `json:"createdAt"`
	Tags                   Tags                               `json:"tags,omitempty"`
}

// Clusters is the table of clusters.
var Clusters = state.NewTable("ecs.cluster", func(c Cluster) string { return c.ARN })

// TaskFamily counts the revisions of a family; a number is never given twice, also when its task
// definition is gone. Writer: the task definition operations.
type TaskFamily struct {
	Scope
	Name string `json:"name"`
	// Last is the highest revision ever registered.
	Last int32 `json:"last"`
	// Latest is the highest revision that is ACTIVE, which the family's bare name means; 0 for none.
	Latest int32 `json:"latest,omitempty"`
}

// TaskFamilies is the table of task definition families.
var TaskFamilies = state.NewTable("ecs.family", func(f TaskFamily) string { return f.Key(f.Name) })

// TaskDefinition is one revision of a family. What runs is never changed by its later statuses.
// Writer: the task definition operations.
type TaskDefinition struct {
	Scope
	ARN string `json:"arn"`
	// Definition is the registered document with AWS's defaults filled in.
	Definition ecs.TaskDefinition `json:"definition"`
	Tags       Tags               `json:"tags,omitempty"`
}

// TaskDefinitions is the table of task definitions. Index: family (key of its TaskFamily).
var TaskDefinitions = state.NewTable("ecs.definition",
	func(d TaskDefinition) string { return d.ARN },
	state.Index[TaskDefinition]{Name: "family", Keys: func(d TaskDefinition) []string {
		return []string{d.Key(*d.Definition.Family)}
	}},
)

// Service statuses.
const (
	ServiceActive   = "ACTIVE"
	ServiceDraining = "DRAINING" // deleted, but tasks are left
	ServiceInactive = "INACTIVE" // deleted; described until forgotten
)

// ServiceSpec is what the tasks of one deployment are made from: a change of it makes a new one.
type ServiceSpec struct {
	TaskDefinition   string                             `json:"taskDefinition"` // ARN
	LaunchType       ecs.LaunchType                     `json:"launchType,omitempty"`
	CapacityStrategy []ecs.CapacityProviderStrategyItem `json:"capacityStrategy,omitempty"`
	PlatformVersion  string                             `json:"platformVersion,omitempty"` // as asked: LATEST
	Network          *ecs.NetworkConfiguration          `json:"network,omitempty"`
	LoadBalancers    []ecs.LoadBalancer                 `json:"loadBalancers,omitempty"`
}

// Service keeps a number of tasks running.
type Service struct {
	// Identity; writer: CreateService, once.
	Scope
	ARN       string    `json:"arn"`
	Name      string    `json:"name"`
	Cluster   string    `json:"cluster"` // ARN
	CreatedAt time.Time `json:"createdAt"`
	CreatedBy string    `json:"createdBy,omitempty"`

	// Intent; writer: the service operations, and the service controller when it rolls Spec back.
	// Version counts the writes, so that the controller can tell that its plan still stands.
	Spec           ServiceSpec                     `json:"spec"`
	DesiredCount   int                             `json:"desiredCount"`
	Configuration  ecs.DeploymentConfiguration     `json:"configuration"`
	Controller     *ecs.DeploymentController       `json:"controller,omitempty"`
	GracePeriod    *int32                          `json:"gracePeriod,omitempty"` // seconds
	Rebalancing    ecs.AvailabilityZoneRebalancing `json:"rebalancing,omitempty"`
	Scheduling     ecs.SchedulingStrategy          `json:"scheduling"`
	PropagateTags  ecs.PropagateTags               `json:"propagateTags,omitempty"`
	ManagedTags    bool                            `json:"managedTags,omitempty"`
	ExecuteCommand bool                            `json:"executeCommand,omitempty"`
	Tags           Tags                            `json:"tags,omitempty"`
	ClientToken    string                          `json:"clientToken,omitempty"`
	Version        int64                           `json:"version"`

	// Status goes forward only: DeleteService makes it DRAINING, the service controller INACTIVE
	// once the last task has stopped, and a create of the same name replaces an INACTIVE row.
	Status     string     `json:"status"`
	InactiveAt *time.Time `json:"inactiveAt,omitempty"`
}

// WatchingAlarms lists the names of the alarms that watch the service's deployments.
func (s Service) WatchingAlarms() []string {
	if a := s.Configuration.Alarms; a != nil && a.Enable != nil && *a.Enable {
		return a.AlarmNames
	}
	return nil
}

// alarms lists the ARNs of WatchingAlarms.
func (s Service) alarms() (arns []string) {
	for _, name := range s.WatchingAlarms() {
		arns = append(arns, AlarmARN(s.Scope, name))
	}
	return arns
}

// Services is the table of services. Indexes: cluster (ARN), definition (task definition ARN), alarm
// (ARN of one that watches its deployments).
var Services = state.NewTable("ecs.service", func(s Service) string { return s.ARN },
	state.Index[Service]{Name: "cluster", Keys: func(s Service) []string { return []string{s.Cluster} }},
	state.Index[Service]{Name: "definition", Keys: func(s Service) []string {
		return []string{s.Spec.TaskDefinition}
	}},
	state.Index[Service]{Name: "alarm", Keys: Service.alarms},
)

// Deployment statuses. A replaced deployment leaves the table when its last task has stopped.
const (
	DeploymentPrimary = "PRIMARY" // the one that the service is to become
	DeploymentActive  = "ACTIVE"  // an older one that still has tasks, or may be rolled back to
)

// Deployment is one wish for a service's tasks and how far it has come. CreateService and
// UpdateService create it as PRIMARY and make the others ACTIVE; all else is written by the service
// controller.
type Deployment struct {
	Service   string      `json:"service"`  // ARN
	ID        string      `json:"id"`       // ecs-svc/ and 19 digits
	Revision  string      `json:"revision"` // ARN of its ServiceRevision
	Record    string      `json:"record"`   // ARN of its ServiceDeployment
	Spec      ServiceSpec `json:"spec"`
	Status    string      `json:"status"`
	CreatedAt time.Time   `json:"createdAt"`
	UpdatedAt time.Time   `json:"updatedAt"`

	RolloutState  ecs.DeploymentRolloutState `json:"rolloutState"`
	RolloutReason string                     `json:"rolloutReason,omitempty"`
	// FailedTasks counts failures since a task of the deployment last became healthy; all failures
	// where the circuit breaker says so.
	FailedTasks int `json:"failedTasks,omitempty"`
	// BakingSince is when the rollout had nothing left to do but to be watched by alarms.
	BakingSince *time.Time `json:"bakingSince,omitempty"`
	// CompletedAt is when it was last in full effect; only such a one can be rolled back to.
	CompletedAt *time.Time `json:"completedAt,omitempty"`
}

// Key returns the row's key.
func (d Deployment) Key() string { return d.Service + "|" + d.ID }

// Deployments is the table of deployments. A scan of service ARN and "|" gives one service's.
// Index: targetGroup (ARN).
var Deployments = state.NewTable("ecs.deployment", Deployment.Key,
	state.Index[Deployment]{Name: "targetGroup", Keys: func(d Deployment) []string {
		return targetGroups(d.Spec.LoadBalancers)
	}},
)

func targetGroups(lbs []ecs.LoadBalancer) []string {
	var arns []string
	for _, lb := range lbs {
		if lb.TargetGroupArn != nil {
			arns = append(arns, *lb.TargetGroupArn)
		}
	}
	return arns
}

// ServiceRevision is what a service was to be at one deployment; it never changes.
// Writer: CreateService and UpdateService, once; of Images the task controller, once per container.
type ServiceRevision struct {
	ARN       string      `json:"arn"`
	Service   string      `json:"service"` // ARN
	Cluster   string      `json:"cluster"` // ARN
	Spec      ServiceSpec `json:"spec"`
	CreatedAt time.Time   `json:"createdAt"`
	// Images are the digests that the containers' images were found to be by the first task that
	// pulled them; the others pull the same. A container with versionConsistency disabled has none.
	Images map[string]string `json:"images,omitempty"`
}

// RevisionOf returns the service revision that a task is made from; none for RunTask.
func RevisionOf(r state.Reader, t Task) (ServiceRevision, bool) {
	d, ok := Deployments.Get(r, Deployment{Service: t.Service, ID: t.Deployment}.Key())
	if !ok {
		return ServiceRevision{}, false
	}
	return ServiceRevisions.Get(r, d.Revision)
}

// ServiceRevisions is the table of service revisions. Index: service (ARN).
var ServiceRevisions = state.NewTable("ecs.revision", func(r ServiceRevision) string { return r.ARN },
	state.Index[ServiceRevision]{Name: "service", Keys: func(r ServiceRevision) []string {
		return []string{r.Service}
	}},
)

// ServiceDeployment is the history of one deployment, which outlives it. Created PENDING by
// CreateService and UpdateService, who also write StopAsked of StopServiceDeployment; all else is
// written by the service controller.
type ServiceDeployment struct {
	ARN           string                            `json:"arn"`
	Service       string                            `json:"service"`           // ARN
	Cluster       string                            `json:"cluster"`           // ARN
	Deployment    string                            `json:"deployment"`        // ecs-svc/…
	Target        string                            `json:"target"`            // ARN of the revision
	Sources       []string                          `json:"sources,omitempty"` // ARNs of revisions
	Configuration ecs.DeploymentConfiguration       `json:"configuration"`
	CreatedAt     time.Time                         `json:"createdAt"`
	StopAsked     ecs.StopServiceDeploymentStopType `json:"stopAsked,omitempty"`

	Status       ecs.ServiceDeploymentStatus         `json:"status"`
	StatusReason string                              `json:"statusReason,omitempty"`
	StartedAt    *time.Time                          `json:"startedAt,omitempty"`
	UpdatedAt    time.Time                           `json:"updatedAt"`
	FinishedAt   *time.Time                          `json:"finishedAt,omitempty"`
	StoppedAt    *time.Time                          `json:"stoppedAt,omitempty"`
	Breaker      ecs.ServiceDeploymentCircuitBreaker `json:"breaker"`
	Alarms       ecs.ServiceDeploymentAlarms         `json:"alarms"` // without status until it is begun
	Rollback     *ecs.Rollback                       `json:"rollback,omitempty"`
}

// ServiceDeployments is the table of service deployments. Index: service (ARN).
var ServiceDeployments = state.NewTable("ecs.record",
	func(d ServiceDeployment) string { return d.ARN },
	state.Index[ServiceDeployment]{Name: "service", Keys: func(d ServiceDeployment) []string {
		return []string{d.Service}
	}},
)

// Scheduling is what the service scheduler remembers of a service from one plan to the next.
// Writer: the service controller; Version counts its writes.
type Scheduling struct {
	Service string `json:"service"` // ARN
	// Seen is the Service.Version that the last plan was made for.
	Seen int64 `json:"seen"`
	// NextEvent numbers the service's next event; the hundred before it are kept.
	NextEvent int64 `json:"nextEvent"`
	// Steady is whether the service was last seen in its steady state.
	Steady bool `json:"steady,omitempty"`
	// Said is when a repeatable event was last written, by its text.
	Said map[string]time.Time `json:"said,omitempty"`
	// Moving is the id of the task that was started to even out the availability zones.
	Moving string `json:"moving,omitempty"`
	// StartFailures counts tasks in a row that stopped before RUNNING; Throttled is until when no
	// task is started because of them.
	StartFailures int        `json:"startFailures,omitempty"`
	Throttled     *time.Time `json:"throttled,omitempty"`
	Version       int64      `json:"version"`
}

// Schedulings is the table of what the scheduler remembers.
var Schedulings = state.NewTable("ecs.scheduling", func(s Scheduling) string { return s.Service })

// MaxServiceEvents is how many events of a service are kept.
// https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_Service.html
const MaxServiceEvents = 100

// ServiceEvent is one line of a service's history. Writer: the service controller.
type ServiceEvent struct {
	Service   string    `json:"service"` // ARN
	Number    int64     `json:"number"`
	ID        string    `json:"id"` // UUID
	Message   string    `json:"message"`
	CreatedAt time.Time `json:"createdAt"`
}

// Key returns the row's key.
func (e ServiceEvent) Key() string { return ServiceEventKey(e.Service, e.Number) }

// ServiceEventKey returns the key of a service's event; keys are in order of the numbers.
func ServiceEventKey(service string, number int64) string {
	return fmt.Sprintf("%s|%012d", service, number)
}

// ServiceEvents is the table of service events. A scan of service ARN and "|" gives one service's,
// oldest first.
var ServiceEvents = state.NewTable("ecs.event", ServiceEvent.Key)

// ForgetService removes a service with all that is remembered of it but its tasks.
func ForgetService(tx *state.Tx, arn string) {
	Services.Delete(tx, arn)
	Schedulings.Delete(tx, arn)
	for e := range ServiceEvents.Scan(tx, arn+"|") {
		ServiceEvents.Delete(tx, e.Key())
	}
	for d := range Deployments.Scan(tx, arn+"|") {
		Deployments.Delete(tx, d.Key())
	}
	for d := range ServiceDeployments.By(tx, "service", arn) {
		ServiceDeployments.Delete(tx, d.ARN)
	}
	for v := range ServiceRevisions.By(tx, "service", arn) {
		ServiceRevisions.Delete(tx, v.ARN)
	}
}

// AccountSetting is a setting of a principal, or the account's default for all principals.
// Writer: the account setting operations.
type AccountSetting struct {
	Scope
	Name      string `json:"name"`
	Principal string `json:"principal,omitempty"` // ARN; empty for the default
	Value     string `json:"value"`
}

// AccountSettings is the table of account settings.
var AccountSettings = state.NewTable("ecs.setting", func(a AccountSetting) string {
	return AccountSettingKey(a.Scope, a.Principal, a.Name)
})

// AccountSettingKey returns the key of a setting; the default has an empty principal.
func AccountSettingKey(s Scope, principal, name string) string { return s.Key(pair(principal, name)) }

// RunToken remembers a RunTask by its client token. Writer: RunTask.
type RunToken struct {
	Scope
	Cluster   string    `json:"cluster"` // ARN
	Token     string    `json:"token"`
	Request   string    `json:"request"` // digest of the call's parameters
	Tasks     []string  `json:"tasks"`   // ARNs
	CreatedAt time.Time `json:"createdAt"`
}

// Key returns the row's key.
func (t RunToken) Key() string { return t.Cluster + "|" + t.Token }

// RunTokens is the table of client tokens.
var RunTokens = state.NewTable("ecs.token", RunToken.Key)

func ecsTables() []state.TableInfo {
	return []state.TableInfo{
		Clusters, TaskFamilies, TaskDefinitions, Services, Deployments, ServiceRevisions,
		ServiceDeployments, Schedulings, ServiceEvents, AccountSettings, RunTokens, Tasks,
		Events, EventCounts, ExecSessions,
	}
}
