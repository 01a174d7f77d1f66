package sim

import (
	"flag"
	"fmt"
	"testing"
	"time"
)

var fleet = flag.Int("services", 1000, "how many services of ten tasks TestFleet simulates")

// perService is how many tasks each service of a fleet has.
const perService = 10

// TestFleet starts many services at once, disturbs some of them for a while, with the controller
// killed now and then, and expects all of them to come to rest.
func TestFleet(t *testing.T) {
	services := *fleet
	if testing.Short() {
		services = min(services, 100)
	}
	f := NewFleet(1, services, perService)
	run := func(d time.Duration) {
		t.Helper()
		if err := f.Run(d); err != nil {
			t.Fatal(err)
		}
	}
	run(10 * time.Minute)
	f.wantRest(t, "at first")
	for minute := range 20 {
		f.Disturb(services / 10)
		run(time.Minute)
		if minute%5 == 4 {
			f.Restart(30 * time.Second)
		}
	}
	if len(f.Unsteady()) == 0 {
		t.Error("the faults disturb nothing")
	}
	f.Calm(perService)
	run(2 * time.Hour)
	f.wantRest(t, "after the faults")
	t.Logf("%d services were looked at %d times", services, f.Looks)
}

// wantRest expects every service to be steady with all its tasks.
func (f *Fleet) wantRest(t *testing.T, when string) {
	t.Helper()
	tasks := 0
	for _, w := range f.Worlds {
		tasks += w.Kept()
	}
	if left := f.Unsteady(); len(left) > 0 {
		t.Fatalf("%s %d services are not steady; the first:%s", when, len(left), f.Worlds[left[0]].story())
	}
	if want := len(f.Worlds) * perService; tasks != want {
		t.Errorf("%s there are %d tasks, want %d", when, tasks, want)
	}
}

// TestFleetLooksOnlyWhereSomethingHappens: a fault of one service makes no other be looked at.
func TestFleetLooksOnlyWhereSomethingHappens(t *testing.T) {
	looks := func(services int) int {
		f := NewFleet(1, services, perService)
		if err := f.Run(10 * time.Minute); err != nil {
			t.Fatal(err)
		}
		before := f.Looks
		f.crash(0)
		if err := f.Run(5 * time.Minute); err != nil {
			t.Fatal(err)
		}
		return f.Looks - before
	}
	if few, many := looks(1), looks(200); few != many || few == 0 {
		t.Errorf("%d looks among one service, %d among 200", few, many)
	}
}

// crash ends a task of a service.
func (f *Fleet) crash(service int) {
	w := f.Worlds[service]
	w.Now, w.wake = f.Now, f.Now
	w.Tasks[0].Exit()
	f.note(service)
}

// BenchmarkChange measures what a crashed task costs the scheduler until its service is at rest
// again, among few services and many. Of many, some tell in between that they are still steady, as
// every service does every six hours: these are the further plans.
func BenchmarkChange(b *testing.B) {
	for _, services := range []int{100, 10_000} {
		b.Run(fmt.Sprintf("services=%d", services), func(b *testing.B) {
			f := NewFleet(1, services, perService)
			if err := f.Run(10 * time.Minute); err != nil {
				b.Fatal(err)
			}
			f.Looks = 0
			for n := 0; b.Loop(); n++ {
				f.crash(n % services)
				if err := f.Run(5 * time.Minute); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(f.Looks), "µs/plan")
			b.ReportMetric(float64(f.Looks)/float64(b.N), "plans/op")
		})
	}
}
