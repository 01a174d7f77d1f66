package logstore

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"math"
	"os"
	"path/filepath"
	"slices"
)

// Query says which events to read and in which direction.
type Query struct {
	From, To int64    // milliseconds since 1970; To is exclusive, 0 is no end
	After    Position // only events behind this position
	Before   Position // only events in front of this position, if not zero
	Backward bool     // newest first
}

func (q Query) wants(r Record) bool {
	at := r.Position()
	return at.Milli >= q.From && at.Milli < q.to() && q.After.Less(at) &&
		(q.Before == Position{} || at.Less(q.Before))
}

func (q Query) to() int64 {
	if q.To == 0 {
		return math.MaxInt64
	}
	return q.To
}

// overlaps reports whether the segment may hold events that are wanted.
func (q Query) overlaps(seg segment) bool {
	from, last := max(q.From, q.After.Milli), q.to()-1
	if q.Before != (Position{}) {
		last = min(last, q.Before.Milli)
	}
	return seg.count > 0 && seg.max >= from && seg.min <= last
}

// Read walks the stream's events in order. An error ends the walk. The walk shows the stream as it
// was when it began, but for what expires meanwhile.
func (s *Store) Read(id string, q Query) iter.Seq2[Record, error] {
	return func(yield func(Record, error) bool) {
		st, err := s.stream(id)
		if err != nil {
			yield(Record{}, err)
			return
		}
		st.mu.Lock()
		m := &merge{dir: st.dir, query: q}
		for _, seg := range st.segments {
			if q.overlaps(seg) {
				m.waiting = append(m.waiting, seg)
			}
		}
		st.mu.Unlock()
		m.run(yield)
	}
}

// merge walks several segments whose times may overlap in one order, with no more of them in memory
// than overlap.
type merge struct {
	dir     string
	query   Query
	waiting []segment  // not yet read, in order of where they begin
	open    [][]Record // what is left of those that have been
}

func (m *merge) run(yield func(Record, error) bool) {
	slices.SortFunc(m.waiting, func(a, b segment) int { return cmp.Compare(m.begin(a), m.begin(b)) })
	for {
		next := m.next()
		for len(m.waiting) > 0 && (next < 0 || m.begin(m.waiting[0]) <= m.milli(m.open[next][0])) {
			if err := m.load(m.waiting[0]); err != nil {
				yield(Record{}, err)
				return
			}
			m.waiting = m.waiting[1:]
			next = m.next()
		}
		if next < 0 {
			return
		}
		r := m.open[next][0]
		if m.open[next] = m.open[next][1:]; len(m.open[next]) == 0 {
			m.open = slices.Delete(m.open, next, next+1)
		}
		if !yield(r, nil) {
			return
		}
	}
}

// milli is a record's time such that smaller comes first.
func (m *merge) milli(r Record) int64 {
	if m.query.Backward {
		return -r.Time.UnixMilli()
	}
	return r.Time.UnixMilli()
}

// begin is the time of the segment's record that comes first.
func (m *merge) begin(seg segment) int64 {
	if m.query.Backward {
		return -seg.max
	}
	return seg.min
}

func (m *merge) compare(a, b Record) int {
	first, second := a.Position(), b.Position()
	if m.query.Backward {
		first, second = second, first
	}
	return cmp.Or(cmp.Compare(first.Milli, second.Milli), cmp.Compare(first.Seq, second.Seq))
}

// next returns the open segment whose record comes first, -1 when none is open.
func (m *merge) next() int {
	best := -1
	for i := range m.open {
		if best < 0 || m.compare(m.open[i][0], m.open[best][0]) < 0 {
			best = i
		}
	}
	return best
}

// load reads a segment and opens it, if it has anything that is wanted.
func (m *merge) load(seg segment) error {
	b, err := readSegment(m.dir, seg)
	if err != nil {
		return fmt.Errorf("read log segment: %w", err)
	}
	var records []Record
	for i := range seg.count {
		r, rest, err := readRecord(b)
		if err != nil {
			break // b ends here: the segment has expired, or its disk is broken
		}
		b, r.Seq = rest, seg.first+uint64(i)
		if m.query.wants(r) {
			records = append(records, r)
		}
	}
	if len(records) > 0 {
		slices.SortFunc(records, m.compare)
		m.open = append(m.open, records)
	}
	return nil
}

// readSegment returns the file's content. The segment may have become full since it was looked up,
// and so have another name, or it may have expired: then there is nothing.
func readSegment(dir string, seg segment) ([]byte, error) {
	b, err := os.ReadFile(filepath.Join(dir, seg.name()))
	if !errors.Is(err, fs.ErrNotExist) {
		return b, err
	}
	names, err := filepath.Glob(filepath.Join(dir, fmt.Sprintf("%020d*.log", seg.first)))
	if err != nil || len(names) == 0 {
		return nil, err
	}
	if b, err = os.ReadFile(names[0]); errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return b, err
}
