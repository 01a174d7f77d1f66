package service

import (
	"context"
	"log/slog"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"fairlead/internal/api/ecs"
	"fairlead/internal/api/elbv2"
	"fairlead/internal/plan"
	"fairlead/internal/row"
	"fairlead/internal/state"
	"fairlead/internal/state/statetest"
)

const (
	arn   = "arn:aws:ecs:r:1:service/c/s"
	group = "arn:aws:elasticloadbalancing:r:1:targetgroup/g/1"
)

// bench is a controller over a store with one service, and a clock that a test sets.
type bench struct {
	t     *testing.T
	store *state.Store
	now   time.Time
	ids   int
	*Controller
}

func newBench(t *testing.T) *bench {
	b := &bench{t: t, store: statetest.Open(t, row.Tables()...),
		now: time.Date(2026, 7, 1, 12, 0, 0, 0, time.UTC)}
	b.restart()
	sc := row.Scope{Account: "1", Region: "r"}
	b.update(func(tx *state.Tx) {
		row.Clusters.Put(tx, row.Cluster{Scope: sc, ARN: "cluster/c", Name: "c"})
		row.TaskDefinitions.Put(tx, row.TaskDefinition{Scope: sc, ARN: "td", Tags: row.Tags{"td": "1"},
			Definition: ecs.TaskDefinition{Family: new("f"), Cpu: new("256"), Memory: new("512")}})
		row.Subnets.Put(tx, row.Subnet{Scope: sc, ID: "subnet-a", Zone: "ra"})
		row.TargetGroups.Put(tx, row.TargetGroup{Scope: sc, ARN: group})
		spec := row.ServiceSpec{TaskDefinition: "td", Network: &ecs.NetworkConfiguration{
			AwsvpcConfiguration: &ecs.AwsVpcConfiguration{Subnets: []string{"subnet-a"}}},
			LoadBalancers: []ecs.LoadBalancer{{TargetGroupArn: new(group)}}}
		row.Services.Put(tx, row.Service{Scope: sc, ARN: arn, Name: "s", Cluster: "cluster/c",
			Status: row.ServiceActive, DesiredCount: 2, Spec: spec, Version: 1, ManagedTags: true,
			PropagateTags: ecs.PropagateTagsTASKDEFINITION})
		row.Deployments.Put(tx, row.Deployment{Service: arn, ID: "ecs-svc/1", Spec: spec,
			Status: row.DeploymentPrimary, Record: "record", CreatedAt: b.now,
			RolloutState: ecs.DeploymentRolloutStateINPROGRESS})
		row.ServiceDeployments.Put(tx, row.ServiceDeployment{ARN: "record", Service: arn,
			Status: ecs.ServiceDeploymentStatusPENDING})
	})
	return b
}

// restart puts a new controller in place of the old.
func (b *bench) restart() {
	b.Controller = New(Config{Store: b.store, Logger: slog.New(slog.DiscardHandler),
		Now: func() time.Time { return b.now },
		NewID: func() string {
			b.ids++
			return "id" + strconv.Itoa(b.ids)
		}})
}

func (b *bench) update(fn func(tx *state.Tx)) {
	b.t.Helper()
	statetest.Update(b.t, b.store, fn)
}

// plan makes the service due and plans until nothing changes any more.
func (b *bench) plan() {
	b.t.Helper()
	for {
		before := b.store.View().Revision()
		b.Touch(arn)
		b.Reconcile(b.t.Context())
		if b.store.View().Revision() == before {
			return
		}
	}
}

// run makes every kept task RUNNING, with a target of the given state.
func (b *bench) run(health string) {
	b.t.Helper()
	b.update(func(tx *state.Tx) {
		for t := range row.Tasks.By(tx, "live", arn) {
			target := row.Target{TargetGroup: group, ID: t.ID, Port: 80}
			t.LastStatus, t.StartedAt, t.Registered = row.TaskRunning, new(b.now), []row.Target{target}
			row.Tasks.Put(tx, t)
			row.TargetHealths.Put(tx, row.TargetHealth{TargetGroup: group, ID: t.ID, Port: 80, State: health})
		}
	})
}

func (b *bench) events() (texts []string) {
	for e := range row.ServiceEvents.Scan(b.store.View(), arn+"|") {
		texts = append(texts, e.Message)
	}
	return texts
}

