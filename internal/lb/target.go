package lb

import (
	"net/netip"
	"sync/atomic"
	"time"
)

// target is a registered target as all loops share it. It outlives tables: the next table that has
// the same target, with the same address, goes on with the same one.
type target struct {
	identity
	zone        string
	outstanding atomic.Int64
	gone        atomic.Bool // no table has it any more, or it is draining: keep no connections
	pools       []pool      // by loop

	// warmFrom and warmFor are the slow start in progress, as durations since the engine's start;
	// warmFor is 0 without one.
	warmFrom, warmFor atomic.Int64
}

// identity is what makes a target the same in two tables.
type identity struct {
	key      TargetKey
	addr     netip.AddrPort
	function Function
	node     string
	source   netip.Addr
	protocol Protocol
	version  ProtocolVersion
}

func identityOf(g *group, t *Target) identity {
	return identity{
		key: TargetKey{Group: g.ID, ID: t.ID, Port: t.Port}, addr: t.Addr,
		function: t.Function, node: g.Node, source: g.Source, protocol: g.Protocol, version: g.Version,
	}
}

// warmth is the share of its traffic that a target in slow start gets, from 0 to 1.
func (t *target) warmth(now time.Duration) float64 {
	total := t.warmFor.Load()
	if total == 0 {
		return 1
	}
	w := float64(int64(now)-t.warmFrom.Load()) / float64(total)
	return min(max(w, 0.01), 1)
}

// live is a table at work: its groups with the targets that all loops share.
type live struct {
	table   *Table
	groups  []*liveGroup
	targets map[*target]bool // whether it is draining

	counters []tableCounters // by loop; each loop makes and uses its own
}

func emptyLive() *live { return &live{table: &Table{}} }

// liveGroup is a group with its targets.
type liveGroup struct {
	*group
	targets []*target // that are not draining
	usable  atomic.Pointer[usableSets]
	turns   []uint32 // of round robin, by loop
}

// usableSets are the targets that requests may go to: of the whole group, and by zone.
type usableSets struct {
	all    targetSet
	byZone map[string]*targetSet // nil unless the group keeps zones apart
}

type targetSet struct {
	targets  []*target
	failOpen bool // too few were healthy, so that these are all of them
}

// zone returns the targets for requests that came in through a zone.
func (s *usableSets) zone(g *liveGroup, zone string) *targetSet {
	if !g.SameZoneOnly {
		return &s.all
	}
	if set := s.byZone[zone]; set != nil {
		return set
	}
	return &targetSet{}
}

// setUsable computes anew which targets requests may go to.
func (g *liveGroup) setUsable(healthy func(*target) bool) {
	s := &usableSets{all: g.filter(g.targets, healthy)}
	if g.SameZoneOnly {
		zones := map[string][]*target{}
		for _, t := range g.targets {
			zones[t.zone] = append(zones[t.zone], t)
		}
		s.byZone = map[string]*targetSet{}
		for zone, targets := range zones {
			s.byZone[zone] = new(g.filter(targets, healthy))
		}
	}
	g.usable.Store(s)
}

// filter keeps the healthy targets, or all of them if there are fewer than the thresholds of
// unhealthy-state routing ask for.
func (g *liveGroup) filter(targets []*target, healthy func(*target) bool) targetSet {
	var ok []*target
	for _, t := range targets {
		if healthy(t) {
			ok = append(ok, t)
		}
	}
	if len(ok) < g.MinHealthy || len(ok)*100 < g.MinHealthyPercent*len(targets) {
		return targetSet{targets: targets, failOpen: len(ok) < len(targets)}
	}
	return targetSet{targets: ok}
}
