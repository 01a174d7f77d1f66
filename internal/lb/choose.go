package lb

import (
	"encoding/binary"

	"fairlead/internal/lb/http1"
)

var (
	errNoTargets = &http1.Error{Status: 503, Text: "target group has no targets"}
	errVersion   = &http1.Error{Status: 464, Text: "protocol version of the target group"}
)

// forward transforms the request, chooses a group and a target of it and sends the request there.
func (ex *exchange) forward(r *http1.Request) {
	if ex.act.transforms != nil && !ex.transform() {
		return
	}
	ex.grp = ex.chooseGroup(r)
	if ex.grp == nil {
		ex.refuse(errNoTargets)
		return
	}
	if !ex.versionFits() {
		ex.refuse(errVersion)
		return
	}
	t := ex.chooseTarget(r)
	if t == nil {
		ex.refuse(errNoTargets)
		return
	}
	ex.assign(t)
	if ex.grp.Lambda && !ex.invocable(r) {
		return
	}
	ex.dispatch(r)
}

// assign makes t the target; from here on the request counts as one of its.
func (ex *exchange) assign(t *target) {
	ex.tgt = t
	t.outstanding.Add(1)
	ex.stats.RequestCount++
	c := ex.groupStats()
	c.RequestCount++
	if ex.grpc {
		c.GrpcRequestCount++
	}
	if ex.failOpen {
		c.UnhealthyRoutingRequestCount++
	}
}

// groupStats are the loop's counters of the chosen group.
func (ex *exchange) groupStats() *groupCounters {
	return ex.live.counters[ex.loop.id].groups[ex.grp.index]
}

// chooseGroup picks a group by weight, unless a cookie holds the client in one. A group that turns
// out to be empty is not replaced by another.
func (ex *exchange) chooseGroup(r *http1.Request) *liveGroup {
	a := ex.act
	if len(a.groups) == 1 && a.sticky == 0 && a.total > 0 {
		return ex.live.groups[a.groups[0].group.index]
	}
	if a.sticky > 0 {
		if g := ex.stickyGroup(r); g != nil {
			return g
		}
	}
	if a.total == 0 {
		return nil
	}
	n := int(ex.loop.uint64() % uint64(a.total))
	for _, w := range a.groups {
		if n -= w.weight; n < 0 {
			g := ex.live.groups[w.group.index]
			if a.sticky > 0 {
				ex.setGroupCookie(g)
			}
			return g
		}
	}
	return nil
}

func (l *loop) uint64() uint64 { return l.random.Uint64() }

// versionFits applies the table of request versions and group versions (ALB guide, "protocol
// version"): HTTP/1 requests only go to HTTP1 groups, gRPC requests not to them, and GRPC groups
// take POST only.
func (ex *exchange) versionFits() bool {
	switch ex.grp.Version {
	case HTTP2:
		return ex.http2
	case GRPC:
		return ex.http2 && string(ex.method) == "POST"
	}
	return !ex.grpc
}

// chooseTarget picks a target: the one that a cookie names, or one by the group's algorithm.
func (ex *exchange) chooseTarget(r *http1.Request) *target {
	set := ex.grp.usable.Load().zone(ex.grp, ex.conn.acc.bind.Zone)
	if len(set.targets) == 0 {
		return nil
	}
	ex.failOpen = set.failOpen
	if ex.grp.Stickiness.Type != NoStickiness {
		if t := ex.stickyTarget(r, set); t != nil {
			return t
		}
		ex.stats.NonStickyRequestCount++
	}
	t := ex.pick(set)
	if ex.grp.Stickiness.Type == LBCookie {
		ex.setTargetCookie(t)
	}
	return t
}

// pick applies the algorithm of the group.
func (ex *exchange) pick(set *targetSet) *target {
	if len(set.targets) == 1 {
		return set.targets[0]
	}
	switch ex.grp.Algorithm {
	case LeastOutstanding:
		return ex.leastOutstanding(set.targets)
	case WeightedRandom:
		return set.targets[ex.loop.uint64()%uint64(len(set.targets))]
	}
	return ex.roundRobin(set.targets)
}

// roundRobin takes the next target in turn. One in slow start is passed over with a chance that
// falls as it warms up, so that its share grows linearly.
func (ex *exchange) roundRobin(targets []*target) *target {
	turn := &ex.grp.turns[ex.loop.id]
	var t *target
	for range targets {
		*turn++
		t = targets[*turn%uint32(len(targets))]
		if w := t.warmth(ex.loop.now); w >= 1 || ex.loop.chance() < w {
			return t
		}
	}
	return t
}

// chance is a random number from 0 to 1.
func (l *loop) chance() float64 { return float64(l.uint64()>>11) / (1 << 53) }

// leastOutstanding takes the target with the fewest requests in flight; ties are broken by turn.
func (ex *exchange) leastOutstanding(targets []*target) *target {
	turn := &ex.grp.turns[ex.loop.id]
	*turn++
	var best *target
	var least int64
	for i := range targets {
		t := targets[(int(*turn)+i)%len(targets)]
		if n := t.outstanding.Load(); best == nil || n < least {
			best, least = t, n
		}
	}
	return best
}

// appendHex appends n random hexadecimal digits.
func (l *loop) appendHex(dst []byte, n int) []byte {
	const digits = "0123456789abcdef"
	for n > 0 {
		var b [8]byte
		binary.NativeEndian.PutUint64(b[:], l.uint64())
		for _, c := range b {
			if n == 0 {
				break
			}
			dst = append(dst, digits[c&15])
			n--
		}
	}
	return dst
}
