package lb

import (
	"errors"
	"net/netip"
	"slices"
)

var errClosed = errors.New("load balancer engine is closed")

// Swap makes t the table for all requests that begin from now on, opens the addresses that are new
// and closes those that are gone. Addresses that cannot be opened are reported, as *BindError
// joined with errors.Join, and tried again by the next Swap; everything else takes effect
// nevertheless.
func (e *Engine) Swap(t *Table) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.closed {
		return errClosed
	}
	lv, removed := e.makeLive(t)
	e.live = lv
	e.watchTargets()
	opened, err := e.openFronts(t)
	e.onLoops(func(l *loop) {
		l.apply(lv, removed)
		for _, o := range opened {
			l.listen(o, t.fronts[o.key])
		}
	})
	for key := range e.bindings {
		if t.fronts[key] == nil {
			delete(e.bindings, key)
		}
	}
	e.dropInherited()
	e.keys.Keep(t.endpoints())
	return err
}

// makeLive puts a table to work: targets that were there before are found again. It also returns
// the targets that are in no table any more.
func (e *Engine) makeLive(t *Table) (*live, map[*target]bool) {
	lv := &live{table: t, targets: map[*target]bool{},
		counters: make([]tableCounters, len(e.loops))}
	before := e.targets
	e.targets = map[identity]*target{}
	for _, g := range t.groups {
		lg := &liveGroup{group: g, turns: make([]uint32, len(e.loops))}
		for i := range g.Targets {
			spec := &g.Targets[i]
			id := identityOf(g, spec)
			tgt := before[id]
			if tgt == nil {
				tgt = &target{identity: id, pools: make([]pool, len(e.loops))}
			}
			tgt.zone = spec.Zone
			tgt.gone.Store(spec.Draining)
			e.targets[id] = tgt
			lv.targets[tgt] = spec.Draining
			if !spec.Draining {
				lg.targets = append(lg.targets, tgt)
			}
		}
		lv.groups = append(lv.groups, lg)
	}
	removed := map[*target]bool{}
	for id, tgt := range before {
		if e.targets[id] == nil {
			tgt.gone.Store(true)
			removed[tgt] = true
		}
	}
	return lv, removed
}

// opening is an address that has just been opened, with sockets for every loop.
type opening struct {
	key  bindKey
	addr netip.AddrPort
	fds  []int
}

// openFronts opens the addresses of a table that are not open yet.
func (e *Engine) openFronts(t *Table) (opened []opening, err error) {
	var errs []error
	for key, f := range t.fronts {
		if e.bindings[key] != nil {
			continue
		}
		fds, addr, err := e.openFront(f.bind)
		if err != nil {
			for _, l := range f.listeners {
				errs = append(errs, &BindError{Listener: l.ID, Bind: f.bind, Err: err})
			}
			continue
		}
		e.bindings[key] = &binding{node: f.bind.Node, addr: addr, fds: fds}
		opened = append(opened, opening{key: key, addr: addr, fds: fds})
	}
	return opened, errors.Join(errs...)
}

// openFront takes over the sockets of a predecessor, or opens new ones.
func (e *Engine) openFront(b Bind) (fds []int, addr netip.AddrPort, err error) {
	i := slices.IndexFunc(e.inherited, func(in Inherited) bool {
		return in.Node == b.Node && in.Addr == b.Addr
	})
	if i < 0 {
		return openListeners(e.network, b, len(e.loops))
	}
	fds = e.inherited[i].fds()
	e.inherited = slices.Delete(e.inherited, i, i+1)
	for len(fds) < len(e.loops) {
		fd, err := openListener(e.network, b.Node, b.Addr)
		if err != nil {
			closeAll(fds)
			return nil, netip.AddrPort{}, err
		}
		fds = append(fds, fd)
	}
	return fds, b.Addr, nil
}

// listen begins to accept connections on an address. A predecessor with more loops leaves more than
// one socket for each of ours.
func (l *loop) listen(o opening, f *front) {
	for i, fd := range o.fds {
		if i%len(l.eng.loops) != l.id {
			continue
		}
		a, err := l.newAcceptor(fd, o.addr, f)
		if err != nil {
			l.log.Error("listen", "address", o.addr, "error", err)
			continue
		}
		l.acceptors[o.key] = append(l.acceptors[o.key], a)
	}
}

// apply makes a table the loop's. Requests in flight go on with theirs, except those whose target
// is not registered any more.
func (l *loop) apply(lv *live, removed map[*target]bool) {
	l.live = lv
	lv.counters[l.id] = l.counters.of(lv.table)
	for key, as := range l.acceptors {
		front := lv.table.fronts[key]
		for _, a := range as {
			a.setFront(front)
		}
		if front == nil {
			delete(l.acceptors, key)
		}
	}
	for _, ex := range slices.Clone(l.flights) {
		// An invocation under way is no connection with a target: there is no deregistration delay
		// for functions, and it ends as it would have.
		if removed[ex.tgt] && !ex.grp.Lambda {
			ex.cut("deregistration delay is over")
		}
	}
	l.closeIdle(func(c *connInfo) bool { return c.acc.front == nil })
	for s := range l.socks() {
		switch u := s.owner.(type) {
		case *upConn:
			if u.pooled && u.tgt.gone.Load() {
				u.end()
			}
		case *h2up:
			u.endIfDone()
		}
	}
}

// closeIdle closes the connections that wait for a request and fit; clients of HTTP/2 are asked to
// leave.
func (l *loop) closeIdle(fits func(*connInfo) bool) {
	for s := range l.socks() {
		switch c := s.owner.(type) {
		case *client:
			if fits(&c.info) {
				c.endIfIdle()
			}
		case *h2conn:
			if fits(&c.info) {
				c.leave()
			}
		}
	}
}

// drain stops accepting and closes what is idle; it returns how many client connections are left.
func (l *loop) drain() int {
	l.retire()
	l.closeIdle(func(*connInfo) bool { return true })
	return l.clients
}

// retire stops accepting and has every connection end with its next answer; it returns how many
// client connections are left.
func (l *loop) retire() int {
	l.draining = true
	for key, as := range l.acceptors {
		for _, a := range as {
			a.close()
		}
		delete(l.acceptors, key)
	}
	for s := range l.socks() {
		if c, ok := s.owner.(*h2conn); ok {
			c.leave()
		}
	}
	return l.clients
}
