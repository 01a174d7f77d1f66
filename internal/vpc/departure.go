package vpc

import (
	"errors"
	"maps"
	"slices"
	"sync"

	"golang.org/x/sync/errgroup"
)

// removalsAtOnce bounds the threads that wait for the kernel at the same time.
const removalsAtOnce = 16

// departure is an interface whose devices are being removed. The kernel takes 20 to 40 ms for a
// veth pair, and as long for ten of them at once, so that this goes on while others change.
type departure struct {
	port    *port // nil: there is nothing to remove
	segment *segment
}

// departures lets those wait who need the departing devices to be gone. Whoever waits may hold the
// lock of the Host; whoever departs must not need it.
type departures struct {
	mu   sync.Mutex
	gone map[string]chan struct{} // closed when nothing is left, by interface
}

func (d *departures) begin(id string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.gone == nil {
		d.gone = map[string]chan struct{}{}
	}
	d.gone[id] = make(chan struct{})
}

func (d *departures) end(id string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	close(d.gone[id])
	delete(d.gone, id)
}

// wait waits until an interface is not departing.
func (d *departures) wait(id string) {
	d.mu.Lock()
	gone := d.gone[id]
	d.mu.Unlock()
	if gone != nil {
		<-gone
	}
}

func (d *departures) waitAll() {
	d.mu.Lock()
	ids := slices.Collect(maps.Keys(d.gone))
	d.mu.Unlock()
	for _, id := range ids {
		d.wait(id)
	}
}

// detach ends what leads to an interface and forgets it. Its devices are still there: finish.
func (h *Host) detach(id string) (departure, error) {
	h.departures.wait(id)
	p := h.enis[id]
	if p == nil {
		return departure{}, nil
	}
	d := departure{p, p.segment}
	if err := h.disregard(p); err != nil {
		return departure{}, err
	}
	h.doors.shut(door{kindENI, id})
	delete(h.enis, id)
	h.departures.begin(id)
	return d, nil
}

// disregard takes an interface out of the translation tables and the router's neighbours.
func (h *Host) disregard(p *port) error {
	s := p.segment
	if s == nil {
		return nil
	}
	p.segment = nil
	err := h.syncGateways()
	if err == nil {
		err = deleteNeighbour(s.vpc.ns.link, s.index, p.note.Addr)
	}
	if err != nil {
		p.segment = s
	}
	return err
}

// unplug removes the cable of an interface; its namespace remains.
func (h *Host) unplug(p *port) error {
	d := departure{p, p.segment}
	if err := h.disregard(p); err != nil {
		return err
	}
	err := d.unplug()
	if err != nil {
		p.segment = d.segment
	}
	return err
}

// unplug works by a socket of its own: requests on a shared one wait for each other.
func (d departure) unplug() error {
	if d.segment == nil {
		return nil
	}
	ns, err := openNamespace(d.segment.vpc.ns.fd)
	if err != nil {
		return err
	}
	defer ns.close()
	return deleteLink(ns.link, portName(d.port.id))
}

// remove removes the devices.
func (h *Host) remove(d departure) error {
	if d.port == nil {
		return nil
	}
	defer h.departures.end(d.port.id)
	return errors.Join(d.unplug(), removeNamespace(h.ENINamespace(d.port.id)))
}

// finish removes the devices without the lock.
func (h *Host) finish(d departure) error {
	err := h.remove(d)
	if err != nil {
		h.mu.Lock()
		h.reinstate(d)
		h.mu.Unlock()
	}
	return err
}

// reinstate remembers an interface that could not be removed, so that it can be tried again.
func (h *Host) reinstate(d departure) {
	if h.enis[d.port.id] == nil {
		d.port.segment = d.segment
		h.enis[d.port.id] = d.port
	}
}

// deleteENIs removes several interfaces at once, with the lock.
func (h *Host) deleteENIs(ids []string) error {
	errs := make([]error, len(ids))
	left := make([]departure, len(ids))
	for i, id := range ids {
		left[i], errs[i] = h.detach(id)
	}
	errs = append(errs, h.endFlows())
	var group errgroup.Group
	group.SetLimit(removalsAtOnce)
	for i, d := range left {
		group.Go(func() error {
			errs[i] = errors.Join(errs[i], h.remove(d))
			return nil
		})
	}
	group.Wait()
	for i, d := range left {
		if errs[i] != nil && d.port != nil {
			h.reinstate(d)
		}
	}
	h.departures.waitAll()
	return errors.Join(errs...)
}
