package containerd

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"fairlead/internal/runtime"
	"fairlead/internal/runtime/cgroup"
)

// ungrouped is the cgroup of containers without a group.
const ungrouped = "_"

const mebibyte = 1 << 20

// EnsureGroup implements runtime.Groups.
func (e *Engine) EnsureGroup(_ context.Context, group runtime.Group) error {
	if !validID(group.ID) {
		return fmt.Errorf("ensure group: %q is no valid ID", group.ID)
	}
	limits := cgroup.Limits{CPU: group.CPU, Memory: group.Memory * mebibyte}
	if err := e.cgroups.Ensure(e.cgroupPath(group.ID), limits); err != nil {
		return fmt.Errorf("ensure group %s: %w", group.ID, err)
	}
	return nil
}

// DeleteGroup implements runtime.Groups.
func (e *Engine) DeleteGroup(_ context.Context, id string) error {
	if !validID(id) {
		return fmt.Errorf("delete group: %q is no valid ID", id)
	}
	if err := e.cgroups.Remove(e.cgroupPath(id)); err != nil {
		return fmt.Errorf("delete group %s: %w", id, err)
	}
	return nil
}

// ListGroups implements runtime.Groups.
func (e *Engine) ListGroups(context.Context) ([]string, error) {
	names, err := e.cgroups.List(e.cgroupPath())
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(names, func(name string) bool { return name == ungrouped }), nil
}

func (e *Engine) containerCgroup(group, id string) string {
	return e.cgroupPath(cmp.Or(group, ungrouped), id)
}
