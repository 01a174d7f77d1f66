package plan

import (
	"reflect"
	"testing"
	"testing/quick"
	"time"

	"fairlead/internal/api/ecs"
	"fairlead/internal/row"
)

func TestBounds(t *testing.T) {
	for _, c := range []struct{ desired, low, high, lower, upper int }{
		{4, 50, 200, 2, 8}, {2, 75, 200, 2, 4}, {4, 100, 200, 4, 8}, {3, 100, 125, 3, 3},
		{1, 100, 100, 1, 1}, {3, 50, 150, 2, 4}, {0, 100, 200, 0, 0}, {1, 0, 100, 0, 1},
	} {
		got := BoundsOf(c.desired, ecs.DeploymentConfiguration{
			MinimumHealthyPercent: new(int32(c.low)), MaximumPercent: new(int32(c.high)),
		})
		if want := (Bounds{c.desired, c.lower, c.upper}); got != want {
			t.Errorf("%d tasks at %d/%d: %+v, want %+v", c.desired, c.low, c.high, got, want)
		}
	}
}

func TestThrottle(t *testing.T) {
	for failures, want := range map[int]time.Duration{
		1: time.Second, 2: 2 * time.Second, 5: 16 * time.Second, 10: 512 * time.Second,
		11: maxThrottle, 1000: maxThrottle,
	} {
		if got := throttle(failures, maxThrottle); got != want {
			t.Errorf("after %d failures: %v, want %v", failures, got, want)
		}
	}
	if got := throttle(9, maxPace); got != maxPace {
		t.Errorf("a crash is waited for %v", got)
	}
}

// TestHealth is the table of what makes a task count as healthy, and when.
func TestHealth(t *testing.T) {
	now := time.Date(2026, 7, 1, 12, 0, 0, 0, time.UTC)
	const none, checked = false, true
	for _, c := range []struct {
		name    string
		status  string
		age     time.Duration // since RUNNING
		targets []string      // states of what is registered; "" is not known yet
		checked bool
		health  ecs.HealthStatus
		grace   time.Duration
		want    Health
		until   time.Duration // from now
	}{
		{"pending", row.TaskPending, 0, nil, none, "", 0, Starting, 0},
		{"young", row.TaskRunning, 10 * time.Second, nil, none, "", 0, Waiting, 30 * time.Second},
		{"settled", row.TaskRunning, 40 * time.Second, nil, none, "", 0, Healthy, 0},
		{"target initial", row.TaskRunning, time.Hour, []string{"initial"}, none, "", 0, Waiting, 0},
		{"target unknown", row.TaskRunning, time.Hour, []string{""}, none, "", 0, Waiting, 0},
		{"target unused", row.TaskRunning, time.Hour, []string{"unused"}, none, "", 0, Waiting, 0},
		{"target healthy", row.TaskRunning, time.Second, []string{"healthy"}, none, "", 0, Healthy, 0},
		{"one of two", row.TaskRunning, time.Second, []string{"healthy", "initial"}, none, "", 0, Waiting, 0},
		{"one of two bad", row.TaskRunning, time.Second, []string{"healthy", "unhealthy"}, none, "", 0, Unhealthy, 0},
		{"in grace", row.TaskRunning, time.Second, []string{"unhealthy"}, none, "", 9 * time.Second, Waiting, 8 * time.Second},
		{"after grace", row.TaskRunning, 9 * time.Second, []string{"unhealthy"}, none, "", 9 * time.Second, Unhealthy, 0},
		{"healthy in grace", row.TaskRunning, time.Second, []string{"healthy"}, none, "", time.Hour, Healthy, 0},
		{"container unknown", row.TaskRunning, time.Hour, nil, checked, "UNKNOWN", 0, Waiting, 0},
		{"container healthy", row.TaskRunning, time.Second, nil, checked, "HEALTHY", 0, Healthy, 0},
		{"container bad", row.TaskRunning, time.Second, nil, checked, "UNHEALTHY", 0, Unhealthy, 0},
		{"container in grace", row.TaskRunning, time.Second, nil, checked, "UNHEALTHY", 3 * time.Second, Waiting, 2 * time.Second},
		{"target without container", row.TaskRunning, time.Hour, []string{"healthy"}, checked, "UNKNOWN", 0, Waiting, 0},
		{"both", row.TaskRunning, time.Second, []string{"healthy"}, checked, "HEALTHY", 0, Healthy, 0},
		{"image check does not count", row.TaskRunning, time.Hour, nil, none, "UNHEALTHY", 0, Healthy, 0},
	} {
		task := Task{Task: row.Task{LastStatus: c.status, HealthStatus: string(c.health)}}
		if c.status == row.TaskRunning {
			task.StartedAt = new(now.Add(-c.age))
		}
		for _, state := range c.targets {
			task.Registered = append(task.Registered, row.Target{})
			if state != "" {
				task.Targets = append(task.Targets, row.TargetHealth{State: state})
			}
		}
		got := judgeTask(task, c.checked, c.grace, now)
		var until time.Duration
		if !got.until.IsZero() {
			until = got.until.Sub(now)
		}
		if got.health != c.want || until != c.until {
			t.Errorf("%s: %v until %v, want %v until %v", c.name, got.health, until, c.want, c.until)
		}
	}
}

