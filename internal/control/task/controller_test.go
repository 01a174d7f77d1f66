package task

import (
	"context"
	"log/slog"
	"net/netip"
	"slices"
	"sync"
	"testing"
	"time"

	"fairlead/internal/api/ecs"
	"fairlead/internal/eni"
	"fairlead/internal/node"
	"fairlead/internal/row"
	"fairlead/internal/runtime"
	"fairlead/internal/runtime/fake"
	"fairlead/internal/state"
	"fairlead/internal/state/statetest"
)

var scope = row.Scope{Account: "123456789012", Region: "eu-west-1"}

const (
	definition  = "arn:aws:ecs:eu-west-1:123456789012:task-definition/web:1"
	cluster     = "arn:aws:ecs:eu-west-1:123456789012:cluster/c"
	targetGroup = "arn:aws:elasticloadbalancing:eu-west-1:123456789012:targetgroup/web/1"
	theID       = "0123456789abcdef0123456789abcdef"
	taskARN     = "arn:aws:ecs:eu-west-1:123456789012:task/c/" + theID
	// patience is how long a test waits for a status; none is timed.
	patience = 10 * time.Second
)

// world is a controller over a real store and a fake runtime, with stand-ins for the network and the
// balancer controller.
type world struct {
	t       *testing.T
	store   *state.Store
	runtime *fake.Runtime
	stop    func()

	mu       sync.Mutex // guards what follows
	statuses []string   // that the task went through
	drain    bool       // the balancer deletes targets that drain
}

func newWorld(t *testing.T, containers ...ecs.ContainerDefinition) *world {
	t.Helper()
	w := &world{t: t, store: statetest.Open(t, row.Tables()...), runtime: fake.New(), drain: true}
	t.Cleanup(w.runtime.Close)
	if _, err := eni.EnsurePool(t.Context(), w.store, netip.MustParsePrefix("127.77.0.0/16")); err != nil {
		t.Fatal(err)
	}
	statetest.Update(t, w.store, func(tx *state.Tx) {
		row.VPCs.Put(tx, row.VPC{Scope: scope, ID: "vpc-1", CIDRs: []row.VPCCIDR{{CIDR: netip.MustParsePrefix("10.0.0.0/16")}}})
		row.Subnets.Put(tx, row.Subnet{Scope: scope, ID: "subnet-1", VPC: "vpc-1", CIDR: netip.MustParsePrefix("10.0.0.0/24"), Zone: "eu-west-1a"})
		row.SecurityGroups.Put(tx, row.SecurityGroup{Scope: scope, ID: "sg-1", VPC: "vpc-1", Name: "default"})
		row.TargetGroups.Put(tx, row.TargetGroup{Scope: scope, ARN: targetGroup})
		row.TaskDefinitions.Put(tx, row.TaskDefinition{Scope: scope, ARN: definition, Definition: ecs.TaskDefinition{
			Family: new("web"), Revision: new(int32(1)), ContainerDefinitions: containers,
		}})
	})
	w.background(w.observe)
	w.launch()
	return w
}

// background runs fn until the test ends.
func (w *world) background(fn func(ctx context.Context)) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); fn(ctx) }()
	w.t.Cleanup(func() { cancel(); <-done })
}

// launch starts a controller, as a start of Fairlead would.
func (w *world) launch() {
	n := node.New(node.Config{
		Runtime: w.runtime, Dir: w.t.TempDir(), NetNS: func(eni string) string { return "/ns/" + eni },
		Logger: slog.New(slog.DiscardHandler), Now: time.Now,
	})
	c := New(Config{Store: w.store, Node: n, Logger: slog.New(slog.DiscardHandler), Now: time.Now})
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); c.Run(ctx) }()
	w.stop = sync.OnceFunc(func() { cancel(); <-done })
	w.t.Cleanup(w.stop)
}

