package node

import (
	"testing"
	"time"

	"fairlead/internal/api/ecs"
	"fairlead/internal/row"
)

// pairOf is a container "app" that depends on "dep" under a condition.
func pairOf(cond ecs.ContainerCondition, startTimeout *int32) []container {
	return []container{
		{index: 0, ContainerDefinition: ecs.ContainerDefinition{Name: new("dep"), StartTimeout: startTimeout}},
		{index: 1, ContainerDefinition: ecs.ContainerDefinition{Name: new("app"),
			DependsOn: []ecs.ContainerDependency{{ContainerName: new("dep"), Condition: cond}}}},
	}
}

func TestMayStart(t *testing.T) {
	start := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	running := row.TaskContainer{LastStatus: containerRunning, StartedAt: &start}
	exited := func(code int32) row.TaskContainer {
		return row.TaskContainer{LastStatus: containerStopped, ExitCode: &code}
	}
	withHealth := func(s row.TaskContainer, h string) row.TaskContainer { s.HealthStatus = h; return s }
	tests := []struct {
		name    string
		cond    ecs.ContainerCondition
		timeout *int32
		dep     row.TaskContainer
		after   time.Duration // since the dependency started
		now     bool
		never   bool
		recheck bool
	}{
		{"START waits for the dependency", "START", nil, row.TaskContainer{LastStatus: containerPending}, 0, false, false, false},
		{"START is met by a running one", "START", nil, running, 0, true, false, false},
		{"START is met by one that has stopped", "START", nil, exited(1), 0, true, false, false},
		{"COMPLETE waits for the exit", "COMPLETE", nil, running, 0, false, false, false},
		{"COMPLETE takes any code", "COMPLETE", nil, exited(7), 0, true, false, false},
		{"SUCCESS takes 0", "SUCCESS", nil, exited(0), 0, true, false, false},
		{"SUCCESS fails for good otherwise", "SUCCESS", nil, exited(1), 0, false, true, false},
		{"HEALTHY waits", "HEALTHY", nil, withHealth(running, unknown), 0, false, false, false},
		{"HEALTHY is met", "HEALTHY", nil, withHealth(running, healthy), 0, true, false, false},
		{"HEALTHY fails with an unhealthy one", "HEALTHY", nil, withHealth(running, unhealthy), 0, false, true, false},
		{"HEALTHY fails with a stopped one", "HEALTHY", nil, withHealth(exited(0), unknown), 0, false, true, false},
		{"startTimeout is waited for", "HEALTHY", new(int32(10)), withHealth(running, unknown), 9 * time.Second, false, false, true},
		{"startTimeout ends the wait", "HEALTHY", new(int32(10)), withHealth(running, unknown), 10 * time.Second, false, true, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			all := pairOf(tt.cond, tt.timeout)
			states := []row.TaskContainer{tt.dep, {LastStatus: containerPending}}
			v := mayStart(all[1], all, states, start.Add(tt.after))
			if v.now != tt.now || (v.never != "") != tt.never || !v.recheck.IsZero() != tt.recheck {
				t.Errorf("verdict %+v, want now %v, never %v, recheck %v", v, tt.now, tt.never, tt.recheck)
			}
		})
	}
}

func TestMayStopIsTheReverseOrder(t *testing.T) {
	all := pairOf("START", nil)
	states := []row.TaskContainer{{LastStatus: containerRunning}, {LastStatus: containerRunning}}
	if mayStop(0, all, states) {
		t.Error("the dependency may stop while its dependent runs")
	}
	if !mayStop(1, all, states) {
		t.Error("the dependent may not stop")
	}
	states[1].LastStatus = containerStopped
	if !mayStop(0, all, states) {
		t.Error("the dependency may not stop after its dependent has")
	}
}

