package fake

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"fairlead/internal/runtime"
)

// EnsureGroup implements runtime.Groups.
func (r *Runtime) EnsureGroup(_ context.Context, group runtime.Group) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if err := r.failure("EnsureGroup"); err != nil {
		return err
	}
	if !validID(group.ID) {
		return fmt.Errorf("ensure group: %q is no valid ID", group.ID)
	}
	r.groups[group.ID] = group
	return nil
}

// DeleteGroup implements runtime.Groups.
func (r *Runtime) DeleteGroup(_ context.Context, id string) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if err := r.failure("DeleteGroup"); err != nil {
		return err
	}
	for _, c := range r.containers {
		if c.Group == id && c.status.Phase == runtime.Running {
			return fmt.Errorf("delete group %s: container %s runs in it", id, c.ID)
		}
	}
	delete(r.groups, id)
	return nil
}

// ListGroups implements runtime.Groups.
func (r *Runtime) ListGroups(context.Context) ([]string, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Sorted(maps.Keys(r.groups)), nil
}

// Group returns the limits that were set last.
func (r *Runtime) Group(id string) (runtime.Group, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	group, ok := r.groups[id]
	return group, ok
}
