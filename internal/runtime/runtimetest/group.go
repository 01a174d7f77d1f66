package runtimetest

import (
	"slices"
	"testing"

	"fairlead/internal/runtime"
)

func testGroups(t *testing.T, r runtime.Runtime) {
	f := setUp(t, r)
	ctx, group := t.Context(), f.id("g")
	for _, memory := range []int64{64, 128, 32, 0} {
		f.must(f.EnsureGroup(ctx, runtime.Group{ID: group, CPU: 256, Memory: memory}))
	}
	groups, err := f.ListGroups(ctx)
	f.must(err)
	if !slices.Contains(groups, group) {
		t.Errorf("groups %v lack %s", groups, group)
	}
	id := f.createAs(runtime.Container{
		ID: f.id("a"), Image: image, Group: group, Command: []string{"--sleep", "1h"},
	})
	f.must(f.Start(ctx, id))
	if got := f.status(id).Group; got != group {
		t.Errorf("group %q, want %q", got, group)
	}
	if err := f.DeleteGroup(ctx, group); err == nil {
		t.Error("a group was deleted under a running container")
	}
	f.must(f.Delete(ctx, id))
	for range 2 {
		f.must(f.DeleteGroup(ctx, group))
	}
	groups, err = f.ListGroups(ctx)
	f.must(err)
	if slices.Contains(groups, group) {
		t.Errorf("groups %v still have %s", groups, group)
	}
	if err := f.EnsureGroup(ctx, runtime.Group{ID: "../g"}); err == nil {
		t.Error("a path was taken for a group's ID")
	}
}