func TestPlaceSpreads(t *testing.T) {
	subnets := []Subnet{{"a1", "a"}, {"a2", "a"}, {"b1", "b"}, {"c1", "c"}}
	used := NewUsage()
	for range 12 {
		used.Add(Place(subnets, used))
	}
	if want := map[string]int{"a": 4, "b": 4, "c": 4}; !reflect.DeepEqual(used.Zones, want) {
		t.Errorf("zones %v", used.Zones)
	}
	if used.Subnets["a1"] != 2 || used.Subnets["a2"] != 2 {
		t.Errorf("subnets %v", used.Subnets)
	}
}

func TestProvider(t *testing.T) {
	item := func(name string, base, weight int32) ecs.CapacityProviderStrategyItem {
		return ecs.CapacityProviderStrategyItem{CapacityProvider: &name, Base: &base, Weight: &weight}
	}
	for _, c := range []struct {
		strategy []ecs.CapacityProviderStrategyItem
		tasks    int
		want     map[string]int
	}{
		{nil, 3, map[string]int{"": 3}},
		{[]ecs.CapacityProviderStrategyItem{item("F", 0, 1)}, 3, map[string]int{"F": 3}},
		{[]ecs.CapacityProviderStrategyItem{item("F", 2, 1), item("S", 0, 4)}, 12, map[string]int{"F": 4, "S": 8}},
		{[]ecs.CapacityProviderStrategyItem{item("F", 2, 0), item("S", 0, 1)}, 5, map[string]int{"F": 2, "S": 3}},
	} {
		got := map[string]int{}
		for range c.tasks {
			got[Provider(c.strategy, got)]++
		}
		if !reflect.DeepEqual(got, c.want) {
			t.Errorf("%d tasks: %v, want %v", c.tasks, got, c.want)
		}
	}
}

// TestSpreadProperty: however many tasks and zones there are, no zone has two more than another.
func TestSpreadProperty(t *testing.T) {
	even := func(tasks, zones uint8) bool {
		var subnets []Subnet
		for i := range 1 + zones%6 {
			subnets = append(subnets, Subnet{ID: string('a' + rune(i)), Zone: string('a' + rune(i))})
		}
		used := NewUsage()
		for range tasks {
			used.Add(Place(subnets, used))
		}
		low, high := int(tasks), 0
		for _, s := range subnets {
			low, high = min(low, used.Zones[s.Zone]), max(high, used.Zones[s.Zone])
		}
		return high-low <= 1
	}
	if err := quick.Check(even, nil); err != nil {
		t.Error(err)
	}
}

// TestBoundsProperty: the minimum is never above the maximum, and neither leaves what the
// percentages allow.
func TestBoundsProperty(t *testing.T) {
	sane := func(desired uint8, low, high uint8) bool {
		l, h := int32(low%101), 100+int32(high)
		b := BoundsOf(int(desired), ecs.DeploymentConfiguration{
			MinimumHealthyPercent: &l, MaximumPercent: &h,
		})
		return b.Lower <= b.Desired && b.Desired <= b.Upper &&
			b.Lower*100 >= b.Desired*int(l) && b.Upper*100 <= b.Desired*int(h)
	}
	if err := quick.Check(sane, nil); err != nil {
		t.Error(err)
	}
}

func TestTaskTags(t *testing.T) {
	got := TaskTags(row.Tags{"a": "own"}, row.Tags{"a": "far", "b": "far"}, true, "c", "")
	want := row.Tags{"a": "own", "b": "far", "aws:ecs:clusterName": "c"}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
}

// TestUnhealthyTasksHoldNoPlace: the zone that an unhealthy task leaves is the one that is thin.
func TestUnhealthyTasksHoldNoPlace(t *testing.T) {
	in := func(zone string, h Health) *task {
		return &task{Task: Task{Task: row.Task{Zone: zone}}, kept: true, verdict: verdict{health: h}}
	}
	p := &planner{primary: &deployment{tasks: []*task{in("a", Healthy), in("b", Unhealthy)}}}
	p.primary.Subnets = []Subnet{{ID: "one", Zone: "a"}, {ID: "two", Zone: "b"}}
	_, used := p.zones()
	if got := Place(p.primary.Subnets, used); got.Zone != "b" {
		t.Errorf("the replacement is placed in %s, want b", got.Zone)
	}
}
