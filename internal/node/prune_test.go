package node

import (
	"log/slog"
	"testing"
	"time"

	"fairlead/internal/api/ecs"
	"fairlead/internal/row"
	"fairlead/internal/runtime"
	"fairlead/internal/runtime/fake"
)

// TestTheBuiltInImageGoesWithTheLastTask keeps it while a task is open, and other images always.
func TestTheBuiltInImageGoesWithTheLastTask(t *testing.T) {
	r := fake.New()
	t.Cleanup(r.Close)
	r.AddImage(runtime.Image{Ref: "shop/web:v1"}, fake.Hello)
	for _, ref := range []string{"fairlead/hello", "fairlead/hello:v2", "shop/web:v1"} {
		if _, err := r.EnsureImage(t.Context(), ref, runtime.Pull{}); err != nil {
			t.Fatal(err)
		}
	}
	n := New(Config{Runtime: r, Dir: t.TempDir(), Logger: slog.New(slog.DiscardHandler), Now: time.Now})
	handle := n.Open(row.Task{}, ecs.TaskDefinition{}, func() {})
	images := func() int {
		t.Helper()
		if err := n.Trim(t.Context()); err != nil {
			t.Fatal(err)
		}
		list, err := r.ListImages(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return len(list)
	}
	if got := images(); got != 3 {
		t.Errorf("%d images while a task is open, want 3", got)
	}
	handle.Close()
	if got := images(); got != 1 {
		t.Errorf("%d images after the last task, want the one that was pulled", got)
	}
}
