package metric

import (
	"cmp"
	"math"
	"slices"
	"time"
)

// maxValues is how many different values a datapoint tells apart. CloudWatch takes at most 150 in
// one call; beyond that, percentiles here become approximate.
const maxValues = 256

// pointSize is what a point costs besides its values, in units of a value.
const pointSize = 6

// Point is what is known about the numbers of a second, a minute or a period.
type Point struct {
	Start int64 // seconds since 1970
	Unit  string
	Set
	values  []Value // in order
	partial bool    // the values are not all: some were told of by their set alone
}

// Time is when the point begins.
func (p Point) Time() time.Time { return time.Unix(p.Start, 0).UTC() }

// Average is the mean of the numbers.
func (p Point) Average() float64 { return p.Sum / p.Count }

// Percentile is the number that the share q (0 to 1) of all numbers does not exceed. It is unknown
// when numbers were told of by their set alone.
func (p Point) Percentile(q float64) (v float64, ok bool) {
	if p.partial || len(p.values) == 0 {
		return 0, false
	}
	left := q * p.Count
	for _, v := range p.values {
		if left -= v.Count; left <= 0 {
			return v.Value, true
		}
	}
	return p.Maximum, true
}

func (p Point) compare(o Point) int {
	return cmp.Or(cmp.Compare(p.Start, o.Start), cmp.Compare(p.Unit, o.Unit))
}

func (p Point) size() int { return pointSize + len(p.values) }

// merge adds the numbers of o. Its own values are its own: o's are copied.
func (p *Point) merge(o Point) {
	if p.Count == 0 {
		p.Minimum, p.Maximum = o.Minimum, o.Maximum
	} else if o.Count > 0 {
		p.Minimum, p.Maximum = min(p.Minimum, o.Minimum), max(p.Maximum, o.Maximum)
	}
	p.Count += o.Count
	p.Sum += o.Sum
	if p.partial = p.partial || o.partial; p.partial {
		p.values = nil
		return
	}
	for _, v := range o.values {
		p.count(v)
	}
	if len(p.values) > maxValues {
		p.thin()
	}
}

// count adds a value to the others.
func (p *Point) count(v Value) {
	i, found := slices.BinarySearchFunc(p.values, v.Value, func(have Value, v float64) int {
		return cmp.Compare(have.Value, v)
	})
	if found {
		p.values[i].Count += v.Count
		return
	}
	p.values = slices.Insert(p.values, i, v)
}

// thin joins neighbours until half of the values are left; the outermost stay.
func (p *Point) thin() {
	thinned := p.values[:1:1]
	for i := 1; i < len(p.values)-1; i += 2 {
		v := p.values[i]
		if i+1 < len(p.values)-1 {
			v.Value = math.Max(v.Value, p.values[i+1].Value)
			v.Count += p.values[i+1].Count
		}
		thinned = append(thinned, v)
	}
	p.values = append(thinned, p.values[len(p.values)-1])
}
