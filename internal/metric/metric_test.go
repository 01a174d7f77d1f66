package metric

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

var (
	noon  = time.Date(2026, 7, 1, 12, 0, 0, 0, time.UTC)
	hits  = ID{Owner: "1", Namespace: "n", Name: "hits"}
	point = func(v float64) []Value { return []Value{{v, 1}} }
)

func add(t *testing.T, s *Store, id ID, samples ...Sample) {
	t.Helper()
	for _, sample := range samples {
		if err := s.Add(noon, id, sample); err != nil {
			t.Fatal(err)
		}
	}
}

// show renders points as their second from noon, count, sum, minimum and maximum.
func show(points []Point) (lines []string) {
	for _, p := range points {
		lines = append(lines, fmt.Sprintf("%d%s: %g/%g %g..%g", p.Start-noon.Unix(), p.Unit, p.Count, p.Sum,
			p.Minimum, p.Maximum))
	}
	return lines
}

func TestPeriods(t *testing.T) {
	s := New()
	add(t, s, hits,
		Sample{At: noon.Add(-61 * time.Second), Fine: true, Values: point(1)},
		Sample{At: noon.Add(-59 * time.Second), Fine: true, Values: []Value{{-2, 2}, {7, 1}}},
		Sample{At: noon.Add(-12 * time.Second), Fine: true, Values: point(5)},
		Sample{At: noon.Add(-11 * time.Second), Values: point(3)}) // coarse: its minute's
	for _, c := range []struct {
		from, period int
		want         []string
	}{
		{-120, 60, []string{"-120: 1/1 1..1", "-60: 5/11 -2..7"}},
		{-120, 120, []string{"-120: 6/12 -2..7"}},
		{-60, 10, []string{"-60: 4/6 -2..7", "-20: 1/5 5..5"}},
		{-30, 60, []string{"-30: 1/5 5..5"}},
		{0, 60, nil},
	} {
		got := show(s.Points(hits, Query{From: noon.Add(time.Duration(c.from) * time.Second), To: noon,
			Period: time.Duration(c.period) * time.Second}))
		if !slices.Equal(got, c.want) {
			t.Errorf("from %d by %d: %q, want %q", c.from, c.period, got, c.want)
		}
	}
}

func TestDimensionsAndOwnersTellMetricsApart(t *testing.T) {
	s := New()
	a := ID{Owner: "1", Namespace: "n", Name: "m", Dimensions: []Dimension{{"b", "2"}, {"a", "1"}}}
	same := a
	same.Dimensions = []Dimension{{"a", "1"}, {"b", "2"}}
	other := a
	other.Dimensions = []Dimension{{"a", "1"}}
	foreign := a
	foreign.Owner = "2"
	for i, id := range []ID{a, same, other, foreign} {
		add(t, s, id, Sample{At: noon, Values: point(float64(i))})
	}
	all := Query{From: noon, To: noon.Add(time.Minute), Period: time.Minute}
	if got := show(s.Points(a, all)); !slices.Equal(got, []string{"0: 2/1 0..1"}) {
		t.Errorf("%q", got)
	}
	list := s.List("1")
	if len(list) != 2 || !list[0].Last.Equal(noon) || len(list[0].Dimensions) != 1 {
		t.Errorf("%+v", list)
	}
}

func TestUnits(t *testing.T) {
	s := New()
	add(t, s, hits, Sample{At: noon, Unit: "Count", Values: point(1)},
		Sample{At: noon, Unit: "Bytes", Values: point(2)}, Sample{At: noon, Unit: "Count", Values: point(4)})
	q := Query{From: noon, To: noon.Add(time.Minute), Period: time.Minute, PerUnit: true}
	if got := show(s.Points(hits, q)); !slices.Equal(got, []string{"0Bytes: 1/2 2..2", "0Count: 2/5 1..4"}) {
		t.Errorf("%q", got)
	}
	if q.Unit = "Bytes"; len(s.Points(hits, q)) != 1 {
		t.Errorf("%q", show(s.Points(hits, q)))
	}
	if q.Unit, q.PerUnit = "", false; s.Points(hits, q)[0].Sum != 7 {
		t.Errorf("%q", show(s.Points(hits, q)))
	}
}

