package balancer

import (
	"context"
	"testing"
	"time"

	"fairlead/internal/row"
	"fairlead/internal/state"
	"fairlead/internal/state/statetest"
)

// TestStartedWithoutLoadBalancers: the API is served once the controller has started, which it must
// also where there are tasks, with their interfaces, and no load balancer.
func TestStartedWithoutLoadBalancers(t *testing.T) {
	store := statetest.Open(t, row.Tables()...)
	statetest.Update(t, store, func(tx *state.Tx) {
		row.NetworkInterfaces.Put(tx, row.NetworkInterface{ID: "eni-of-a-task"})
	})
	c := newController(store, newFakeEngine())
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	done := make(chan error, 1)
	go func() { done <- c.Run(ctx) }()
	select {
	case <-c.Started():
	case <-ctx.Done():
		t.Error("the controller never started")
	}
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
}
