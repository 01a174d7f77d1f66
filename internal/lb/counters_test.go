package lb

import (
	"testing"
	"time"
)

func TestHistogram(t *testing.T) {
	var h Histogram
	for i := 1; i <= 1000; i++ {
		h.observe(time.Duration(i) * time.Millisecond)
	}
	for q, want := range map[float64]time.Duration{0.5: 500 * time.Millisecond,
		0.9: 900 * time.Millisecond, 0.99: 990 * time.Millisecond, 1: time.Second} {
		if got := h.Quantile(q); got < want || got > want*5/4+time.Millisecond {
			t.Errorf("quantile %v = %v, want %v or up to a quarter more", q, got, want)
		}
	}
	before := h
	h.observe(time.Minute)
	if d := h.Sub(before); d.Count != 1 || d.Seconds != 60 || d.Quantile(0.5) < time.Minute {
		t.Errorf("difference %d, %v s, median %v", d.Count, d.Seconds, d.Quantile(0.5))
	}
	var empty Histogram
	if empty.Quantile(0.5) != 0 {
		t.Error("an empty histogram has a median")
	}
}

// Every duration is below the bound of its bucket, and not below that of the bucket before.
func TestBuckets(t *testing.T) {
	for d := time.Microsecond; d < time.Hour; d += d/7 + 1 {
		i := bucketOf(d)
		if d.Truncate(time.Microsecond) > upperBound(i) ||
			i > 8 && i < histogramBuckets-1 && d < upperBound(i-1)-time.Microsecond {
			t.Fatalf("%v is in bucket %d up to %v", d, i, upperBound(i))
		}
	}
}
