package metric

import (
	"cmp"
	"errors"
	"slices"
	"strings"
	"sync"
	"time"
)

// Limits of a store.
const (
	// KeepSeconds is how long datapoints of a second are told apart, as on CloudWatch.
	// https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/cloudwatch_concepts.html
	KeepSeconds = 3 * time.Hour
	// Keep is how long datapoints are kept at all. CloudWatch keeps them for 15 days and more; here
	// it is what the alarm that looks back furthest, over a day, needs.
	Keep = 26 * time.Hour
	// maxMetrics is how many metrics there may be.
	maxMetrics = 10_000
	// maxSize is the memory of all datapoints, in units of a value (16 bytes): 64 MiB.
	maxSize = 4 << 20
)

// Errors of Add.
var (
	ErrFull = errors.New("metric: there is no room for another datapoint")
	ErrOld  = errors.New("metric: the datapoint is older than any that is kept")
)

// Dimension is one of the names that tell metrics of the same name apart.
type Dimension struct{ Name, Value string }

// ID names a metric. The order of its dimensions does not matter.
type ID struct {
	Owner           string
	Namespace, Name string
	Dimensions      []Dimension
}

// key is the same for equal metrics and for no others: no part can hold its separator.
func (id ID) key() string {
	parts := []string{id.Owner, id.Namespace, id.Name}
	for _, d := range id.sorted() {
		parts = append(parts, d.Name, d.Value)
	}
	return strings.Join(parts, "\x00")
}

func (id ID) sorted() []Dimension {
	return slices.SortedFunc(slices.Values(id.Dimensions), func(a, b Dimension) int {
		return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.Value, b.Value))
	})
}

// Metric is a metric that there are datapoints of.
type Metric struct {
	ID
	Last time.Time // the begin of its newest datapoint
}

// Store holds metrics. Its methods may be called from any goroutine.
type Store struct {
	mu     sync.RWMutex // guards what follows
	series map[string]*series
	size   int // of all points, in units of a value
}

// series is a metric with its datapoints, in order of time and then unit.
type series struct {
	id     ID
	points []Point
}

// New returns an empty store.
func New() *Store { return &Store{series: map[string]*series{}} }

// Sample is a number, or several, that were seen at a time.
type Sample struct {
	At   time.Time
	Unit string
	// Fine keeps the second of the sample apart from others, for KeepSeconds.
	Fine bool
	// Values are the numbers. Without any, Set tells about them what is known.
	Values []Value
	Set    Set
}

// Value is a number and how often it was seen.
type Value struct{ Value, Count float64 }

// Set is what is known about several numbers.
type Set struct{ Count, Sum, Minimum, Maximum float64 }

// Add puts a sample into its datapoint.
func (s *Store) Add(now time.Time, id ID, sample Sample) error {
	if now.Sub(sample.At) >= Keep {
		return ErrOld
	}
	point := sample.point(now)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.size+point.size() > maxSize {
		return ErrFull
	}
	key := id.key()
	have := s.series[key]
	if have == nil {
		if len(s.series) >= maxMetrics {
			return ErrFull
		}
		id.Dimensions = id.sorted()
		have = &series{id: id}
		s.series[key] = have
	}
	s.size += have.add(point)
	return nil
}

// point is the datapoint that the sample alone makes.
func (sample Sample) point(now time.Time) Point {
	unit := time.Minute
	if sample.Fine && now.Sub(sample.At) < KeepSeconds {
		unit = time.Second
	}
	p := Point{Start: sample.At.Truncate(unit).Unix(), Unit: sample.Unit, Set: sample.Set}
	if len(sample.Values) == 0 {
		p.partial = p.Count != 1 && p.Minimum != p.Maximum
		if !p.partial {
			p.values = []Value{{p.Maximum, p.Count}}
		}
		return p
	}
	for _, v := range sample.Values {
		p.merge(Point{Set: Set{v.Count, v.Value * v.Count, v.Value, v.Value}, values: []Value{v}})
	}
	return p
}

// add merges a point into the series and returns by how much that grew it.
func (s *series) add(p Point) (grown int) {
	i, found := slices.BinarySearchFunc(s.points, p, Point.compare)
	if !found {
		s.points = slices.Insert(s.points, i, p)
		return p.size()
	}
	before := s.points[i].size()
	s.points[i].merge(p)
	return s.points[i].size() - before
}

// Query asks for periods from a time on and before another; an empty unit is any.
type Query struct {
	From, To time.Time
	Period   time.Duration
	Unit     string
	// PerUnit keeps datapoints of different units apart.
	PerUnit bool
}

// Points gathers the datapoints of a metric into periods, which begin at From. Periods without any
// are not there.
func (s *Store) Points(id ID, q Query) (periods []Point) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	have := s.series[id.key()]
	if have == nil {
		return nil
	}
	first, _ := slices.BinarySearchFunc(have.points, q.From.Unix(), func(p Point, at int64) int {
		return cmp.Compare(p.Start, at)
	})
	for _, p := range have.points[first:] {
		if p.Start >= q.To.Unix() {
			break
		}
		if q.Unit == "" || q.Unit == p.Unit {
			periods = q.gather(periods, p)
		}
	}
	return periods
}

// gather merges a point into its period, which is among the last.
func (q Query) gather(periods []Point, p Point) []Point {
	seconds := int64(q.Period / time.Second)
	start := q.From.Unix() + (p.Start-q.From.Unix())/seconds*seconds
	for i := len(periods) - 1; i >= 0 && periods[i].Start == start; i-- {
		if !q.PerUnit || periods[i].Unit == p.Unit {
			periods[i].merge(p)
			return periods
		}
	}
	p.Start, p.values = start, slices.Clone(p.values)
	return append(periods, p)
}

// List lists the metrics of an owner, in order of namespace, name and dimensions.
func (s *Store) List(owner string) (list []Metric) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	var keys []string
	for key, have := range s.series {
		if have.id.Owner == owner {
			keys = append(keys, key)
		}
	}
	slices.Sort(keys)
	for _, key := range keys {
		have := s.series[key]
		last := have.points[len(have.points)-1].Start
		list = append(list, Metric{have.id, time.Unix(last, 0).UTC()})
	}
	return list
}

// Sweep folds seconds that are no longer told apart into minutes, and forgets what is old.
func (s *Store) Sweep(now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.size = 0
	for key, have := range s.series {
		have.sweep(now)
		if len(have.points) == 0 {
			delete(s.series, key)
		}
		for _, p := range have.points {
			s.size += p.size()
		}
	}
}

// Reset forgets everything.
func (s *Store) Reset() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.series, s.size = map[string]*series{}, 0
}

func (s *series) sweep(now time.Time) {
	fold := now.Add(-KeepSeconds).Truncate(time.Minute).Unix()
	forget := now.Add(-Keep).Unix()
	old := s.points
	s.points = nil
	for _, p := range old {
		if p.Start < forget {
			continue
		}
		if p.Start < fold {
			p.Start -= p.Start % 60
		}
		s.add(p)
	}
}