func TestServiceStarts(t *testing.T) {
	b := newBench(t)
	b.plan()
	tasks := slices.Collect(row.Tasks.By(b.store.View(), "service", arn))
	if len(tasks) != 2 {
		t.Fatalf("%d tasks", len(tasks))
	}
	task := tasks[0]
	if task.ARN != "arn:aws:ecs:r:1:task/c/id1" || task.Group != "service:s" || task.Zone != "ra" ||
		task.StartedBy != "ecs-svc/1" || task.Network.Subnet != "subnet-a" ||
		task.LastStatus != row.TaskProvisioning || len(task.LoadBalancers) != 1 {
		t.Errorf("task %+v", task)
	}
	wanted := row.Tags{"td": "1", "aws:ecs:clusterName": "c", "aws:ecs:serviceName": "s"}
	if len(task.Tags) != 3 || task.Tags["td"] != "1" || task.Tags["aws:ecs:serviceName"] != "s" {
		t.Errorf("tags %v, want %v", task.Tags, wanted)
	}
	b.run(string(elbv2.TargetHealthStateEnumHealthy))
	b.plan()
	view := b.store.View()
	if d, _ := row.Deployments.Get(view, arn+"|ecs-svc/1"); d.RolloutState != "COMPLETED" {
		t.Errorf("rollout %s", d.RolloutState)
	}
	if d, _ := row.ServiceDeployments.Get(view, "record"); d.Status != "SUCCESSFUL" || d.FinishedAt == nil {
		t.Errorf("record %+v", d)
	}
	wantEvents := []string{
		"(service s) has started 2 tasks: (task id1) (task id2).",
		"(service s) registered 2 targets in (target-group " + group + ")",
		"(service s) (deployment ecs-svc/1) deployment completed.",
		"(service s) has reached a steady state.",
	}
	if got := b.events(); !slices.Equal(got, wantEvents) {
		t.Errorf("events:\n%s", strings.Join(got, "\n"))
	}
}

// TestRestartTellsNothingTwice: whatever a controller knew is in rows.
func TestRestartTellsNothingTwice(t *testing.T) {
	b := newBench(t)
	b.plan()
	b.restart()
	b.run(string(elbv2.TargetHealthStateEnumHealthy))
	b.plan()
	before, revision := b.events(), b.store.View().Revision()
	b.restart()
	b.plan()
	if got := b.events(); !slices.Equal(got, before) || b.store.View().Revision() != revision {
		t.Errorf("events after a restart:\n%s", strings.Join(got, "\n"))
	}
}

func TestStalePlanIsNotPerformed(t *testing.T) {
	b := newBench(t)
	in, _ := gather(b.store.View(), arn)
	in.Now, in.NewID = b.now, b.cfg.NewID
	p := plan.Service(in)
	b.update(func(tx *state.Tx) {
		svc, _ := row.Services.Get(tx, arn)
		svc.DesiredCount, svc.Version = 0, svc.Version+1
		row.Services.Put(tx, svc)
	})
	err := b.store.Update(t.Context(), func(tx *state.Tx) error { return perform(tx, in, p) })
	if err != errStale {
		t.Errorf("performing a stale plan: %v", err)
	}
	if n := row.Tasks.Len(b.store.View()); n != 0 {
		t.Errorf("%d tasks", n)
	}
}

// TestDeletedTargetGroup does not keep its tasks from being healthy.
func TestDeletedTargetGroup(t *testing.T) {
	b := newBench(t)
	b.plan()
	b.run("initial")
	b.update(func(tx *state.Tx) {
		row.TargetGroups.Delete(tx, group)
		for h := range row.TargetHealths.Scan(tx, group) {
			row.TargetHealths.Delete(tx, h.Key())
		}
	})
	b.plan()
	if m, _ := row.Schedulings.Get(b.store.View(), arn); !m.Steady {
		t.Errorf("not steady: %v", b.events())
	}
}

func TestHundredEventsAreKept(t *testing.T) {
	b := newBench(t)
	in, _ := gather(b.store.View(), arn)
	for n := range 130 {
		in.Memory, _ = row.Schedulings.Get(b.store.View(), arn)
		p := plan.Plan{Memory: in.Memory, Events: []string{strconv.Itoa(n)}}
		p.Memory.Service = arn
		b.update(func(tx *state.Tx) {
			if err := perform(tx, in, p); err != nil {
				t.Error(err)
			}
		})
	}
	if got := b.events(); len(got) != row.MaxServiceEvents || got[0] != "30" || got[99] != "129" {
		t.Errorf("%d events, from %s to %s", len(got), got[0], got[len(got)-1])
	}
}

