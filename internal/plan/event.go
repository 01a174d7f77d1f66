package plan

import (
	"fmt"
	"strings"

	"fairlead/internal/row"
)

// The texts of service events, word for word.
// https://docs.aws.amazon.com/AmazonECS/latest/developerguide/service-event-messages-list.html

func (p *planner) told(format string, args ...any) string {
	return "(service " + p.in.Service.Name + ")" + fmt.Sprintf(format, args...)
}

// tell writes an event.
func (p *planner) tell(format string, args ...any) {
	p.plan.Events = append(p.plan.Events, p.told(format, args...))
}

// tellOnce writes an event unless it was written within repeatTime; a new intent forgets that.
func (p *planner) tellOnce(format string, args ...any) {
	p.once(p.told(format, args...))
}

// once is tellOnce of a whole text.
func (p *planner) once(text string) {
	if last, ok := p.plan.Memory.Said[text]; ok && p.in.Now.Before(last.Add(repeatTime)) {
		return
	}
	p.say(text)
	p.plan.Events = append(p.plan.Events, text)
}

func (p *planner) tellStarted(ids []string) {
	p.tell(" has started %d tasks: %s.", len(ids), taskList(ids))
}

func (p *planner) tellStopped(ids []string) {
	p.tell(" has stopped %d running tasks: %s.", len(ids), taskList(ids))
}

func (p *planner) tellUnhealthy(t *task) {
	if target := t.bad.target; target.TargetGroup != "" {
		p.tell(" (task %s) (port %d) is unhealthy in (target-group %s) due to (reason %s)",
			t.ID, target.Port, target.TargetGroup, target.Description)
		return
	}
	p.tell(" (task %s) failed container health checks.", t.ID)
}

func (p *planner) tellDraining(deployment string, n int) {
	p.plan.Events = append(p.plan.Events, fmt.Sprintf(
		"(service %s, taskSet %s) has begun draining connections on %d tasks.",
		p.in.Service.Name, deployment, n))
}

// taskList is "(task ID) (task ID)".
func taskList(ids []string) string {
	return "(task " + strings.Join(ids, ") (task ") + ")"
}

// unhealthyReason is the stoppedReason of a task that failed its checks.
func unhealthyReason(b badCheck) string {
	if b.target.TargetGroup == "" {
		return "Task failed container health checks"
	}
	return fmt.Sprintf("Task failed ELB health checks in (target-group %s)", b.target.TargetGroup)
}

// scalingReason is the stoppedReason of a task that is not needed.
func scalingReason(t row.Task) string {
	return fmt.Sprintf("Scaling activity initiated by (deployment %s)", t.Deployment)
}
