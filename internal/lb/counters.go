package lb

import (
	"iter"
	"math/bits"
	"time"
)

// lbCounters and groupCounters are counted by one loop, without locks; Stats asks every loop for
// its own and adds them up.
type (
	lbCounters    = LoadBalancerStats
	groupCounters = GroupStats
)

// loopCounters are the counters of a loop.
type loopCounters struct {
	lbs    map[string]*lbCounters
	groups map[string]*groupCounters
}

func newLoopCounters() *loopCounters {
	return &loopCounters{lbs: map[string]*lbCounters{}, groups: map[string]*groupCounters{}}
}

func (c *loopCounters) lb(name string) *lbCounters {
	s := c.lbs[name]
	if s == nil {
		s = new(lbCounters)
		c.lbs[name] = s
	}
	return s
}

func (c *loopCounters) group(id string) *groupCounters {
	s := c.groups[id]
	if s == nil {
		s = new(groupCounters)
		c.groups[id] = s
	}
	return s
}

// tableCounters are a loop's counters of what a table has, by the indexes of the table, so that a
// request need not look them up by name.
type tableCounters struct {
	lbs    []*lbCounters // by listener
	groups []*groupCounters
}

// of finds the counters of everything that a table has.
func (c *loopCounters) of(t *Table) (tc tableCounters) {
	for _, ln := range t.listeners {
		tc.lbs = append(tc.lbs, c.lb(ln.LoadBalancer))
	}
	for _, g := range t.groups {
		tc.groups = append(tc.groups, c.group(g.ID))
	}
	return tc
}

// addTo adds the counters of a loop to a sum.
func (c *loopCounters) addTo(sum *Stats) {
	for name, s := range c.lbs {
		total := sum.LoadBalancers[name]
		total.add(s)
		sum.LoadBalancers[name] = total
	}
	for id, s := range c.groups {
		total := sum.Groups[id]
		total.add(s)
		sum.Groups[id] = total
	}
}

func (s *LoadBalancerStats) add(o *LoadBalancerStats) {
	s.ActiveConnections += o.ActiveConnections
	s.NewConnectionCount += o.NewConnectionCount
	s.RejectedConnectionCount += o.RejectedConnectionCount
	s.ClientTLSNegotiationErrorCount += o.ClientTLSNegotiationErrorCount
	s.RequestCount += o.RequestCount
	s.ProcessedBytes += o.ProcessedBytes
	s.RuleEvaluations += o.RuleEvaluations
	s.ELB3XX += o.ELB3XX
	s.ELB4XX += o.ELB4XX
	s.ELB5XX += o.ELB5XX
	s.ELB500 += o.ELB500
	s.ELB502 += o.ELB502
	s.ELB503 += o.ELB503
	s.ELB504 += o.ELB504
	s.HTTPRedirectCount += o.HTTPRedirectCount
	s.HTTPRedirectURLLimitExceededCount += o.HTTPRedirectURLLimitExceededCount
	s.HTTPFixedResponseCount += o.HTTPFixedResponseCount
	s.DesyncNonCompliantRequestCount += o.DesyncNonCompliantRequestCount
	s.DroppedInvalidHeaderRequestCount += o.DroppedInvalidHeaderRequestCount
	s.ForwardedInvalidHeaderCount += o.ForwardedInvalidHeaderCount
	s.NonStickyRequestCount += o.NonStickyRequestCount
	s.LambdaTargetProcessedBytes += o.LambdaTargetProcessedBytes
	s.JWTValidationSuccessCount += o.JWTValidationSuccessCount
	s.JWTValidationFailureCount += o.JWTValidationFailureCount
}

func (s *GroupStats) add(o *GroupStats) {
	s.RequestCount += o.RequestCount
	s.Target2XX += o.Target2XX
	s.Target3XX += o.Target3XX
	s.Target4XX += o.Target4XX
	s.Target5XX += o.Target5XX
	s.TargetConnectionErrorCount += o.TargetConnectionErrorCount
	s.TargetTLSNegotiationErrorCount += o.TargetTLSNegotiationErrorCount
	s.UnhealthyRoutingRequestCount += o.UnhealthyRoutingRequestCount
	s.GrpcRequestCount += o.GrpcRequestCount
	s.LambdaUserError += o.LambdaUserError
	s.LambdaInternalError += o.LambdaInternalError
	s.TargetResponseTime.add(&o.TargetResponseTime)
}

// bucketOf returns the bucket of a duration: 4 per power of two, from 1 µs on.
func bucketOf(d time.Duration) int {
	us := uint64(max(d/time.Microsecond, 1))
	power := bits.Len64(us) - 1
	quarter := int(us<<2>>power) & 3
	return min(power*4+quarter, histogramBuckets-1)
}

// upperBound is the duration below which everything in a bucket is.
func upperBound(bucket int) time.Duration {
	return time.Duration(float64(time.Microsecond) * float64(uint64(1)<<(bucket/4)) *
		(1 + float64(bucket%4+1)/4))
}

func (h *Histogram) observe(d time.Duration) {
	h.Count++
	h.Seconds += d.Seconds()
	h.Buckets[bucketOf(d)]++
}

func (h *Histogram) add(o *Histogram) {
	h.Count += o.Count
	h.Seconds += o.Seconds
	for i := range h.Buckets {
		h.Buckets[i] += o.Buckets[i]
	}
}

// Quantile returns a duration that the share q (0 to 1) of all observations does not exceed, up to
// the width of a bucket, a fifth. It is 0 without observations.
func (h *Histogram) Quantile(q float64) time.Duration {
	left := uint64(q * float64(h.Count))
	for i, n := range h.Buckets {
		if n > left || n == left && n > 0 {
			return upperBound(i)
		}
		left -= n
	}
	return 0
}

// All yields the buckets that are not empty: a duration that none in it exceeds, and how many it
// has.
func (h *Histogram) All() iter.Seq2[time.Duration, uint64] {
	return func(yield func(time.Duration, uint64) bool) {
		for i, n := range h.Buckets {
			if n > 0 && !yield(upperBound(i), n) {
				return
			}
		}
	}
}

// Sub returns the observations of h that o, an earlier state of h, does not have.
func (h Histogram) Sub(o Histogram) Histogram {
	h.Count -= o.Count
	h.Seconds -= o.Seconds
	for i := range h.Buckets {
		h.Buckets[i] -= o.Buckets[i]
	}
	return h
}
