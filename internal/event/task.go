package event

import (
	"cmp"
	"slices"
	"time"

	"fairlead/internal/api/ecs"
	"fairlead/internal/row"
	"fairlead/internal/state"
)

// taskDetail is a task as DescribeTasks shows it, with times that are text.
type taskDetail struct {
	ecs.Task
	UpdatedAt time.Time `json:"updatedAt"`
}

// tasks tells of every version of a task: it rises with each change that AWS sends an event for,
// and only with those.
// https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_Task.html
func (b *batch) tasks(show func(state.Reader, row.Task) ecs.Task) {
	var changed []row.Task
	for w := range row.Tasks.Written(b.tx) {
		if w.After != nil && (w.Before == nil || w.Before.Version != w.After.Version) {
			changed = append(changed, *w.After)
		}
	}
	slices.SortStableFunc(changed, func(a, b row.Task) int {
		return cmp.Or(cmp.Compare(a.Service, b.Service), a.CreatedAt.Compare(b.CreatedAt))
	})
	for _, t := range changed {
		b.tell(TaskStateChange, t.Scope, t.Service, t.ARN,
			taskDetail{inEventForm(show(b.tx, t)), iso(b.now)})
	}
}

// inEventForm is a task as events write it.
func inEventForm(t ecs.Task) ecs.Task {
	for _, at := range []**time.Time{
		&t.ConnectivityAt, &t.CreatedAt, &t.ExecutionStoppedAt, &t.PullStartedAt,
		&t.PullStoppedAt, &t.StartedAt, &t.StoppedAt, &t.StoppingAt,
	} {
		if *at != nil {
			*at = new(iso(**at))
		}
	}
	t.Attachments = slices.Clone(t.Attachments)
	for i := range t.Attachments {
		t.Attachments[i].Type = new("eni") // DescribeTasks says ElasticNetworkInterface
	}
	return t
}