// observe plays the network and the balancer controller and notes the statuses that it sees.
func (w *world) observe(ctx context.Context) {
	watcher := w.store.Watch(row.Tasks, row.NetworkInterfaces, row.Targets)
	defer watcher.Close()
	for {
		view, _, err := watcher.Next(ctx)
		if err != nil {
			return
		}
		if task, ok := row.Tasks.Get(view, taskARN); ok {
			w.note(task.LastStatus)
		}
		w.store.Update(ctx, func(tx *state.Tx) error {
			for nic := range row.NetworkInterfaces.Scan(tx, "") {
				nic.Ready = true
				row.NetworkInterfaces.Put(tx, nic)
			}
			for target := range row.Targets.Scan(tx, "") {
				if target.DrainingSince != nil && w.drains() {
					row.Targets.Delete(tx, target.Key())
				}
			}
			return nil
		})
	}
}

func (w *world) drains() bool { w.mu.Lock(); defer w.mu.Unlock(); return w.drain }

func (w *world) note(status string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.statuses) == 0 || w.statuses[len(w.statuses)-1] != status {
		w.statuses = append(w.statuses, status)
	}
}

// run creates the task.
func (w *world) run(change func(*row.Task)) {
	w.t.Helper()
	task := row.Task{
		Scope: scope, ARN: taskARN, ID: theID, Cluster: cluster, TaskDefinition: definition,
		Group: "family:web", CPU: "256", Memory: "512", Zone: "eu-west-1a",
		Network:       &row.TaskNetwork{Subnet: "subnet-1", SecurityGroups: []string{"sg-1"}},
		DesiredStatus: row.TaskRunning, LastStatus: row.TaskProvisioning, CreatedAt: time.Now(),
	}
	if change != nil {
		change(&task)
	}
	statetest.Update(w.t, w.store, func(tx *state.Tx) { row.Tasks.Put(tx, task) })
}

// behind puts the task's app container behind the target group.
func behind(t *row.Task) {
	t.LoadBalancers = []ecs.LoadBalancer{{
		TargetGroupArn: new(targetGroup), ContainerName: new("app"), ContainerPort: new(int32(80)),
	}}
}

// change edits the task as its service or StopTask would.
func (w *world) change(edit func(*row.Task)) {
	w.t.Helper()
	statetest.Update(w.t, w.store, func(tx *state.Tx) {
		task, _ := row.Tasks.Get(tx, taskARN)
		edit(&task)
		row.Tasks.Put(tx, task)
	})
}

// await waits until the task meets the condition.
func (w *world) await(what string, met func(row.Task) bool) row.Task {
	w.t.Helper()
	return w.awaitTask(taskARN, what, met)
}

func (w *world) awaitTask(arn, what string, met func(row.Task) bool) row.Task {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.t.Context(), patience)
	defer cancel()
	watcher := w.store.Watch(row.Tasks)
	defer watcher.Close()
	for {
		view, _, err := watcher.Next(ctx)
		if err != nil {
			task, _ := row.Tasks.Get(w.store.View(), arn)
			w.t.Fatalf("waiting for %s: %v; the task is %s, reason %q", what, err, task.LastStatus, task.StoppedReason)
		}
		if task, ok := row.Tasks.Get(view, arn); ok && met(task) {
			return task
		}
	}
}

func (w *world) awaitStatus(status string) row.Task {
	w.t.Helper()
	return w.await(status, func(t row.Task) bool { return t.LastStatus == status })
}

// nothingLeft checks that a stopped task left nothing behind.
func (w *world) nothingLeft() {
	w.t.Helper()
	list, err := w.runtime.List(w.t.Context())
	if err != nil || len(list) > 0 {
		w.t.Errorf("containers left: %v, %v", list, err)
	}
	groups, err := w.runtime.ListGroups(w.t.Context())
	if err != nil || len(groups) > 0 {
		w.t.Errorf("cgroups left: %v, %v", groups, err)
	}
	for nic := range row.NetworkInterfaces.Scan(w.store.View(), "") {
		w.t.Errorf("interface left: %s", nic.ID)
	}
	for target := range row.Targets.Scan(w.store.View(), "") {
		w.t.Errorf("target left: %s", target.Key())
	}
}

func app() ecs.ContainerDefinition {
	return ecs.ContainerDefinition{Name: new("app"), Image: new("fairlead/hello")}
}

func stopped(t *row.Task) {
	t.DesiredStatus, t.StopCode, t.StoppedReason = row.TaskStopped, ecs.TaskStopCodeUserInitiated, "enough"
}

