package poll

import (
	"slices"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

type record struct{ got []Events }

func (r *record) Ready(e Events) { r.got = append(r.got, e) }

func open(t *testing.T) *Poller {
	t.Helper()
	p, err := Open()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Close() })
	return p
}

func pair(t *testing.T) (a, b int) {
	t.Helper()
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(fds[0]); unix.Close(fds[1]) })
	return fds[0], fds[1]
}

func nothing() {}

func TestPollerTellsOfReadinessOnce(t *testing.T) {
	p := open(t)
	a, b := pair(t)
	var r record
	if _, err := p.Add(a, &r, First); err != nil {
		t.Fatal(err)
	}
	p.Wait(0, nothing, nothing)
	unix.Write(b, []byte("x"))
	p.Wait(time.Second, nothing, nothing)
	p.Wait(0, nothing, nothing)
	if len(r.got) != 2 || !r.got[0].Writable() || !r.got[1].Readable() {
		t.Fatalf("events = %b, want writable, then readable, then nothing", r.got)
	}
	unix.Shutdown(b, unix.SHUT_WR)
	p.Wait(time.Second, nothing, nothing)
	if len(r.got) != 3 || !r.got[2].PeerClosed() {
		t.Fatalf("events = %b, want the peer's close at the end", r.got)
	}
}

func TestPollerLetsFirstGoFirst(t *testing.T) {
	p := open(t)
	var order []Class
	const guests = 40 // more than a batch of Later
	for range guests {
		a, _ := pair(t)
		if _, err := p.Add(a, notice{&order, Later}, Later); err != nil {
			t.Fatal(err)
		}
	}
	a, _ := pair(t)
	if _, err := p.Add(a, notice{&order, First}, First); err != nil {
		t.Fatal(err)
	}
	batches := 0
	for range 3 {
		p.Wait(0, nothing, func() { batches++ })
	}
	if len(order) != guests+1 || order[0] != First || batches != 3 {
		t.Fatalf("%d events in %d batches, the first of class %d; want %d in 3, of First before Later",
			len(order), batches, order[0], guests+1)
	}
}

// TestPollerWaitsForLater: an idle poller hears of sockets of Later, once for each event.
func TestPollerWaitsForLater(t *testing.T) {
	p := open(t)
	a, b := pair(t)
	var r record
	if _, err := p.Add(a, &r, Later); err != nil {
		t.Fatal(err)
	}
	for i := range 5 {
		p.Wait(0, nothing, nothing)
		before := len(r.got)
		unix.Write(b, []byte("x"))
		for len(r.got) == before {
			if err := p.Wait(10*time.Second, nothing, nothing); err != nil {
				t.Fatal(err)
			}
		}
		if !r.got[len(r.got)-1].Readable() {
			t.Fatalf("event %d is %b, want readable", i, r.got[len(r.got)-1])
		}
	}
}

// notice writes down the class of each event.
type notice struct {
	order *[]Class
	class Class
}

func (n notice) Ready(Events) { *n.order = append(*n.order, n.class) }

func TestPollerForgetsRemoved(t *testing.T) {
	p := open(t)
	a, _ := pair(t)
	var r record
	tok, err := p.Add(a, &r, First)
	if err != nil {
		t.Fatal(err)
	}
	p.Remove(tok)
	p.Remove(tok)
	p.Wait(0, nothing, nothing)
	if len(r.got) != 0 {
		t.Fatalf("events = %v after Remove", r.got)
	}
	c, _ := pair(t)
	var other record
	if _, err := p.Add(c, &other, First); err != nil {
		t.Fatal(err)
	}
	p.Remove(tok) // must not touch the new owner of the slot
	p.Wait(0, nothing, nothing)
	if len(other.got) != 1 || len(r.got) != 0 {
		t.Fatalf("new owner of the slot saw %v, old owner %v", other.got, r.got)
	}
}

func TestPostFromOtherGoroutines(t *testing.T) {
	p := open(t)
	const n = 100
	for range n {
		go func() { p.Post(func() {}) }()
	}
	seen := 0
	for seen < n {
		if err := p.Wait(time.Second, func() { seen++ }, nothing); err != nil {
			t.Fatal(err)
		}
	}
}

