package metamorphic

import (
	"context"
	"log/slog"
	"math/rand/v2"
	"net/netip"
	"sync"
	"testing"
	"time"

	"fairlead/internal/api/elbv2"
	"fairlead/internal/aws"
	controlservice "fairlead/internal/control/service"
	controltask "fairlead/internal/control/task"
	"fairlead/internal/eni"
	"fairlead/internal/event"
	"fairlead/internal/node"
	"fairlead/internal/row"
	"fairlead/internal/runtime/fake"
	"fairlead/internal/service/ecs"
	"fairlead/internal/state"
	"fairlead/internal/state/statetest"
)

var scope = row.Scope{Account: "123456789012", Region: "eu-west-1"}

// world is Fairlead without a machine: the API, both controllers of ECS over a real store, a fake
// runtime, and a stand-in for the network and the balancer controller.
type world struct {
	t       *testing.T
	ctx     context.Context // a caller's
	store   *state.Store
	runtime *fake.Runtime
	node    *node.Node
	api     *ecs.Service
	loops   []*loop
}

func newWorld(t *testing.T) *world {
	t.Helper()
	recorder := event.Recorder{Now: time.Now, Show: ecs.ShowTask}
	w := &world{
		t:       t,
		ctx:     aws.WithCaller(t.Context(), aws.Caller{Account: scope.Account, Region: scope.Region}),
		runtime: fake.New(),
		store: statetest.OpenWith(t, state.Config{Dir: t.TempDir(), Derive: recorder.Record},
			row.Tables()...),
	}
	t.Cleanup(w.runtime.Close)
	w.api = ecs.New(w.store, time.Now)
	w.node = node.New(node.Config{
		Runtime: w.runtime, Dir: t.TempDir(), NetNS: func(eni string) string { return "/ns/" + eni },
		Logger: slog.New(slog.DiscardHandler), Now: time.Now,
	})
	w.furnish()
	w.launch(w.surroundings)
	w.loops = []*loop{w.launch(w.serviceController), w.launch(w.taskController)}
	return w
}

// furnish makes what ECS finds there: two subnets, and a target group for every service.
func (w *world) furnish() {
	w.t.Helper()
	pool := netip.MustParsePrefix("127.77.0.0/16")
	if _, err := eni.EnsurePool(w.t.Context(), w.store, pool); err != nil {
		w.t.Fatal(err)
	}
	statetest.Update(w.t, w.store, func(tx *state.Tx) {
		row.VPCs.Put(tx, row.VPC{Scope: scope, ID: "vpc-1",
			CIDRs: []row.VPCCIDR{{CIDR: netip.MustParsePrefix("10.0.0.0/16")}}})
		row.Subnets.Put(tx, row.Subnet{Scope: scope, ID: "subnet-a", VPC: "vpc-1",
			CIDR: netip.MustParsePrefix("10.0.0.0/24"), Zone: "eu-west-1a"})
		row.Subnets.Put(tx, row.Subnet{Scope: scope, ID: "subnet-b", VPC: "vpc-1",
			CIDR: netip.MustParsePrefix("10.0.1.0/24"), Zone: "eu-west-1b"})
		row.SecurityGroups.Put(tx, row.SecurityGroup{Scope: scope, ID: "sg-1", VPC: "vpc-1"})
		for _, name := range serviceNames {
			arn := targetGroup(name)
			row.TargetGroups.Put(tx, row.TargetGroup{
				Scope: scope, ARN: arn, Name: name, VPC: "vpc-1", TargetType: "ip",
			})
			row.Rules.Put(tx, row.Rule{Scope: scope, ARN: "rule-" + name, LoadBalancer: "lb",
				Actions: []elbv2.Action{{ForwardConfig: &elbv2.ForwardActionConfig{
					TargetGroups: []elbv2.TargetGroupTuple{{TargetGroupArn: new(arn)}},
				}}}})
		}
	})
}

func targetGroup(name string) string {
	return scope.ARN("elasticloadbalancing", "targetgroup/"+name+"/0123456789abcdef")
}

// loop is a goroutine that can be ended and begun anew.
type loop struct {
	run  func(ctx context.Context)
	stop func()
}

// launch runs fn until the test ends.
func (w *world) launch(fn func(ctx context.Context)) *loop {
	l := &loop{run: fn}
	l.start()
	w.t.Cleanup(func() { l.stop() })
	return l
}

func (l *loop) start() {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); l.run(ctx) }()
	l.stop = sync.OnceFunc(func() { cancel(); <-done })
}

// restart takes the controllers away, together or one of them, and puts new ones in their place.
func (w *world) restart(random *rand.Rand) {
	chosen := w.loops
	if n := random.IntN(len(w.loops) + 1); n < len(w.loops) {
		chosen = w.loops[n : n+1]
	}
	for _, l := range chosen {
		l.stop()
	}
	for _, l := range chosen {
		l.start()
	}
}

func (w *world) serviceController(ctx context.Context) {
	controlservice.New(controlservice.Config{
		Store: w.store, Logger: slog.New(slog.DiscardHandler), Now: time.Now,
	}).Run(ctx)
}

func (w *world) taskController(ctx context.Context) {
	controltask.New(controltask.Config{
		Store: w.store, Node: w.node, Logger: slog.New(slog.DiscardHandler), Now: time.Now,
	}).Run(ctx)
}

// surroundings has every interface ready, every target healthy and every drained target gone.
func (w *world) surroundings(ctx context.Context) {
	watcher := w.store.Watch(row.NetworkInterfaces, row.Targets)
	defer watcher.Close()
	for {
		if _, _, err := watcher.Next(ctx); err != nil {
			return
		}
		w.store.Update(ctx, func(tx *state.Tx) error {
			for nic := range row.NetworkInterfaces.Scan(tx, "") {
				nic.Ready = true
				row.NetworkInterfaces.Put(tx, nic)
			}
			for target := range row.Targets.Scan(tx, "") {
				probe(tx, target)
			}
			return nil
		})
	}
}

func probe(tx *state.Tx, target row.Target) {
	if target.DrainingSince != nil {
		row.Targets.Delete(tx, target.Key())
		row.TargetHealths.Delete(tx, target.Key())
		return
	}
	row.TargetHealths.Put(tx, row.TargetHealth{
		TargetGroup: target.TargetGroup, ID: target.ID, Port: target.Port,
		State: string(elbv2.TargetHealthStateEnumHealthy), Since: target.RegisteredAt,
	})
}