// TestPercentiles compares with the sorted list of all numbers.
func TestPercentiles(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for _, distinct := range []int{1, 10, maxValues, 20 * maxValues} {
		s, numbers := New(), []float64(nil)
		for range 5000 {
			n := float64(rng.IntN(distinct))
			numbers = append(numbers, n)
			add(t, s, hits, Sample{At: noon, Values: point(n)})
		}
		slices.Sort(numbers)
		p := s.Points(hits, Query{From: noon, To: noon.Add(time.Hour), Period: time.Hour})[0]
		for _, q := range []float64{0, 0.1, 0.5, 0.99, 1} {
			want := numbers[max(0, int(math.Ceil(q*5000))-1)]
			got, ok := p.Percentile(q)
			allowed := 0.0
			if distinct > maxValues {
				allowed = 0.2 * float64(distinct)
			}
			if !ok || math.Abs(got-want) > allowed {
				t.Errorf("%d values: the %g quantile is %g, %v, want %g", distinct, q, got, ok, want)
			}
		}
		if len(p.values) > maxValues || p.Count != 5000 || p.Maximum != numbers[4999] {
			t.Errorf("%d values: %d are told apart, %+v", distinct, len(p.values), p.Set)
		}
	}
}

// TestSetsHaveNoPercentiles unless they are of one number.
func TestSetsHaveNoPercentiles(t *testing.T) {
	s := New()
	q := Query{From: noon, To: noon.Add(time.Minute), Period: time.Minute}
	add(t, s, hits, Sample{At: noon, Set: Set{3, 6, 2, 2}}, Sample{At: noon, Set: Set{1, 5, 5, 5}})
	if v, ok := s.Points(hits, q)[0].Percentile(0.5); !ok || v != 2 {
		t.Errorf("%g, %v", v, ok)
	}
	add(t, s, hits, Sample{At: noon, Set: Set{2, 9, 1, 8}})
	p := s.Points(hits, q)[0]
	if _, ok := p.Percentile(0.5); ok || p.Sum != 20 || p.Minimum != 1 || p.Maximum != 8 || p.Average() != 20./6 {
		t.Errorf("%+v", p)
	}
}

func TestSweep(t *testing.T) {
	s := New()
	add(t, s, hits, Sample{At: noon, Fine: true, Values: point(1)},
		Sample{At: noon.Add(time.Second), Fine: true, Values: point(2)},
		Sample{At: noon.Add(KeepSeconds), Fine: true, Values: point(4)})
	s.Sweep(noon.Add(KeepSeconds + 2*time.Minute))
	all := Query{From: noon, To: noon.Add(Keep), Period: time.Second}
	if got := show(s.Points(hits, all)); !slices.Equal(got, []string{"0: 2/3 1..2", "10800: 1/4 4..4"}) {
		t.Errorf("%q", got)
	}
	s.Sweep(noon.Add(2 * Keep))
	if len(s.List("1")) != 0 || s.size != 0 {
		t.Errorf("%v are left, of size %d", s.List("1"), s.size)
	}
	if err := s.Add(noon.Add(Keep), hits, Sample{At: noon, Values: point(1)}); !errors.Is(err, ErrOld) {
		t.Errorf("an old sample: %v", err)
	}
}

// TestMemoryIsBounded: what is too much is refused, and the sizes add up.
func TestMemoryIsBounded(t *testing.T) {
	s := New()
	for i := range maxMetrics {
		add(t, s, ID{Owner: "1", Name: fmt.Sprint(i)}, Sample{At: noon, Values: point(1)})
	}
	if err := s.Add(noon, hits, Sample{At: noon, Values: point(1)}); !errors.Is(err, ErrFull) {
		t.Errorf("a metric too many: %v", err)
	}
	if want := maxMetrics * (pointSize + 1); s.size != want {
		t.Errorf("the size is %d, want %d", s.size, want)
	}
	s.size = maxSize
	known := ID{Owner: "1", Name: "1"}
	if err := s.Add(noon, known, Sample{At: noon, Values: point(1)}); !errors.Is(err, ErrFull) {
		t.Errorf("a point too many: %v", err)
	}
	s.Sweep(noon)
	if want := maxMetrics * (pointSize + 1); s.size != want {
		t.Errorf("the size is %d after a sweep, want %d", s.size, want)
	}
}