// call makes an Expirer of a function.
type call func()

func (f call) Expired() { f() }

func TestWheel(t *testing.T) {
	var w Wheel
	var fired []string
	timer := func(name string, at time.Duration) *Timer {
		tm := &Timer{H: call(func() { fired = append(fired, name) })}
		w.Set(tm, at)
		return tm
	}
	timer("1s", time.Second)
	timer("far", 300*time.Second)
	later := timer("later", time.Second)
	w.Set(later, 2*time.Second)
	earlier := timer("earlier", 10*time.Second)
	w.Set(earlier, 500*time.Millisecond)
	w.Stop(timer("stopped", time.Second))
	paused := timer("paused", time.Second)
	w.Pause(paused)

	steps := []struct {
		now  time.Duration
		want []string
	}{
		{400 * time.Millisecond, nil},
		{600 * time.Millisecond, []string{"earlier"}},
		{1100 * time.Millisecond, []string{"earlier", "1s"}},
		{2100 * time.Millisecond, []string{"earlier", "1s", "later"}},
		{299 * time.Second, []string{"earlier", "1s", "later"}},
		{301 * time.Second, []string{"earlier", "1s", "later", "far"}},
	}
	for _, s := range steps {
		w.Advance(s.now, Expirer.Expired, noLimit)
		if !slices.Equal(fired, s.want) {
			t.Fatalf("at %v fired %v, want %v", s.now, fired, s.want)
		}
	}
	if w.count != 0 || w.Next(0) >= 0 {
		t.Fatalf("%d timers left, next in %v", w.count, w.Next(0))
	}
}

func TestWheelNext(t *testing.T) {
	for _, at := range []time.Duration{
		Tick, time.Second, 60 * time.Second, 101 * time.Second, 99 * time.Second,
	} {
		var w Wheel
		w.Advance(3*time.Second, Expirer.Expired, noLimit)
		w.Set(&Timer{H: call(nothing)}, 3*time.Second+at)
		if next := w.Next(3 * time.Second); next < at || next > at+Tick {
			t.Errorf("Next = %v for a timer in %v", next, at)
		}
	}
}

func TestWheelResumesPausedTimer(t *testing.T) {
	var w Wheel
	fired := 0
	tm := &Timer{H: call(func() { fired++ })}
	w.Set(tm, time.Second)
	w.Pause(tm)
	w.Set(tm, 500*time.Millisecond)
	w.Advance(600*time.Millisecond, Expirer.Expired, noLimit)
	if fired != 1 {
		t.Fatal("a paused timer that is set again does not fire")
	}
}

// noLimit is more timers than any test has.
const noLimit = 1 << 20

// Timers that are due together fire in pieces; those that are stopped, moved or set between the pieces
// do what they were told last.
func TestWheelInPieces(t *testing.T) {
	const timers, limit = 100, 7
	var w Wheel
	fired := map[int]int{}
	all := make([]*Timer, timers)
	for i := range all {
		all[i] = &Timer{H: call(func() { fired[i]++ })}
		w.Set(all[i], time.Second)
	}
	now, pieces := 2*time.Second, 0
	for w.Next(now) == 0 {
		before := len(fired)
		w.Advance(now, Expirer.Expired, limit)
		if n := len(fired) - before; n > limit {
			t.Fatalf("%d timers fired at once, want at most %d", n, limit)
		}
		if pieces++; pieces == 1 {
			for i, stop := range []func(*Timer){w.Stop, w.Pause, func(t *Timer) { w.Set(t, time.Hour) }} {
				stop(all[i]) // the first ones are the last to fire
			}
		}
		if pieces > timers {
			t.Fatal("the wheel does not come to an end")
		}
	}
	for i := range all {
		if want := min(i/3, 1); fired[i] != want {
			t.Errorf("timer %d fired %d times, want %d", i, fired[i], want)
		}
	}
	w.Advance(time.Hour, Expirer.Expired, noLimit)
	if fired[2] != 1 || fired[0]+fired[1] != 0 {
		t.Errorf("stopped, paused and moved timers fired %d, %d, %d times", fired[0], fired[1], fired[2])
	}
}
