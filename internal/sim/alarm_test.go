package sim

import (
	"slices"
	"strings"
	"testing"
	"time"

	"fairlead/internal/api/ecs"
)

// watchedWorld is a settled world whose deployments an alarm watches.
func watchedWorld(t *testing.T, rollback bool) *World {
	t.Helper()
	w := settled(t, 2, 100, 200)
	w.Watch(rollback)
	run(t, w)
	w.Events = nil
	return w
}

// never lets time pass.
func never() bool { return false }

// TestQuietAlarmBakes: a deployment that no alarm fires at is complete after the bake, not before.
func TestQuietAlarmBakes(t *testing.T) {
	w := watchedWorld(t, true)
	d := w.Deploy(Sound)
	w.Run(time.Hour, func() bool { return d.BakingSince != nil })
	if d.BakingSince == nil || w.Serving() != 2 || d.RolloutState != ecs.DeploymentRolloutStateINPROGRESS {
		t.Fatalf("%s, %d in service%s", d.RolloutState, w.Serving(), w.story())
	}
	const bake = 2*time.Minute + 12*time.Second
	if w.Run(bake-time.Second, w.Steady); d.RolloutState != ecs.DeploymentRolloutStateINPROGRESS {
		t.Errorf("%s before the end of the bake", d.RolloutState)
	}
	w.Run(2*time.Second, never)
	status := d.Record.Alarms.Status
	if d.RolloutState != ecs.DeploymentRolloutStateCOMPLETED || !w.Steady() ||
		status != ecs.ServiceDeploymentRollbackMonitorsStatusMONITORINGCOMPLETE {
		t.Errorf("%s, alarms %s%s", d.RolloutState, status, w.story())
	}
}

// TestAlarmRollsBack at any time of the rollout: while tasks start, while old ones drain, in the bake.
func TestAlarmRollsBack(t *testing.T) {
	for name, until := range map[string]func(*World, *Rollout) bool{
		"at once":        func(*World, *Rollout) bool { return true },
		"mid rollout":    func(w *World, _ *Rollout) bool { return w.Serving() > 2 },
		"while it bakes": func(_ *World, d *Rollout) bool { return d.BakingSince != nil },
	} {
		t.Run(name, func(t *testing.T) {
			w := watchedWorld(t, true)
			old, bad := w.Primary(), w.Deploy(Sound)
			w.Run(time.Hour, func() bool { return until(w, bad) })
			w.Fire(true)
			lowest := 2
			w.Run(time.Hour, func() bool { lowest = min(lowest, w.Serving()); return w.Steady() })
			if w.Primary() != old || !w.Steady() || lowest < 2 {
				t.Fatalf("primary %s, steady %v, down to %d%s", w.Primary().ID, w.Steady(), lowest, w.story())
			}
			if old.RolloutReason != "ECS deployment alarms: rollback completed." {
				t.Errorf("the reason is %q", old.RolloutReason)
			}
			record := w.Records[len(w.Records)-1]
			if record.Deployment != bad.ID || record.Status != ecs.ServiceDeploymentStatusROLLBACKSUCCESSFUL ||
				record.Alarms.Status != ecs.ServiceDeploymentRollbackMonitorsStatusTRIGGERED ||
				!slices.Equal(record.Alarms.TriggeredAlarmNames, []string{"alarm"}) {
				t.Errorf("record %+v", record)
			}
			texts := w.told(old.ID, "OLD", bad.ID, "NEW")
			failed := slices.Index(texts, "(service s) (deployment NEW) deployment failed: alarm detected.")
			if failed < 0 || texts[failed+1] != "(service s) rolling back to deployment OLD." {
				t.Errorf("events:\n%s", strings.Join(texts, "\n"))
			}
		})
	}
}

func TestAlarmWithoutRollbackStops(t *testing.T) {
	w := watchedWorld(t, false)
	bad := w.Deploy(Sound)
	w.Run(time.Second, never)
	w.Fire(true)
	w.Run(time.Hour, never)
	if bad.RolloutState != ecs.DeploymentRolloutStateFAILED || w.Serving() < 2 || len(w.Rollouts) != 2 ||
		bad.Record.Status != ecs.ServiceDeploymentStatusSTOPPED {
		t.Errorf("%s, %d in service%s", bad.RolloutState, w.Serving(), w.story())
	}
}

// TestFiringAlarmDoesNotWatch: what fires before the deployment says nothing about it.
func TestFiringAlarmDoesNotWatch(t *testing.T) {
	w := watchedWorld(t, true)
	w.Fire(true)
	d := w.Deploy(Sound)
	run(t, w)
	if d.RolloutState != ecs.DeploymentRolloutStateCOMPLETED || d.BakingSince != nil ||
		d.Record.Alarms.Status != ecs.ServiceDeploymentRollbackMonitorsStatusDISABLED {
		t.Errorf("%s, alarms %s%s", d.RolloutState, d.Record.Alarms.Status, w.story())
	}
}

// TestBakeTimeAsAskedFor instead of what the alarms need.
func TestBakeTimeAsAskedFor(t *testing.T) {
	w := watchedWorld(t, true)
	w.Service.Configuration.BakeTimeInMinutes = new(int32(30))
	d := w.Deploy(Sound)
	run(t, w)
	if baked := w.Now.Sub(*d.BakingSince); baked != 30*time.Minute {
		t.Errorf("baked for %v", baked)
	}
}

// TestFirstOfTwoMechanismsWins: the breaker trips without rollback, though alarms would roll back.
func TestFirstOfTwoMechanismsWins(t *testing.T) {
	w := watchedWorld(t, true)
	w.Breaker(false)
	bad := w.Deploy(Image{FailStart: true, Start: time.Second})
	w.Run(time.Hour, never)
	w.Fire(true)
	w.Run(time.Hour, never)
	if w.Primary() != bad || bad.RolloutState != ecs.DeploymentRolloutStateFAILED ||
		bad.Record.Alarms.Status == ecs.ServiceDeploymentRollbackMonitorsStatusTRIGGERED {
		t.Errorf("%s, alarms %s%s", bad.RolloutState, bad.Record.Alarms.Status, w.story())
	}
}
