package lb

import (
	"testing"
	"time"
)

func TestWarmth(t *testing.T) {
	var tgt target
	if w := tgt.warmth(time.Hour); w != 1 {
		t.Errorf("without slow start %v", w)
	}
	tgt.warmFrom.Store(int64(10 * time.Second))
	tgt.warmFor.Store(int64(100 * time.Second))
	for now, want := range map[time.Duration]float64{0: 0.01, 60 * time.Second: 0.5,
		85 * time.Second: 0.75, 200 * time.Second: 1} {
		if w := tgt.warmth(now); w != want {
			t.Errorf("after %v: %v, want %v", now, w, want)
		}
	}
}

// A target that becomes healthy beside a warm one gets a growing share; the first one, all at once.
func TestSlowStart(t *testing.T) {
	first, second := named(t, "first"), named(t, "second")
	g := groupOf("g", first)
	g.Targets[0].LastHealth = ""
	g.SlowStart = 900 * time.Second
	f := serve(t, g)
	waitFor(t, func() bool { return f.Health()[0].State == Healthy })
	g.Targets = append(g.Targets, Target{ID: "second", Port: second.Port(), Addr: second})
	spec := f.spec
	spec.Groups = []Group{g}
	f.swap(spec)
	waitFor(t, func() bool { return f.Health()[1].State == Healthy })
	if got := f.count(100); got["second"] > 20 || got["first"] < 80 {
		t.Errorf("at the beginning of slow start: %v", got)
	}
}

// With cross-zone load balancing off a zone uses its own targets, and answers 503 without any.
func TestSameZoneOnly(t *testing.T) {
	g := groupOf("g", named(t, "a"), named(t, "b"))
	g.SameZoneOnly = true
	g.Targets[0].Zone, g.Targets[1].Zone = "zone-a", "zone-b"
	in := func(zone string) *fixture {
		return serve(t, g, func(l *Listener) { l.Binds[0].Zone = zone })
	}
	if got := in("zone-b").count(5); got["b"] != 5 {
		t.Errorf("%v", got)
	}
	if resp, _ := in("zone-c").ask(hello); resp.StatusCode != 503 {
		t.Errorf("a zone without targets answers %d", resp.StatusCode)
	}
}