func TestHealthOf(t *testing.T) {
	checked := container{ContainerDefinition: ecs.ContainerDefinition{HealthCheck: &ecs.HealthCheck{}}}
	plain := container{}
	aside := checked
	aside.Essential = new(false)
	tests := []struct {
		name   string
		all    []container
		health []string
		want   string
	}{
		{"no health check", []container{plain}, []string{unknown}, unknown},
		{"one healthy", []container{checked, plain}, []string{healthy, unknown}, healthy},
		{"one of two unknown", []container{checked, checked}, []string{healthy, unknown}, unknown},
		{"unhealthy wins over unknown", []container{checked, checked}, []string{unknown, unhealthy}, unhealthy},
		{"only essential ones count", []container{checked, aside}, []string{healthy, unhealthy}, healthy},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var states []row.TaskContainer
			for _, h := range tt.health {
				states = append(states, row.TaskContainer{HealthStatus: h})
			}
			if got := healthOf(tt.all, states); got != tt.want {
				t.Errorf("health %s, want %s", got, tt.want)
			}
		})
	}
}

func TestCounter(t *testing.T) {
	start := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	tests := []struct {
		name    string
		grace   int // probes, one per second
		results string
		want    string
	}{
		{"healthy at the first success", 0, "+", healthy},
		{"unhealthy after three failures in a row", 0, "---", unhealthy},
		{"not after two", 0, "--", unknown},
		{"a success starts the count again", 0, "--+--", healthy},
		{"failures in the start period do not count", 3, "-----", unknown},
		{"but those after it do", 3, "------", unhealthy},
		{"a success ends the start period", 9, "+---", unhealthy},
		{"an unhealthy one recovers", 0, "---+", healthy},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := counter{retries: 3, health: unknown}
			if tt.grace > 0 {
				c.graceUntil = start.Add(time.Duration(tt.grace) * time.Second)
			}
			got := unknown
			for i, r := range tt.results {
				got = c.count(r == '+', start.Add(time.Duration(i)*time.Second))
			}
			if got != tt.want {
				t.Errorf("after %s: %s, want %s", tt.results, got, tt.want)
			}
		})
	}
}

func TestRestartPolicy(t *testing.T) {
	policy := &ecs.ContainerRestartPolicy{Enabled: new(true), IgnoredExitCodes: []int32{0},
		RestartAttemptPeriod: new(int32(60))}
	c := container{ContainerDefinition: ecs.ContainerDefinition{RestartPolicy: policy}}
	if !c.restarts(1, 60) {
		t.Error("not restarted after the attempt period")
	}
	if c.restarts(1, 59.9) {
		t.Error("restarted before the attempt period was over")
	}
	if c.restarts(0, 600) {
		t.Error("restarted after an ignored exit code")
	}
	if (container{}).restarts(1, 600) {
		t.Error("restarted without a policy")
	}
}

func TestOverridesWinByName(t *testing.T) {
	def := ecs.TaskDefinition{ContainerDefinitions: []ecs.ContainerDefinition{{
		Name: new("app"), Command: []string{"serve"}, Memory: new(int32(64)),
		Environment: []ecs.KeyValuePair{{Name: new("A"), Value: new("1")}, {Name: new("B"), Value: new("2")}},
	}}}
	task := row.Task{Overrides: &ecs.TaskOverride{ContainerOverrides: []ecs.ContainerOverride{{
		Name: new("app"), Command: []string{"migrate"},
		Environment: []ecs.KeyValuePair{{Name: new("A"), Value: new("3")}, {Name: new("C"), Value: new("4")}},
	}}}}
	c := containersOf(task, def)[0]
	env := map[string]string{}
	for _, kv := range c.Environment {
		env[*kv.Name] = *kv.Value
	}
	if c.Command[0] != "migrate" || *c.Memory != 64 || len(c.Environment) != 3 ||
		env["A"] != "3" || env["B"] != "2" || env["C"] != "4" {
		t.Errorf("overridden to command %v, memory %d, environment %v", c.Command, *c.Memory, env)
	}
	if *def.ContainerDefinitions[0].Environment[0].Value != "1" {
		t.Error("the override changed the task definition")
	}
}
