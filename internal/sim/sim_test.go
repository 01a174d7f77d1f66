package sim

import (
	"flag"
	"fmt"
	"testing"
	"time"

	"fairlead/internal/api/ecs"
)

var (
	seeds = flag.Uint64("seeds", 150, "how many random lives TestScheduler runs")
	first = flag.Uint64("first-seed", 0, "the first of the seeds")
	steps = flag.Int("steps", 100, "how many things happen in each of them")
)

// TestScheduler runs services through random lives: a promise that breaks names the seed that shows
// it. When the faults stop, every service must reach its steady state.
func TestScheduler(t *testing.T) {
	lives := *seeds
	if testing.Short() {
		lives = min(lives, 40)
	}
	for seed := *first; seed < *first+lives; seed++ {
		live(t, seed, *steps)
	}
}

// TestOnceBroken lives the lives again that a promise was broken in, thousands of steps into them.
func TestOnceBroken(t *testing.T) {
	for _, seed := range []uint64{
		875,  // a zone was evened out while other tasks were not healthy
		1261, // scale-in stopped a healthy task while a protected one was not
	} {
		live(t, seed, 1000)
	}
}

// live runs a random life, then ends its faults and expects it to come to rest.
func live(t *testing.T, seed uint64, steps int) {
	t.Helper()
	w := New(seed, int(seed%9), 100, 200, Sound)
	w.Balanced, w.Checked = seed%3 != 0, seed%4 == 0
	if seed%5 < 3 {
		w.Service.Rebalancing = ecs.AvailabilityZoneRebalancingENABLED
	}
	if seed%2 == 0 {
		w.Breaker(seed%4 == 0)
	}
	if seed%3 == 1 {
		w.Watch(seed%2 == 0)
	}
	for range steps {
		w.Random()
		w.Pass()
		if w.Broken != nil {
			t.Fatalf("seed %d: %v%s", seed, w.Broken, w.story())
		}
	}
	w.Calm()
	if !w.Run(2*time.Hour, w.Steady) {
		t.Fatalf("seed %d: no steady state: %v%s", seed, w.Broken, w.story())
	}
	if got := w.Kept(); got != w.Service.DesiredCount || len(w.Rollouts) != 1 {
		t.Fatalf("seed %d: steady with %d tasks of %d and %d deployments%s",
			seed, got, w.Service.DesiredCount, len(w.Rollouts), w.story())
	}
}

// story is the end of the world's events and what is left in it.
func (w *World) story() (text string) {
	events := w.Events[max(0, len(w.Events)-25):]
	for _, e := range events {
		text += fmt.Sprintf("\n%8v %s", e.At, e.Text)
	}
	for _, t := range w.Tasks {
		text += fmt.Sprintf("\n  %s %s %s desired %s, %s", t.ID, t.Deployment, t.LastStatus,
			t.DesiredStatus, t.health)
	}
	for _, r := range w.Rollouts {
		text += fmt.Sprintf("\n  %s %s %s", r.ID, r.Status, r.RolloutState)
	}
	return text
}
