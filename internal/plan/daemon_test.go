package plan

import (
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"

	"fairlead/internal/api/ecs"
)

// node is an instance that a DAEMON service may use.
func node(arn string) Instance {
	return Instance{ARN: arn, AgentConnected: true, Free: Resources{CPU: 1024, Memory: 1024},
		Attributes: map[string]string{"name": arn}}
}

func TestDaemon(t *testing.T) {
	a, b, c := node("a"), node("b"), node("c")
	draining, offline, full := node("d"), node("o"), node("f")
	draining.Draining, offline.AgentConnected, full.Free.CPU = true, false, 0
	old := func(at string, h Health) DaemonTask { return DaemonTask{ARN: "old-" + at, Instance: at, Health: h} }
	now := func(at string, h Health) DaemonTask {
		return DaemonTask{ARN: "new-" + at, Instance: at, Current: true, Health: h}
	}
	stopping := old("a", Healthy)
	stopping.Stopping = true
	onlyB := []ecs.PlacementConstraint{{Type: ecs.PlacementConstraintTypeMemberOf,
		Expression: new("attribute:name == b")}}
	distinct := []ecs.PlacementConstraint{{Type: ecs.PlacementConstraintTypeDistinctInstance}}
	for _, test := range []struct {
		name        string
		instances   []Instance
		tasks       []DaemonTask
		minimum     int
		constraints []ecs.PlacementConstraint
		want        DaemonPlan
	}{
		{"no instances", nil, nil, 0, nil, DaemonPlan{}},
		{"one each", []Instance{a, b}, nil, 0, nil, DaemonPlan{Desired: 2, Starts: []string{"a", "b"}}},
		{"there already", []Instance{a, b}, []DaemonTask{now("a", Healthy)}, 0, nil,
			DaemonPlan{Desired: 2, Starts: []string{"b"}}},
		{"at rest", []Instance{a}, []DaemonTask{now("a", Healthy)}, 0, nil, DaemonPlan{Desired: 1}},
		{"starting", []Instance{a}, []DaemonTask{now("a", Starting)}, 100, nil, DaemonPlan{Desired: 1}},
		{"draining takes none", []Instance{a, draining}, nil, 0, nil,
			DaemonPlan{Desired: 1, Starts: []string{"a"}}},
		{"draining loses its own, whatever the minimum", []Instance{draining},
			[]DaemonTask{now("d", Healthy)}, 100, nil, DaemonPlan{Stops: []string{"new-d"}}},
		{"an instance is gone", []Instance{a}, []DaemonTask{now("x", Healthy), now("a", Healthy)}, 100, nil,
			DaemonPlan{Desired: 1, Stops: []string{"new-x"}}},
		{"constraint", []Instance{a, b}, []DaemonTask{now("a", Healthy)}, 0, onlyB,
			DaemonPlan{Desired: 1, Stops: []string{"new-a"}, Starts: []string{"b"}}},
		{"distinct is what it is anyway", []Instance{a}, []DaemonTask{now("a", Healthy)}, 0, distinct,
			DaemonPlan{Desired: 1}},
		{"no room", []Instance{a, full}, nil, 0, nil,
			DaemonPlan{Desired: 2, Starts: []string{"a"}, Unplaced: 1, Reason: "RESOURCE:CPU"}},
		{"no agent", []Instance{offline}, nil, 0, nil, DaemonPlan{Desired: 1, Unplaced: 1, Reason: "AGENT"}},
		{"two on one", []Instance{a}, []DaemonTask{old("a", Healthy), now("a", Waiting)}, 100, nil,
			DaemonPlan{Desired: 1, Stops: []string{"old-a"}}},
		{"update, minimum 0", []Instance{a, b}, []DaemonTask{old("a", Healthy), old("b", Healthy)}, 0, nil,
			DaemonPlan{Desired: 2, Stops: []string{"old-a", "old-b"}}},
		{"update, minimum 50", []Instance{a, b, c},
			[]DaemonTask{old("a", Healthy), old("b", Healthy), old("c", Healthy)}, 50, nil,
			DaemonPlan{Desired: 3, Stops: []string{"old-a"}}},
		{"the unhealthy goes first", []Instance{a, b},
			[]DaemonTask{old("a", Healthy), old("b", Unhealthy)}, 50, nil,
			DaemonPlan{Desired: 2, Stops: []string{"old-b"}}},
		{"the old must be STOPPED", []Instance{a}, []DaemonTask{stopping}, 0, nil, DaemonPlan{Desired: 1}},
		{"an unhealthy one is replaced", []Instance{a}, []DaemonTask{now("a", Unhealthy)}, 100, nil,
			DaemonPlan{Desired: 1, Stops: []string{"new-a"}}},
		{"update, minimum 100", []Instance{a, b}, []DaemonTask{old("a", Healthy), old("b", Healthy)}, 100,
			nil, DaemonPlan{Desired: 2}},
	} {
		got, err := Daemon(DaemonInput{
			Instances: test.instances, Tasks: test.tasks, MinimumHealthyPercent: test.minimum,
			Placement: Placement{Need: Resources{CPU: 256}, Constraints: test.constraints},
		})
		slices.Sort(got.Stops)
		if err != nil || !reflect.DeepEqual(got, test.want) {
			t.Errorf("%s: %+v %v, want %+v", test.name, got, err, test.want)
		}
	}
	bad := []ecs.PlacementConstraint{{Type: ecs.PlacementConstraintTypeMemberOf, Expression: new("(")}}
	if _, err := Daemon(DaemonInput{Placement: Placement{Constraints: bad}}); err == nil {
		t.Error("an invalid constraint is taken")
	}
}