func TestLifeOfATask(t *testing.T) {
	w := newWorld(t, app())
	w.run(behind)
	task := w.awaitStatus(row.TaskRunning)
	if task.StartedAt == nil || task.PullStoppedAt == nil || task.ConnectivityAt == nil {
		t.Errorf("times are missing: %+v", task)
	}
	if task.Attachment.Address != "10.0.0.4" || task.Attachment.Status != "ATTACHED" {
		t.Errorf("attachment %+v, want the first free address, ATTACHED", task.Attachment)
	}
	target, ok := row.Targets.Get(w.store.View(), row.TargetKey(targetGroup, "10.0.0.4", 80))
	if !ok || len(task.Registered) != 1 {
		t.Errorf("target %+v registered: %v, noted %v", target, ok, task.Registered)
	}
	group, _ := w.runtime.Group(theID)
	if group.CPU != 256 || group.Memory != 512 {
		t.Errorf("cgroup %+v, want 256 units and 512 MiB", group)
	}
	w.change(stopped)
	task = w.awaitStatus(row.TaskStopped)
	if task.StopCode != ecs.TaskStopCodeUserInitiated || task.StoppedReason != "enough" || task.StoppedAt == nil {
		t.Errorf("stopped as %s %q at %v", task.StopCode, task.StoppedReason, task.StoppedAt)
	}
	if task.Containers[0].LastStatus != "STOPPED" || task.Containers[0].ExitCode == nil {
		t.Errorf("container %+v, want STOPPED with an exit code", task.Containers[0])
	}
	if task.Version > 30 {
		t.Errorf("the task was written %d times: some step writes what has not changed", task.Version)
	}
	w.nothingLeft()
	w.mu.Lock()
	defer w.mu.Unlock()
	if !inOrder(w.statuses) {
		t.Errorf("statuses %v are not in ECS's order", w.statuses)
	}
}

// inOrder tells whether the statuses only go forward.
func inOrder(statuses []string) bool {
	order := []string{row.TaskProvisioning, row.TaskPending, row.TaskActivating, row.TaskRunning,
		row.TaskDeactivating, row.TaskStopping, row.TaskDeprovisioning, row.TaskStopped}
	return slices.IsSortedFunc(statuses, func(a, b string) int {
		return slices.Index(order, a) - slices.Index(order, b)
	})
}

func TestEssentialContainerExits(t *testing.T) {
	w := newWorld(t, app())
	w.run(nil)
	task := w.awaitStatus(row.TaskRunning)
	if err := w.runtime.Exit(task.Containers[0].RuntimeID, 3); err != nil {
		t.Fatal(err)
	}
	task = w.awaitStatus(row.TaskStopped)
	if task.StopCode != ecs.TaskStopCodeEssentialContainerExited ||
		task.StoppedReason != "Essential container in task exited" || *task.Containers[0].ExitCode != 3 {
		t.Errorf("stopped as %s %q with code %d", task.StopCode, task.StoppedReason, *task.Containers[0].ExitCode)
	}
	w.nothingLeft()
}

func TestOutOfMemory(t *testing.T) {
	w := newWorld(t, app())
	w.run(nil)
	task := w.awaitStatus(row.TaskRunning)
	if err := w.runtime.OOM(task.Containers[0].RuntimeID); err != nil {
		t.Fatal(err)
	}
	c := w.awaitStatus(row.TaskStopped).Containers[0]
	if *c.ExitCode != 137 || c.Reason != "OutOfMemoryError: Container killed due to memory usage" {
		t.Errorf("container stopped with %d, %q", *c.ExitCode, c.Reason)
	}
}

func TestImageCannotBePulled(t *testing.T) {
	w := newWorld(t, ecs.ContainerDefinition{Name: new("app"), Image: new("nobody/nothing")})
	w.run(nil)
	task := w.awaitStatus(row.TaskStopped)
	if task.StopCode != ecs.TaskStopCodeTaskFailedToStart || task.StartedAt != nil ||
		len(task.StoppedReason) < 24 || task.StoppedReason[:24] != "CannotPullContainerError" {
		t.Errorf("stopped as %s %q", task.StopCode, task.StoppedReason)
	}
	if got := task.Containers[0].Reason; got != task.StoppedReason {
		t.Errorf("the container's reason is %q, want the task's, %q", got, task.StoppedReason)
	}
	w.nothingLeft()
}

