package event

import (
	"cmp"
	"maps"
	"slices"
	"strings"
	"time"

	"fairlead/internal/api/ecs"
	"fairlead/internal/row"
	"fairlead/internal/state"
)

// eventType is how serious an event of a service is.
type eventType string

const (
	info   eventType = "INFO"
	warn   eventType = "WARN"
	failed eventType = "ERROR"
)

// deploymentDetail tells of one deployment.
// https://docs.aws.amazon.com/AmazonECS/latest/developerguide/ecs_service_deployment_events.html
type deploymentDetail struct {
	EventType    eventType `json:"eventType"`
	EventName    string    `json:"eventName"`
	DeploymentID string    `json:"deploymentId"`
	UpdatedAt    time.Time `json:"updatedAt"`
	Reason       string    `json:"reason"`
}

// deployments tells of every rollout that begins and ends, a rollback being the begin of another.
// What ends is told before what takes its place.
func (b *batch) deployments() {
	var changed []row.Deployment
	for w := range row.Deployments.Written(b.tx) {
		if w.After != nil && (w.Before == nil || w.Before.RolloutState != w.After.RolloutState) {
			changed = append(changed, *w.After)
		}
	}
	begins := func(d row.Deployment) int {
		if d.RolloutState == ecs.DeploymentRolloutStateINPROGRESS {
			return 1
		}
		return 0
	}
	slices.SortStableFunc(changed, func(a, b row.Deployment) int {
		return cmp.Compare(begins(a), begins(b))
	})
	for _, d := range changed {
		b.tell(DeploymentStateChange, b.scope(d.Service), d.Service, d.Service, deploymentDetail{
			EventType: deploymentType(d), EventName: "SERVICE_DEPLOYMENT_" + string(d.RolloutState),
			DeploymentID: d.ID, UpdatedAt: iso(d.UpdatedAt), Reason: d.RolloutReason,
		})
	}
}

func deploymentType(d row.Deployment) eventType {
	if d.RolloutState == ecs.DeploymentRolloutStateFAILED {
		return failed
	}
	return info
}

// scope is the account and region of a service.
func (b *batch) scope(service string) row.Scope {
	svc, _ := row.Services.Get(b.tx, service)
	return svc.Scope
}

// actionDetail tells what the scheduler did or found.
// https://docs.aws.amazon.com/AmazonECS/latest/developerguide/ecs_service_events.html
type actionDetail struct {
	EventType  eventType `json:"eventType"`
	EventName  string    `json:"eventName"`
	ClusterARN string    `json:"clusterArn"`
	Reason     string    `json:"reason,omitempty"`
	TaskARNs   []string  `json:"taskArns,omitempty"`
	CreatedAt  time.Time `json:"createdAt"`
}

// said maps the end of a service event's text to the service action that it is. There is no
// SERVICE_DESIRED_COUNT_UPDATED: AWS sends it for counts that a scheduler computes, not for those
// that a client sets, and here only clients set counts.
var said = []struct {
	text string
	kind eventType
	name string
}{
	{" has reached a steady state.", info, "SERVICE_STEADY_STATE"},
	{" is unable to consistently start tasks successfully.", warn, "SERVICE_TASK_START_IMPAIRED"},
}

// unplaced begins the reason in the text of a service event that tells of a task without a place.
const unplaced = " was unable to place a task because "

// actions tells which tasks the scheduler stops and what it says.
func (b *batch) actions() {
	b.stopped()
	for w := range row.ServiceEvents.Written(b.tx) {
		if w.After != nil && w.Before == nil {
			b.action(*w.After)
		}
	}
}

func (b *batch) action(e row.ServiceEvent) {
	for _, s := range said {
		if strings.HasSuffix(e.Message, s.text) {
			b.tellAction(e.Service, actionDetail{EventType: s.kind, EventName: s.name})
		}
	}
	if _, reason, ok := strings.Cut(e.Message, unplaced); ok {
		b.tellAction(e.Service, actionDetail{
			EventType: failed, EventName: "SERVICE_TASK_PLACEMENT_FAILURE", Reason: reason,
		})
	}
}

func (b *batch) tellAction(service string, d actionDetail) {
	svc, _ := row.Services.Get(b.tx, service)
	d.ClusterARN, d.CreatedAt = svc.Cluster, iso(b.now)
	b.tell(ServiceAction, svc.Scope, service, service, d)
}

// stopped tells which tasks the scheduler asks to stop.
func (b *batch) stopped() {
	tasks := map[string][]string{}
	for w := range row.Tasks.Written(b.tx) {
		if byScheduler(w) {
			tasks[w.After.Service] = append(tasks[w.After.Service], w.Key)
		}
	}
	for _, service := range slices.Sorted(maps.Keys(tasks)) {
		b.tellAction(service, actionDetail{
			EventType: info, EventName: "TASKS_STOPPED", TaskARNs: tasks[service],
		})
	}
}

func byScheduler(w state.Written[row.Task]) bool {
	return w.Before != nil && w.After != nil && w.After.Service != "" &&
		w.Before.DesiredStatus != w.After.DesiredStatus &&
		w.After.StopCode == ecs.TaskStopCodeServiceSchedulerInitiated
}