// fleetOf simulates a DAEMON service on some instances.
type fleetOf struct {
	in    DaemonInput
	ready []string // tasks that become healthy in the next step
	ids   int
}

// step plans, holds the plan against what the scheduler promises, and performs it. Tasks that were
// asked to stop are STOPPED a step later, and those that were started are healthy then.
func (f *fleetOf) step(t *testing.T) (done bool) {
	p, err := Daemon(f.in)
	if err != nil {
		t.Fatal(err)
	}
	before := len(f.in.Tasks)
	f.in.Tasks = slices.DeleteFunc(f.in.Tasks, func(task DaemonTask) bool { return task.Stopping })
	changes := before - len(f.in.Tasks) + len(f.ready)
	left, per := 0, map[string]int{}
	for i := range f.in.Tasks {
		task := &f.in.Tasks[i]
		task.Stopping = slices.Contains(p.Stops, task.ARN)
		if task.Health == Healthy && !task.Stopping {
			left++
		}
		if slices.Contains(f.ready, task.ARN) {
			task.Health = Healthy
		}
		per[task.Instance]++
	}
	if lower := percentUp(p.Desired, f.in.MinimumHealthyPercent); len(p.Stops) > 0 && left < lower {
		t.Errorf("%d healthy tasks left of %d, below %d", left, p.Desired, lower)
	}
	f.ready = nil
	for _, instance := range p.Starts {
		f.ids++
		task := DaemonTask{ARN: fmt.Sprint(f.ids), Instance: instance, Current: true}
		f.in.Tasks, f.ready = append(f.in.Tasks, task), append(f.ready, task.ARN)
		if per[instance]++; per[instance] > 1 {
			t.Errorf("%d tasks on %s", per[instance], instance)
		}
	}
	return changes+len(p.Starts)+len(p.Stops) == 0
}

// TestDaemonUpdates rolls updates out over fleets of many sizes: never below the minimum, never two
// tasks on an instance, and each ends with a new task everywhere.
func TestDaemonUpdates(t *testing.T) {
	dice := rand.New(rand.NewPCG(1, 2))
	for range 200 {
		f := &fleetOf{in: DaemonInput{MinimumHealthyPercent: dice.IntN(100)}}
		for i := range 1 + dice.IntN(30) {
			f.in.Instances = append(f.in.Instances, node(fmt.Sprint("i", i)))
		}
		n := len(f.in.Instances)
		if percentUp(n, f.in.MinimumHealthyPercent) == n {
			f.in.MinimumHealthyPercent = 0 // else nothing could ever move
		}
		for range 3 {
			for i := range f.in.Tasks {
				f.in.Tasks[i].Current = false
			}
			for steps := 0; !f.step(t); steps++ {
				if steps > 10*n {
					t.Fatalf("%d instances at %d percent never come to rest", n, f.in.MinimumHealthyPercent)
				}
			}
			for _, task := range f.in.Tasks {
				if !task.Current || task.Health != Healthy {
					t.Fatalf("at rest with %+v", task)
				}
			}
			if len(f.in.Tasks) != n {
				t.Fatalf("%d tasks on %d instances", len(f.in.Tasks), n)
			}
		}
	}
}
