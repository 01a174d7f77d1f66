package lb

import (
	"testing"
	"time"
)

func TestFunctionTables(t *testing.T) {
	good := functionAt("http://127.0.0.1:9000")
	listener := Listener{ID: "l", Protocol: HTTP, Default: forwardTo(good.ID), Binds: []Bind{loopback()}}
	compile := func(change func(*Group)) error {
		g := good
		g.Targets = append([]Target(nil), good.Targets...)
		change(&g)
		_, err := Compile(TableSpec{Listeners: []Listener{listener}, Groups: []Group{g}})
		return err
	}
	table, err := Compile(TableSpec{Listeners: []Listener{listener}, Groups: []Group{good}})
	if err != nil {
		t.Fatal(err)
	}
	if c := table.groups[0].check; c.Interval != 35*time.Second || c.Timeout != 30*time.Second ||
		c.HealthyThreshold != 5 || c.UnhealthyThreshold != 5 || c.Path != "/" || !c.Matcher.Match(200) ||
		c.Matcher.Match(201) {
		t.Errorf("check %+v", c)
	}
	for name, change := range map[string]func(*Group){
		"protocol":     func(g *Group) { g.Protocol = HTTP },
		"version":      func(g *Group) { g.Version = HTTP2 },
		"algorithm":    func(g *Group) { g.Algorithm = RoundRobin },
		"stickiness":   func(g *Group) { g.Stickiness.Type = LBCookie },
		"slow start":   func(g *Group) { g.SlowStart = time.Minute },
		"zones":        func(g *Group) { g.SameZoneOnly = true },
		"threshold":    func(g *Group) { g.MinHealthy = 1 },
		"check's port": func(g *Group) { g.HealthCheck.Port = 80 },
		"matcher":      func(g *Group) { g.HealthCheck.Matcher = "x" },
		"path":         func(g *Group) { g.HealthCheck.Path = "x" },
		"address":      func(g *Group) { g.Targets[0].Addr = loopback().Addr; g.Targets[0].Port = 1 },
		"no function":  func(g *Group) { g.Targets[0].Function.Name = "" },
		"no endpoint":  func(g *Group) { g.Targets[0].Function.Endpoint = "" },
		"two":          func(g *Group) { g.Targets = append(g.Targets, Target{ID: "b", Function: g.Targets[0].Function}) },
		"not Lambda": func(g *Group) {
			g.Lambda, g.Protocol = false, HTTP
			g.Targets[0].Addr = closedPort(t)
		},
		"multi-value headers": func(g *Group) {
			g.Lambda, g.Protocol, g.Targets, g.MultiValueHeaders = false, HTTP, nil, true
		},
	} {
		if compile(change) == nil {
			t.Errorf("%s: compiles", name)
		}
	}
}
