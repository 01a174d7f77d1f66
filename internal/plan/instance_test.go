package plan

import (
	"testing"

	"fairlead/internal/api/ecs"
)

var fleet = []Instance{
	{ARN: "one", AgentConnected: true, AgentVersion: "1.9.0", EC2InstanceID: "i-1",
		Attributes: map[string]string{"ecs.availability-zone": "a", "ecs.instance-type": "t2.small", "gpu": ""},
		Free:       Resources{CPU: 1024, Memory: 900, Ports: []int{80}}, Tasks: map[string]int{"service:web": 2}},
	{ARN: "two", AgentConnected: true, AgentVersion: "1.10.0", EC2InstanceID: "i-2",
		Attributes: map[string]string{"ecs.availability-zone": "b", "ecs.instance-type": "g2.2xlarge"},
		Free:       Resources{CPU: 512, Memory: 2000}, Tasks: map[string]int{"service:db": 1}},
	{ARN: "three", AgentConnected: true, AgentVersion: "1.10.1", EC2InstanceID: "i-3",
		Attributes: map[string]string{"ecs.availability-zone": "a", "ecs.instance-type": "t2.micro"},
		Free:       Resources{CPU: 2048, Memory: 500}, Tasks: map[string]int{}},
}

func TestQuery(t *testing.T) {
	for text, want := range map[string]string{
		`attribute:ecs.instance-type == t2.small`:                                    "one",
		`attribute:ecs.instance-type =~ t2.*`:                                        "one three",
		`attribute:ecs.instance-type !~ t2.*`:                                        "two",
		`attribute:gpu exists`:                                                       "one",
		`attribute:gpu !exists`:                                                      "two three",
		`attribute:ecs.availability-zone in [b, c]`:                                  "two",
		`attribute:ecs.availability-zone not_in [b, c]`:                              "one three",
		`agentVersion >= 1.10.0`:                                                     "two three",
		`runningTasksCount < 1`:                                                      "three",
		`task:group == service:web`:                                                  "one",
		`not(task:group == service:web)`:                                             "two three",
		`!(task:group == service:web) and attribute:ecs.availability-zone == a`:      "three",
		`ec2InstanceId in ['i-1', 'i-3'] && attribute:gpu !exists`:                   "three",
		`attribute:gpu exists or (agentVersion == 1.10.1 && agentConnected == true)`: "one three",
		`attribute:gpu exists or attribute:gpu !exists and runningTasksCount == 1`:   "one two",
	} {
		q, err := ParseQuery(text)
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		var got string
		for _, i := range fleet {
			if q(i) {
				got += " " + i.ARN
			}
		}
		if got != " "+want {
			t.Errorf("%s:%s, want %s", text, got, want)
		}
	}
	for _, text := range []string{
		``, `and`, `attribute:a ==`, `nobody == 1`, `attribute:a ~ b`, `(attribute:a exists`,
		`attribute:a exists attribute:b exists`, `attribute:a in b`, `attribute:a =~ [`, `not`,
		`attribute:a == b == c`, `attribute:a = b`,
	} {
		if _, err := ParseQuery(text); err == nil {
			t.Errorf("%q is taken for an expression", text)
		}
	}
}

func FuzzQuery(f *testing.F) {
	for _, seed := range []string{`attribute:a == b`, `not(a) or (`, `attribute:x in [1, 2]`, `!!!`} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if q, err := ParseQuery(text); err == nil {
			for _, i := range fleet {
				q(i)
			}
		}
	})
}

func TestPlaceOn(t *testing.T) {
	spread := func(field string) ecs.PlacementStrategy {
		return ecs.PlacementStrategy{Type: ecs.PlacementStrategyTypeSpread, Field: &field}
	}
	binpack := func(field string) ecs.PlacementStrategy {
		return ecs.PlacementStrategy{Type: ecs.PlacementStrategyTypeBinpack, Field: &field}
	}
	distinct := ecs.PlacementConstraint{Type: ecs.PlacementConstraintTypeDistinctInstance}
	for _, c := range []struct {
		name         string
		p            Placement
		want, reason string
	}{
		{"first", Placement{}, "one", ""},
		{"too big", Placement{Need: Resources{CPU: 4096}}, "", "RESOURCE:CPU"},
		{"memory", Placement{Need: Resources{Memory: 1000}}, "two", ""},
		{"port", Placement{Need: Resources{Ports: []int{80}}}, "two", ""},
		{"distinct", Placement{Group: "service:web", Constraints: []ecs.PlacementConstraint{distinct}}, "two", ""},
		{"pack cpu", Placement{Strategy: []ecs.PlacementStrategy{binpack("cpu")}}, "two", ""},
		{"pack memory", Placement{Strategy: []ecs.PlacementStrategy{binpack("memory")}}, "three", ""},
		{"zones then instances", Placement{Group: "service:web", Strategy: []ecs.PlacementStrategy{
			spread("attribute:ecs.availability-zone"), spread("instanceId")}}, "two", ""},
		{"no member", Placement{Constraints: []ecs.PlacementConstraint{{
			Type: ecs.PlacementConstraintTypeMemberOf, Expression: new("attribute:x exists")}}},
			"", "memberOf constraint unsatisfied"},
	} {
		got, reason, err := PlaceOn(fleet, c.p, func(int) int { return 0 })
		if got.ARN != c.want || reason != c.reason || err != nil {
			t.Errorf("%s: %q %q %v, want %q %q", c.name, got.ARN, reason, err, c.want, c.reason)
		}
	}
	draining := fleet[0]
	draining.Draining = true
	got, reason, err := PlaceOn([]Instance{draining}, Placement{}, nil)
	if got.ARN != "" || reason != "" || err != nil {
		t.Errorf("on a DRAINING instance: %q %q %v", got.ARN, reason, err)
	}
	_, _, err = PlaceOn(fleet, Placement{Strategy: []ecs.PlacementStrategy{binpack("x")}}, nil)
	if err == nil || err.Error() != "binpack field 'x' is invalid" {
		t.Errorf("%v", err)
	}
}
