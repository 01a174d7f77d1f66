package sim

import (
	"container/heap"
	"fmt"
	"math/rand/v2"
	"strconv"
	"time"

	"fairlead/internal/api/ecs"
)

// Fleet is many services on one clock. It does what happens in order of time, and looks at a service
// only when something happens to it.
type Fleet struct {
	Now    time.Time
	Worlds []*World
	// Looks counts how often a service was looked at.
	Looks int

	queue agenda
	rng   *rand.Rand
}

// NewFleet returns a fleet of services of so many tasks each, none of which has been planned yet.
func NewFleet(seed uint64, services, tasks int) *Fleet {
	f := &Fleet{Now: begin, rng: rand.New(rand.NewPCG(seed, seed))}
	for i := range services {
		image := Sound
		image.Start = time.Duration(1+f.rng.IntN(90)) * time.Second // some start slowly
		w := New(seed+uint64(i), tasks, 100, 200, image)
		w.Service.Name = strconv.Itoa(i)
		w.Balanced = i%3 != 0
		if i%2 == 0 {
			w.Service.Rebalancing = ecs.AvailabilityZoneRebalancingENABLED
		}
		f.Worlds = append(f.Worlds, w)
		f.note(i)
	}
	return f
}

// note puts a service on the agenda for when something happens to it next.
func (f *Fleet) note(i int) {
	if at := f.Worlds[i].next(); !at.IsZero() {
		heap.Push(&f.queue, appointment{at, i})
	}
}

// Run lets time pass for all services. It returns the first promise that was broken.
func (f *Fleet) Run(d time.Duration) error {
	end := f.Now.Add(d)
	for len(f.queue) > 0 && !f.queue[0].at.After(end) {
		next := heap.Pop(&f.queue).(appointment)
		w := f.Worlds[next.service]
		if !w.next().Equal(next.at) {
			continue // it has another appointment by now
		}
		f.Now = later(f.Now, next.at)
		f.Looks++
		w.step(f.Now)
		if w.Broken != nil {
			return fmt.Errorf("service %d: %w", next.service, w.Broken)
		}
		f.note(next.service)
	}
	f.Now = end
	return nil
}

// Disturb lets something random happen to some services.
func (f *Fleet) Disturb(services int) {
	for range services {
		i := f.rng.IntN(len(f.Worlds))
		f.Worlds[i].Now = f.Now
		f.Worlds[i].Random()
		f.note(i)
	}
}

// Restart lets the controller of all services be away for a while, and then make its full pass.
func (f *Fleet) Restart(away time.Duration) {
	f.Now = f.Now.Add(away)
	f.queue = nil
	for i, w := range f.Worlds {
		w.Outage(max(0, f.Now.Sub(w.Now)))
		f.note(i)
	}
}

// Calm ends all faults of all services, which are to have so many tasks each.
func (f *Fleet) Calm(tasks int) {
	for i, w := range f.Worlds {
		w.Now = later(w.Now, f.Now)
		w.Calm()
		w.Scale(tasks)
		f.note(i)
	}
}

// Unsteady lists the services that have not reached their steady state, or not with their tasks.
func (f *Fleet) Unsteady() (services []int) {
	for i, w := range f.Worlds {
		if !w.Steady() || w.Kept() != w.Service.DesiredCount || len(w.Rollouts) != 1 {
			services = append(services, i)
		}
	}
	return services
}

// appointment is when something happens to a service.
type appointment struct {
	at      time.Time
	service int
}

// agenda implements heap.Interface.
type agenda []appointment

func (a agenda) Len() int           { return len(a) }
func (a agenda) Less(i, j int) bool { return a[i].at.Before(a[j].at) }
func (a agenda) Swap(i, j int)      { a[i], a[j] = a[j], a[i] }
func (a *agenda) Push(x any)        { *a = append(*a, x.(appointment)) }

func (a *agenda) Pop() any {
	old := *a
	last := old[len(old)-1]
	*a = old[:len(old)-1]
	return last
}