func TestSubnetIsFullOrGone(t *testing.T) {
	w := newWorld(t, app())
	w.run(func(t *row.Task) { t.Network = &row.TaskNetwork{Subnet: "subnet-2"} })
	task := w.awaitStatus(row.TaskStopped)
	if task.StopCode != ecs.TaskStopCodeTaskFailedToStart || task.ENI != "" {
		t.Errorf("stopped as %s %q with interface %q", task.StopCode, task.StoppedReason, task.ENI)
	}
	w.nothingLeft()
}

func TestContainersRunOnUntilTargetsAreDrained(t *testing.T) {
	w := newWorld(t, app())
	w.mu.Lock()
	w.drain = false
	w.mu.Unlock()
	w.run(behind)
	task := w.awaitStatus(row.TaskRunning)
	w.change(stopped)
	w.awaitStatus(row.TaskDeactivating)
	key := task.Registered[0].Key()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	watcher := w.store.Watch(row.Targets)
	defer watcher.Close()
	for {
		view, _, err := watcher.Next(ctx)
		if err != nil {
			t.Fatal("the target never began to drain")
		}
		if target, ok := row.Targets.Get(view, key); ok && target.DrainingSince != nil {
			break
		}
	}
	status, err := w.runtime.Status(t.Context(), task.Containers[0].RuntimeID)
	if err != nil || status.Phase != runtime.Running {
		t.Errorf("while the target drains the container is %v, %v", status.Phase, err)
	}
	statetest.Update(t, w.store, func(tx *state.Tx) { row.Targets.Delete(tx, key) })
	w.awaitStatus(row.TaskStopped)
	w.nothingLeft()
}

func TestARestartTakesTheTaskUp(t *testing.T) {
	w := newWorld(t, app())
	w.run(behind)
	task := w.awaitStatus(row.TaskRunning)
	w.stop()
	before, err := w.runtime.Status(t.Context(), task.Containers[0].RuntimeID)
	if err != nil || before.Phase != runtime.Running {
		t.Fatalf("without a controller the container is %v, %v", before.Phase, err)
	}
	w.launch()
	w.change(stopped)
	w.awaitStatus(row.TaskStopped)
	w.nothingLeft()
}

func TestATaskThatDiedMeanwhileIsNoticed(t *testing.T) {
	w := newWorld(t, app())
	w.run(nil)
	task := w.awaitStatus(row.TaskRunning)
	w.stop()
	if err := w.runtime.Exit(task.Containers[0].RuntimeID, 42); err != nil {
		t.Fatal(err)
	}
	w.launch()
	if c := w.awaitStatus(row.TaskStopped).Containers[0]; *c.ExitCode != 42 {
		t.Errorf("exit code %d, want 42", *c.ExitCode)
	}
}

func TestSidecarMayExit(t *testing.T) {
	side := ecs.ContainerDefinition{Name: new("init"), Image: new("fairlead/hello"), Essential: new(false),
		Command: []string{"--exit", "0"}}
	main := app()
	main.DependsOn = []ecs.ContainerDependency{{ContainerName: new("init"), Condition: ecs.ContainerConditionSUCCESS}}
	w := newWorld(t, main, side)
	w.run(nil)
	task := w.awaitStatus(row.TaskRunning)
	if s := task.Containers[1]; s.LastStatus != "STOPPED" || *s.ExitCode != 0 {
		t.Errorf("init container %+v, want STOPPED with 0", s)
	}
	if s := task.Containers[0]; s.LastStatus != "RUNNING" {
		t.Errorf("app container %+v, want RUNNING", s)
	}
}

func TestARowRemovedUnderATaskRemovesItsContainers(t *testing.T) {
	w := newWorld(t, app())
	w.run(nil)
	w.awaitStatus(row.TaskRunning)
	if err := w.store.Reset(t.Context()); err != nil {
		t.Fatal(err)
	}
	deadline := time.Now().Add(patience)
	for {
		list, err := w.runtime.List(t.Context())
		if err == nil && len(list) == 0 {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("still there: %v, %v", list, err)
		}
		time.Sleep(time.Millisecond)
	}
}
