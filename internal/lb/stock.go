package lb

import (
	"slices"
	"time"

	"fairlead/internal/lb/poll"
)

// stock keeps things that a loop will need again. The last one that came in goes out first, for it may
// still be in the caches; what was not needed for a while is let go (see trim), so that a burst does
// not leave its memory behind for ever.
type stock[T any] struct {
	items []T
	low   int // the fewest items since the last trim: as many were not needed
}

// take takes an item out; ok is false if there is none.
func (s *stock[T]) take() (item T, ok bool) {
	n := len(s.items) - 1
	if n < 0 {
		return item, false
	}
	var none T
	item, s.items[n] = s.items[n], none
	s.items = s.items[:n]
	s.low = min(s.low, n)
	return item, true
}

// add puts an item in and says so, unless there are limit ones.
func (s *stock[T]) add(item T, limit int) bool {
	if len(s.items) >= limit {
		return false
	}
	s.items = append(s.items, item)
	return true
}

// trim takes out what was not needed since the last trim, and returns it.
func (s *stock[T]) trim() (surplus []T) {
	surplus = slices.Clone(s.items[:s.low])
	s.items = slices.Delete(s.items, 0, s.low)
	s.low = len(s.items)
	return surplus
}

// trimEvery is how often a loop lets go what it has not needed meanwhile.
const trimEvery = 10 * time.Second

// trimmer is the timer of that.
type trimmer struct {
	loop  *loop
	timer poll.Timer
}

// start sets the timer for the first time.
func (t *trimmer) start(l *loop) {
	t.loop, t.timer.H = l, t
	l.wheel.Set(&t.timer, l.now+trimEvery)
}

// Expired implements poll.Expirer.
func (t *trimmer) Expired() {
	l := t.loop
	l.bufs.small.trim()
	l.bufs.large.trim()
	l.spare.trim()
	l.spareStreams.trim()
	for _, p := range l.pipes.trim() {
		p.close()
	}
	l.wheel.Set(&t.timer, l.now+trimEvery)
}
