package logstore

import (
	"cmp"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"
)

// A segment is full when it holds segmentSize bytes, which bounds the memory that reading takes, or
// when an event comes that is segmentAge later than its first, so that old events can go while new
// ones still come.
const (
	segmentSize = 1 << 20
	segmentAge  = 24 * time.Hour
)

// stream is what is known of one stream's segments; the last one may still be written.
type stream struct {
	dir      string
	mu       sync.Mutex
	segments []segment // by their first event
	ingested time.Time // when the last event came
}

// load reads the names of the segments, and the one that is not full.
func (st *stream) load() error {
	entries, err := os.ReadDir(st.dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		seg, ok := parseName(e.Name())
		if !ok {
			continue
		}
		if !seg.full {
			if seg, err = recoverSegment(filepath.Join(st.dir, e.Name()), seg); err != nil {
				return err
			}
		}
		if info, err := e.Info(); err == nil && info.ModTime().After(st.ingested) {
			st.ingested = info.ModTime()
		}
		st.segments = append(st.segments, seg)
	}
	slices.SortFunc(st.segments, func(a, b segment) int { return cmp.Compare(a.first, b.first) })
	return nil
}

// wait returns when nobody writes.
func (st *stream) wait() {
	st.mu.Lock()
	defer st.mu.Unlock()
}

// append writes the events in one go, into a new segment when the last one is full.
func (st *stream) append(now time.Time, events []Event) error {
	seg, err := st.writable(events[0].Time)
	if err != nil {
		return err
	}
	next, buf := *seg, []byte{}
	for _, e := range events {
		buf = appendRecord(buf, e, now)
		next.note(e)
	}
	next.size += int64(len(buf))
	if err := appendFile(filepath.Join(st.dir, seg.name()), seg.size, buf); err != nil {
		return err
	}
	*seg = next
	st.ingested = now
	return nil
}

// writable returns the segment for events that begin at this time.
func (st *stream) writable(at time.Time) (*segment, error) {
	next := uint64(1)
	if n := len(st.segments); n > 0 {
		last := &st.segments[n-1]
		next = last.end()
		late := last.count > 0 && at.UnixMilli()-last.min > segmentAge.Milliseconds()
		if !last.full && last.size < segmentSize && !late {
			return last, nil
		}
		if err := st.seal(last); err != nil {
			return nil, err
		}
	}
	if err := os.MkdirAll(st.dir, 0o700); err != nil {
		return nil, err
	}
	st.segments = append(st.segments, segment{first: next})
	return &st.segments[len(st.segments)-1], nil
}

// seal gives a segment its final name.
func (st *stream) seal(seg *segment) error {
	if seg.full {
		return nil
	}
	full := *seg
	full.full = true
	from, to := filepath.Join(st.dir, seg.name()), filepath.Join(st.dir, full.name())
	if err := os.Rename(from, to); err != nil {
		return err
	}
	*seg = full
	return nil
}

func (st *stream) stats() Stats {
	var s Stats
	for _, seg := range st.segments {
		if seg.count == 0 {
			continue
		}
		s.Events += seg.count
		s.Bytes += seg.bytes
		if first := time.UnixMilli(seg.min).UTC(); s.First.IsZero() || first.Before(s.First) {
			s.First = first
		}
		if last := time.UnixMilli(seg.max).UTC(); last.After(s.Last) {
			s.Last = last
		}
		s.LastIngested = st.ingested.UTC()
	}
	return s
}

// expire removes segments that ended before the given millisecond. In the place of the last one
// stays an empty one, so that the numbers of events go on.
func (st *stream) expire(before int64) error {
	var keep []segment
	for i, seg := range st.segments {
		if seg.count == 0 || seg.max >= before {
			keep = append(keep, seg)
			continue
		}
		if i == len(st.segments)-1 {
			next := segment{first: seg.end()}
			if err := appendFile(filepath.Join(st.dir, next.name()), 0, nil); err != nil {
				return err
			}
			keep = append(keep, next)
		}
		if err := os.Remove(filepath.Join(st.dir, seg.name())); err != nil && !os.IsNotExist(err) {
			return err
		}
	}
	st.segments = keep
	return nil
}