func TestDeletedServiceIsForgottenLater(t *testing.T) {
	b := newBench(t)
	b.update(func(tx *state.Tx) {
		svc, _ := row.Services.Get(tx, arn)
		svc.Status, svc.DesiredCount, svc.Version = row.ServiceDraining, 0, 2
		row.Services.Put(tx, svc)
	})
	b.plan()
	svc, _ := row.Services.Get(b.store.View(), arn)
	if svc.Status != row.ServiceInactive || row.Deployments.Len(b.store.View()) != 0 {
		t.Fatalf("status %s", svc.Status)
	}
	b.now = b.now.Add(2 * time.Hour)
	b.plan()
	view := b.store.View()
	left := row.Services.Len(view) + row.Schedulings.Len(view) + row.ServiceDeployments.Len(view) +
		row.ServiceEvents.Len(view)
	if left != 0 {
		t.Errorf("%d rows left of a forgotten service", left)
	}
}

// TestRun drives the loop by changes of rows alone.
func TestRun(t *testing.T) {
	b := newBench(t)
	c := New(Config{Store: b.store, Logger: slog.New(slog.DiscardHandler), Now: time.Now})
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- c.Run(ctx) }()
	watcher := b.store.Watch(row.Tasks, row.Schedulings)
	defer watcher.Close()
	until := func(done func(r state.Reader) bool) {
		t.Helper()
		wait, stop := context.WithTimeout(t.Context(), 10*time.Second)
		defer stop()
		for !done(b.store.View()) {
			if _, _, err := watcher.Next(wait); err != nil {
				t.Fatal(err)
			}
		}
	}
	until(func(r state.Reader) bool { return row.Tasks.Len(r) == 2 })
	b.now = time.Now()
	b.run(string(elbv2.TargetHealthStateEnumHealthy))
	until(func(r state.Reader) bool {
		m, _ := row.Schedulings.Get(r, arn)
		return m.Steady
	})
	cancel()
	<-ended
}

func TestAlarms(t *testing.T) {
	a, start := newAlarms(), time.Unix(0, 0)
	at := func(s int) time.Time { return start.Add(time.Duration(s) * time.Second) }
	a.set("a", at(5))
	a.set("b", at(3))
	a.set("a", at(1)) // earlier wins
	a.set("b", at(9)) // later does not
	a.set("c", time.Time{})
	if first, ok := a.first(); !ok || !first.Equal(at(1)) {
		t.Errorf("first at %v", first)
	}
	if due := a.take(at(4)); !slices.Equal(due, []string{"a", "b"}) {
		t.Errorf("due: %v", due)
	}
	if due := a.take(at(100)); due != nil {
		t.Errorf("due again: %v", due)
	}
	a.set("a", at(7))
	if due := a.take(at(7)); !slices.Equal(due, []string{"a"}) {
		t.Errorf("due: %v", due)
	}
}

// TestAlarmWakesItsServices: those whose deployments it watches, and their plan sees its state.
func TestAlarmWakesItsServices(t *testing.T) {
	b := newBench(t)
	sc := row.Scope{Account: "1", Region: "r"}
	b.update(func(tx *state.Tx) {
		svc, _ := row.Services.Get(tx, arn)
		svc.Configuration.Alarms = &ecs.DeploymentAlarms{AlarmNames: []string{"a", "none"}, Enable: new(true)}
		row.Services.Put(tx, svc)
		row.Alarms.Put(tx, row.Alarm{Scope: sc, ARN: row.AlarmARN(sc, "a"), Name: "a",
			State: row.AlarmState{Value: "ALARM"}})
	})
	view := b.store.View()
	for name, want := range map[string][]string{"a": {arn}, "none": {arn}, "other": nil} {
		change := state.Change{Table: row.Alarms.Name(), Key: row.AlarmARN(sc, name)}
		if got := concerned(view, change); !slices.Equal(got, want) {
			t.Errorf("%s concerns %v, want %v", name, got, want)
		}
	}
	in, _ := gather(view, arn)
	if len(in.Alarms) != 1 || !in.Alarms[0].Firing || in.Alarms[0].Name != "a" {
		t.Errorf("the plan sees %+v", in.Alarms)
	}
}
