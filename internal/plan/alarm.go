package plan

import (
	"strings"
	"time"

	"fairlead/internal/api/ecs"
	"fairlead/internal/aws"
)

// Alarm is a CloudWatch alarm that the service's deployments are watched by. One that does not
// exist is not among the input's.
type Alarm struct {
	Name   string
	Firing bool          // whether its state is ALARM
	Period time.Duration // that it looks at at once
	// Periods are evaluated.
	Periods int
}

// evaluationTime is how long after its end a period is evaluated at the latest, when alarms of its
// length are looked at no more than ten seconds apart.
const evaluationTime = 12 * time.Second

// watchAlarms fails the PRIMARY deployment when an alarm fires, and tells whether it did. Alarms
// that fire when the deployment begins say nothing about it: it is not watched then.
// https://docs.aws.amazon.com/AmazonECS/latest/developerguide/deployment-alarm-failure.html
func (p *planner) watchAlarms() (failed bool) {
	d, conf := p.primary, aws.Val(p.in.Service.Configuration.Alarms)
	if d.Record.ARN == "" || final(d.Record.Status) {
		return false
	}
	names, firing := conf.AlarmNames, p.firing()
	switch status := d.Record.Alarms.Status; {
	case !aws.Val(conf.Enable):
		d.watch(ecs.ServiceDeploymentRollbackMonitorsStatusDISABLED, nil)
	case status == "" && len(firing) > 0:
		d.watch(ecs.ServiceDeploymentRollbackMonitorsStatusDISABLED, names)
	case status == "":
		d.watch(ecs.ServiceDeploymentRollbackMonitorsStatusMONITORING, names)
	case status == ecs.ServiceDeploymentRollbackMonitorsStatusMONITORING && len(firing) > 0:
		p.failByAlarm(firing, aws.Val(conf.Rollback))
		return true
	}
	return false
}

// firing lists the alarms that fire.
func (p *planner) firing() (names []string) {
	for _, a := range p.in.Alarms {
		if a.Firing {
			names = append(names, a.Name)
		}
	}
	return names
}

// watch says in the record whether the deployment is watched, and by which alarms.
func (d *deployment) watch(status ecs.ServiceDeploymentRollbackMonitorsStatus, names []string) {
	if d.Record.Alarms.Status == status {
		return
	}
	d.Record.Alarms.Status, d.Record.Alarms.AlarmNames = status, names
	d.recordChanged = true
}

// Texts of what alarms do. That of the event is AWS's; the others are worded after the circuit
// breaker's, for want of a source.
const (
	alarmReason       = "ECS deployment alarms: alarm detected."
	alarmRollingBack  = "ECS deployment alarms: rolling back to deploymentId "
	alarmRolledBack   = "ECS deployment alarms: rollback completed."
	breakerRolledBack = "ECS deployment circuit breaker: rollback completed."
)

// failByAlarm fails the deployment and, if wanted and possible, goes back to the last completed
// one.
func (p *planner) failByAlarm(firing []string, rollback bool) {
	d := p.primary
	d.rollout(p.in.Now, ecs.DeploymentRolloutStateFAILED, alarmReason)
	d.Record.Alarms.Status = ecs.ServiceDeploymentRollbackMonitorsStatusTRIGGERED
	d.Record.Alarms.TriggeredAlarmNames = firing
	d.recordChanged = true
	p.tell(" (deployment %s) deployment failed: alarm detected.", d.ID)
	target := p.lastCompleted()
	if !rollback || target == nil {
		d.record(p.in.Now, ecs.ServiceDeploymentStatusSTOPPED, alarmReason)
		p.endRollback(ecs.ServiceDeploymentStatusROLLBACKFAILED)
		return
	}
	p.rollBack(target, alarmReason, alarmRollingBack+target.ID+".")
}

// rolledBack is what is said of a deployment that was gone back to, by whichever of the two.
func (d *deployment) rolledBack() string {
	if strings.HasPrefix(d.RolloutReason, alarmRollingBack) {
		return alarmRolledBack
	}
	return breakerRolledBack
}

// baked tells whether a deployment that has nothing left to do has been watched for long enough. It
// is so at once when no alarm watches it.
func (p *planner) baked() bool {
	d := p.primary
	if d.Record.Alarms.Status != ecs.ServiceDeploymentRollbackMonitorsStatusMONITORING {
		return true
	}
	if d.BakingSince == nil {
		d.BakingSince, d.changed = &p.in.Now, true
	}
	end := d.BakingSince.Add(p.bakeTime())
	p.wake(end)
	if p.in.Now.Before(end) {
		return false
	}
	d.watch(ecs.ServiceDeploymentRollbackMonitorsStatusMONITORINGCOMPLETE, d.Record.Alarms.AlarmNames)
	return true
}

// bakeTime is what was asked for or else, as AWS does not tell its own rule, what every alarm needs
// to see a whole window of the new tasks alone: the window may begin a period later.
func (p *planner) bakeTime() (longest time.Duration) {
	if minutes := p.in.Service.Configuration.BakeTimeInMinutes; minutes != nil {
		return time.Duration(*minutes) * time.Minute
	}
	for _, a := range p.in.Alarms {
		longest = max(longest, time.Duration(a.Periods+1)*a.Period+evaluationTime)
	}
	return longest
}
