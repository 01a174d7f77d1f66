package poll

import (
	"math/bits"
	"time"
)

// Tick is the resolution of timers: one fires up to one tick late.
const Tick = 50 * time.Millisecond

// wheelSlots times Tick is how far ahead a timer is sorted; later ones are looked at again.
const wheelSlots = 2048

// Expirer is told that its timer's deadline has passed.
type Expirer interface{ Expired() }

// Timer tells H when its deadline has passed. The zero Timer with H set is ready for use.
//
// Moving a deadline further away costs one store: the timer stays where it is in the wheel and is
// sorted in again when its old deadline comes. That is what a connection does with every byte.
type Timer struct {
	H Expirer

	deadline   time.Duration // 0 when stopped
	at         int64         // the tick at which it is looked at, while linked
	next, prev *Timer
}

// Wheel is a hashed timing wheel. Times are durations since any fixed moment.
type Wheel struct {
	slots [wheelSlots]Timer       // heads of rings; never fire
	used  [wheelSlots / 64]uint64 // bit set for each non-empty slot
	tick  int64                   // the last tick that was looked at
	count int
}

// Set has t fire at the deadline.
func (w *Wheel) Set(t *Timer, deadline time.Duration) {
	t.deadline = deadline
	if t.linked() && int64(deadline/Tick) >= t.at {
		return
	}
	w.unlink(t)
	w.link(t)
}

// Stop keeps t from firing.
func (w *Wheel) Stop(t *Timer) {
	t.deadline = 0
	w.unlink(t)
}

// Pause keeps t from firing at the cost of one store; it stays in the wheel until its time comes.
func (w *Wheel) Pause(t *Timer) { t.deadline = pausedDeadline }

// pausedDeadline is in 292 years.
const pausedDeadline = time.Duration(1<<63 - 1)

// Armed says whether t has a deadline.
func (t *Timer) Armed() bool { return t.deadline != 0 && t.deadline != pausedDeadline }

func (t *Timer) linked() bool { return t.prev != nil }

func (t *Timer) slot() int { return int(t.at % wheelSlots) }

func (w *Wheel) link(t *Timer) {
	at := int64((t.deadline + Tick - 1) / Tick)
	at = min(max(at, w.tick+1), w.tick+wheelSlots-1)
	t.at = at
	slot := t.slot()
	head := &w.slots[slot]
	if head.next == nil {
		head.next, head.prev = head, head
	}
	t.prev, t.next = head, head.next
	head.next.prev = t
	head.next = t
	w.used[slot/64] |= 1 << (slot % 64)
	w.count++
}

func (w *Wheel) unlink(t *Timer) {
	if !t.linked() {
		return
	}
	t.prev.next, t.next.prev = t.next, t.prev
	t.next, t.prev = nil, nil
	slot := t.slot()
	if head := &w.slots[slot]; head.next == head {
		w.used[slot/64] &^= 1 << (slot % 64)
	}
	w.count--
}

// Advance calls fire for timers whose deadline is not after now, at most limit of them: those that are
// left make Next return 0. It is fire that tells them.
func (w *Wheel) Advance(now time.Duration, fire func(Expirer), limit int) {
	target := int64(now / Tick)
	first := max(w.tick+1, target-wheelSlots+1)
	for tick := first; tick <= target; tick++ {
		w.tick = tick
		slot := int(tick % wheelSlots)
		if w.used[slot/64]&(1<<(slot%64)) == 0 {
			continue
		}
		if limit -= w.fire(slot, now, fire, limit); limit <= 0 {
			w.tick = tick - 1 // to look at this slot again
			return
		}
	}
	w.tick = max(w.tick, target)
}

// fire looks at the timers of a slot and returns how many it has called. Whatever is set meanwhile gets
// into another slot.
func (w *Wheel) fire(slot int, now time.Duration, fire func(Expirer), limit int) (fired int) {
	for head := &w.slots[slot]; head.next != head && fired < limit; {
		t := head.next
		w.unlink(t)
		switch {
		case !t.Armed():
			t.deadline = 0
		case t.deadline > now:
			w.link(t)
		default:
			t.deadline = 0
			fired++
			fire(t.H)
		}
	}
	return fired
}

// Next returns how long it is until a timer may fire, or a negative duration if there is none.
func (w *Wheel) Next(now time.Duration) time.Duration {
	if w.count == 0 {
		return -1
	}
	start := w.tick + 1
	for n := int64(0); n < wheelSlots; {
		slot := int((start + n) % wheelSlots)
		word := w.used[slot/64] >> (slot % 64)
		if word == 0 {
			n += int64(64 - slot%64)
			continue
		}
		at := time.Duration(start+n+int64(bits.TrailingZeros64(word))) * Tick
		return max(at-now, 0)
	}
	return Tick
}
