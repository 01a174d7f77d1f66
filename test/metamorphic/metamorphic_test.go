// Package metamorphic makes the same calls under other circumstances: controllers that are taken away
// and started anew at random points, and independent calls in another order. All must end in the same
// Describe output, and in a history without gaps.
package metamorphic

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"fairlead/internal/event"
	"fairlead/internal/row"
	"fairlead/internal/state"
)

// patience is how long a history may take; none is timed.
const patience = 60 * time.Second

// maxVersions is more than a task has in its life: a dozen, and some more for looks at containers
// that start and stop.
const maxVersions = 30

// circumstances are what a history is lived under.
type circumstances struct {
	seed     uint64
	restarts bool // controllers are taken away
	reorder  bool // calls of different scripts are mixed
}

// seeds is how many histories are compared with the plain one: go test ./test/metamorphic -seeds 50.
var seeds = flag.Uint64("seeds", 4, "how many histories are lived")

func TestSameCallsSameEnd(t *testing.T) {
	plain := live(t, circumstances{})
	for seed := range *seeds {
		c := circumstances{seed: seed + 1, restarts: seed%4 != 1, reorder: seed%2 == 1}
		t.Run(fmt.Sprintf("seed=%d,restarts=%t,reorder=%t", c.seed, c.restarts, c.reorder),
			func(t *testing.T) {
				t.Parallel()
				compare(t, plain, live(t, c))
			})
	}
}

// compare compares what was described; there may be several things that look the same.
func compare(t *testing.T, want, got []string) {
	t.Helper()
	times := map[string]int{}
	for _, line := range got {
		times[line]++
	}
	for _, line := range want {
		times[line]--
	}
	for _, line := range slices.Sorted(maps.Keys(times)) {
		if n := times[line]; n != 0 {
			t.Errorf("%+d times: %s", n, line)
		}
	}
}

// live lives one history and returns what is described in the end.
func live(t *testing.T, c circumstances) []string {
	t.Helper()
	w := newWorld(t)
	if err := createCluster(w, "c"); err != nil {
		t.Fatal(err)
	}
	p := &player{world: w, circumstances: c, random: rand.New(rand.NewPCG(c.seed, 0)), left: scripts()}
	p.play()
	t.Logf("seed %d: %d calls, %d restarts, %d events", c.seed, p.calls, p.restarted, w.checkHistory())
	return w.describe()
}

// player plays scripts.
type player struct {
	*world
	circumstances
	random    *rand.Rand
	left      []script
	calls     int
	restarted int
}

// play makes the calls of all scripts. Between two changes of tasks controllers may be restarted.
func (p *player) play() {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.t.Context(), patience)
	defer cancel()
	watcher := p.store.Watch(row.Tasks, row.Schedulings, row.Services)
	defer watcher.Close()
	for {
		for p.step() {
		}
		if len(p.left) == 0 {
			return
		}
		if _, _, err := watcher.Next(ctx); err != nil {
			p.t.Fatalf("seed %d: %d scripts are stuck: %v", p.seed, len(p.left), err)
		}
		if p.restarts && p.random.IntN(8) == 0 {
			p.restart(p.random)
			p.restarted++
		}
	}
}

// step takes one step of a script that has one to take.
func (p *player) step() bool {
	p.t.Helper()
	view := p.store.View()
	var ready []int
	for i, s := range p.left {
		if s[0].met == nil || s[0].met(view) {
			ready = append(ready, i)
		}
		if !p.reorder {
			break
		}
	}
	if len(ready) == 0 {
		return false
	}
	i := ready[p.random.IntN(len(ready))]
	if next := p.left[i][0]; next.call != nil {
		p.calls++
		if err := next.call(p.world); err != nil {
			p.t.Fatalf("seed %d: call %d: %v", p.seed, p.calls, err)
		}
	}
	if p.left[i] = p.left[i][1:]; len(p.left[i]) == 0 {
		p.left = slices.Delete(p.left, i, i+1)
	}
	return true
}

// checkHistory checks that the history tells every version of every task once and in order, and
// returns the number of events.
func (w *world) checkHistory() (events int64) {
	w.t.Helper()
	versions := map[string]int64{}
	last, _ := event.Since(w.store.View(), 0, func(e row.Event) error {
		events++
		if e.Number != events {
			w.t.Errorf("event %d comes after %d", e.Number, events-1)
		}
		if e.Type != event.TaskStateChange {
			return nil
		}
		var detail struct{ Version int64 }
		if err := json.Unmarshal(e.Detail, &detail); err != nil {
			w.t.Error(err)
		}
		if arn := e.Resources[0]; detail.Version != versions[arn]+1 {
			w.t.Errorf("version %d of %s comes after %d", detail.Version, arn, versions[arn])
		}
		versions[e.Resources[0]] = detail.Version
		if detail.Version == maxVersions {
			w.t.Errorf("%s changes on and on: %s", e.Resources[0], e.Detail)
		}
		return nil
	})
	checkVersions(w, w.store.View(), versions)
	return last
}

// checkVersions checks that the last version told of each task is the one that there is.
func checkVersions(w *world, r state.Reader, told map[string]int64) {
	w.t.Helper()
	for t := range row.Tasks.Scan(r, "") {
		if told[t.ARN] != t.Version {
			w.t.Errorf("%s was told of up to version %d of %d", strings.ToLower(t.LastStatus), told[t.ARN], t.Version)
		}
	}
}
