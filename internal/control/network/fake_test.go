package network

import (
	"context"
	"errors"
	"maps"
	"slices"
	"sync"

	"fairlead/internal/vpc"
)

var _ Host = (*fakeHost)(nil)

// fakeHost keeps devices in maps and holds the controller to the order that a real host needs.
type fakeHost struct {
	mu      sync.Mutex
	vpcs    map[string]vpc.VPC
	subnets map[string]vpc.Subnet
	enis    map[string]vpc.ENI
	fail    map[string]error         // by id, until taken away
	block   map[string]chan struct{} // by id: the call waits for the channel to be closed
	calls   map[string]int           // by id
}

func newFakeHost() *fakeHost {
	return &fakeHost{
		vpcs: map[string]vpc.VPC{}, subnets: map[string]vpc.Subnet{}, enis: map[string]vpc.ENI{},
		fail: map[string]error{}, block: map[string]chan struct{}{}, calls: map[string]int{},
	}
}

// do counts a call for the device and makes it fail or wait as the test asked.
func (h *fakeHost) do(ctx context.Context, id string, change func() error) error {
	h.mu.Lock()
	block := h.block[id]
	h.mu.Unlock()
	if block != nil {
		select {
		case <-block:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.calls[id]++
	if err := h.fail[id]; err != nil {
		return err
	}
	return change()
}

func (h *fakeHost) EnsureVPC(ctx context.Context, v vpc.VPC) error {
	return h.do(ctx, v.ID, func() error {
		h.vpcs[v.ID] = v
		return nil
	})
}

func (h *fakeHost) EnsureSubnet(ctx context.Context, s vpc.Subnet) error {
	return h.do(ctx, s.ID, func() error {
		if _, ok := h.vpcs[s.VPC]; !ok {
			return errors.New("no such VPC")
		}
		h.subnets[s.ID] = s
		return nil
	})
}

func (h *fakeHost) EnsureENI(ctx context.Context, e vpc.ENI) error {
	return h.do(ctx, e.ID, func() error {
		if _, ok := h.subnets[e.Subnet]; !ok {
			return errors.New("no such subnet")
		}
		h.enis[e.ID] = e
		return nil
	})
}

func (h *fakeHost) DeleteENI(ctx context.Context, id string) error {
	return h.do(ctx, id, func() error {
		delete(h.enis, id)
		return nil
	})
}

func (h *fakeHost) DeleteSubnet(ctx context.Context, id string) error {
	return h.do(ctx, id, func() error {
		for _, e := range h.enis {
			if e.Subnet == id {
				return errors.New("subnet has interfaces")
			}
		}
		delete(h.subnets, id)
		return nil
	})
}

func (h *fakeHost) DeleteVPC(ctx context.Context, id string) error {
	return h.do(ctx, id, func() error {
		for _, s := range h.subnets {
			if s.VPC == id {
				return errors.New("VPC has subnets")
			}
		}
		delete(h.vpcs, id)
		return nil
	})
}

func (h *fakeHost) Prune(_ context.Context, keep vpc.Inventory) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	prune(h.enis, keep.ENIs)
	prune(h.subnets, keep.Subnets)
	prune(h.vpcs, keep.VPCs)
	return nil
}

func prune[D any](devices map[string]D, keep []string) {
	maps.DeleteFunc(devices, func(id string, _ D) bool { return !slices.Contains(keep, id) })
}

// set changes the fake under its lock.
func (h *fakeHost) set(change func()) {
	h.mu.Lock()
	defer h.mu.Unlock()
	change()
}

// eni returns the interface as it exists.
func (h *fakeHost) eni(id string) (vpc.ENI, bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	e, ok := h.enis[id]
	return e, ok
}

// count returns how many devices there are.
func (h *fakeHost) count() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.vpcs) + len(h.subnets) + len(h.enis)
}
