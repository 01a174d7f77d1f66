package runtimetest

import (
	"os"
	"strings"
	"syscall"
	"testing"

	"fairlead/internal/runtime"
)

func testLife(t *testing.T, r runtime.Runtime) {
	f := setUp(t, r)
	labels := map[string]string{"task": "t1", "fairlead/container": "web"}
	id := f.createAs(runtime.Container{ID: f.id("a"), Image: image, Labels: labels})
	created := f.status(id)
	if created.Phase != runtime.Created || created.Pid != 0 || !created.StartedAt.IsZero() {
		t.Errorf("created: %+v", created)
	}
	if created.Image != image || !strings.HasPrefix(created.Digest, "sha256:") {
		t.Errorf("image %q, digest %q", created.Image, created.Digest)
	}
	f.must(f.Start(t.Context(), id))
	running := f.status(id)
	if running.Phase != runtime.Running || running.Pid <= 0 || running.StartedAt.IsZero() {
		t.Errorf("running: %+v", running)
	}
	for name, want := range labels {
		if running.Labels[name] != want {
			t.Errorf("label %s is %q, want %q", name, running.Labels[name], want)
		}
	}
	if len(running.Labels) != len(labels) {
		t.Errorf("labels %v, want %v", running.Labels, labels)
	}
	f.must(f.Signal(t.Context(), id, syscall.SIGKILL))
	exited := f.waitExit(id)
	if exited.Pid != 0 || exited.FinishedAt.Before(running.StartedAt) ||
		!exited.StartedAt.Equal(running.StartedAt) {
		t.Errorf("exited: %+v", exited)
	}
	f.must(f.Delete(t.Context(), id))
	_, err := f.Status(t.Context(), id)
	f.wantError(err, runtime.ErrNotFound)
}

func testRepeatedCalls(t *testing.T, r runtime.Runtime) {
	f := setUp(t, r)
	id := f.start("a", "--sleep", "1h")
	pid := f.status(id).Pid
	f.create("a", "--exit", "1")
	f.must(f.Start(t.Context(), id))
	if again := f.status(id); again.Phase != runtime.Running || again.Pid != pid {
		t.Errorf("a second Create and Start changed the container: %+v", again)
	}
	f.must(f.Signal(t.Context(), id, syscall.SIGKILL))
	f.waitExit(id)
	f.must(f.Start(t.Context(), id))
	if status := f.status(id); status.Phase != runtime.Exited {
		t.Errorf("Start ran an exited container again: %+v", status)
	}
	for range 2 {
		f.must(f.Delete(t.Context(), id))
	}
}

func testExitCodes(t *testing.T, r runtime.Runtime) {
	f := setUp(t, r)
	for name, want := range map[string]int{"0": 0, "1": 1, "3": 3, "255": 255} {
		id := f.start("exit"+name, "--exit", name)
		if got := f.waitExit(id); got.ExitCode != want || got.OOMKilled {
			t.Errorf("exit code %d, OOM %t, want %d", got.ExitCode, got.OOMKilled, want)
		}
	}
}

func testTerminate(t *testing.T, r runtime.Runtime) {
	f := setUp(t, r)
	id := f.serve(runtime.Container{ID: f.id("a")})
	f.must(f.Signal(t.Context(), id, runtime.StopSignal))
	if status := f.waitExit(id); status.ExitCode != 0 {
		t.Errorf("exit code %d after SIGTERM, want 0", status.ExitCode)
	}
	f.waitLog(id, "bye")
	f.wantError(f.Signal(t.Context(), id, runtime.StopSignal), runtime.ErrNotRunning)
}

func testKill(t *testing.T, r runtime.Runtime) {
	f := setUp(t, r)
	id := f.serve(runtime.Container{ID: f.id("a"), Env: []string{"IGNORE_SIGTERM=true"}})
	f.must(f.Signal(t.Context(), id, runtime.StopSignal))
	if status := f.status(id); status.Phase != runtime.Running {
		t.Errorf("%s after a SIGTERM that is ignored", status.Phase)
	}
	f.must(f.Signal(t.Context(), id, runtime.KillSignal))
	if status := f.waitExit(id); status.ExitCode != 137 || status.OOMKilled {
		t.Errorf("exit code %d, OOM %t after SIGKILL", status.ExitCode, status.OOMKilled)
	}
}

func testOutOfMemory(t *testing.T, r runtime.Runtime) {
	f := setUp(t, r)
	id := f.createAs(runtime.Container{
		ID: f.id("a"), Image: image, Memory: 32, Command: []string{"--memory", "128"},
	})
	f.must(f.Start(t.Context(), id))
	if status := f.waitExit(id); status.ExitCode != 137 || !status.OOMKilled {
		t.Errorf("exit code %d, OOM %t, want 137 by OOM", status.ExitCode, status.OOMKilled)
	}
}

func testDeleteRunning(t *testing.T, r runtime.Runtime) {
	f := setUp(t, r)
	id := f.serve(runtime.Container{ID: f.id("a"), Env: []string{"IGNORE_SIGTERM=true"}})
	f.must(f.Delete(t.Context(), id))
	_, err := f.Status(t.Context(), id)
	f.wantError(err, runtime.ErrNotFound)
	if _, err := os.Stat(f.log(id)); err != nil {
		t.Errorf("the log file went with the container: %v", err)
	}
}

func testEnvironment(t *testing.T, r runtime.Runtime) {
	f := setUp(t, r)
	for name, test := range map[string]struct{ variable, want string }{
		"image":     {"FAIRLEAD_HELLO_TAG", "latest"},
		"container": {"GREETING", "hello world"},
	} {
		id := f.createAs(runtime.Container{
			ID: f.id(name), Image: image, Command: []string{"--env", test.variable},
			Env: []string{"GREETING=hello world"},
		})
		f.must(f.Start(t.Context(), id))
		f.waitExit(id)
		f.waitLog(id, test.want)
	}
	id := f.createAs(runtime.Container{
		ID: f.id("over"), Image: image, Command: []string{"--env", "FAIRLEAD_HELLO_TAG"},
		Env: []string{"FAIRLEAD_HELLO_TAG=mine"},
	})
	f.must(f.Start(t.Context(), id))
	f.waitLog(id, "mine")
}

func testLogIsAppended(t *testing.T, r runtime.Runtime) {
	f := setUp(t, r)
	id := f.create("a", "--print", "second line")
	f.must(os.WriteFile(f.log(id), []byte("first line\n"), 0o644))
	f.must(f.Start(t.Context(), id))
	f.waitExit(id)
	if got, want := f.waitLog(id, "second"), "first line\nsecond line\n"; got != want {
		t.Errorf("log %q, want %q", got, want)
	}
}

func testInvalidContainer(t *testing.T, r runtime.Runtime) {
	f := setUp(t, r)
	valid := runtime.Container{ID: f.id("a"), Image: image, LogPath: f.log("a")}
	for name, change := range map[string]func(*runtime.Container){
		"no ID":        func(c *runtime.Container) { c.ID = "" },
		"ID is a path": func(c *runtime.Container) { c.ID = "../a" },
		"long ID":      func(c *runtime.Container) { c.ID = strings.Repeat("a", 77) },
		"group":        func(c *runtime.Container) { c.Group = "a/b" },
		"log path":     func(c *runtime.Container) { c.LogPath = "a.log" },
		"image":        func(c *runtime.Container) { c.Image = "fairlead/absent:1" },
	} {
		t.Log(name)
		c := valid
		change(&c)
		f.wantFailure(f.Create(t.Context(), c), runtime.CannotCreateContainer)
	}
}

func testUnknownContainer(t *testing.T, r runtime.Runtime) {
	f := setUp(t, r)
	ctx, id := t.Context(), f.id("absent")
	_, statusErr := f.Status(ctx, id)
	_, statsErr := f.Stats(ctx, id)
	_, execErr := f.Exec(ctx, id, runtime.ExecSpec{Args: []string{"/hello"}})
	for name, err := range map[string]error{
		"Start":  f.Start(ctx, id),
		"Signal": f.Signal(ctx, id, syscall.SIGTERM),
		"Status": statusErr, "Stats": statsErr, "Exec": execErr,
	} {
		t.Log(name)
		f.wantError(err, runtime.ErrNotFound)
	}
	f.must(f.Delete(ctx, id))
}

func testCannotStart(t *testing.T, r runtime.Runtime) {
	f := setUp(t, r)
	id := f.createAs(runtime.Container{
		ID: f.id("a"), Image: image, EntryPoint: []string{"/nonexistent"},
	})
	failure := f.wantFailure(f.Start(t.Context(), id), runtime.CannotStartContainer)
	if !strings.Contains(failure.Message, "no such file or directory") {
		t.Errorf("message %q does not say why", failure.Message)
	}
	if status := f.status(id); status.Phase != runtime.Created || !status.StartedAt.IsZero() {
		t.Errorf("after a failed start: %+v", status)
	}
}

func testList(t *testing.T, r runtime.Runtime) {
	f := setUp(t, r)
	running := f.start("b", "--sleep", "1h")
	created := f.create("a")
	all, err := f.List(t.Context())
	f.must(err)
	var got []string
	for _, status := range all {
		if status.ID == running || status.ID == created {
			got = append(got, status.ID+" "+string(status.Phase))
		}
	}
	want := created + " CREATED, " + running + " RUNNING"
	if strings.Join(got, ", ") != want {
		t.Errorf("listed %v, want %s", got, want)
	}
}

func testWatch(t *testing.T, r runtime.Runtime) {
	f := setUp(t, r)
	events := f.Watch(t.Context())
	if first := <-events; first.Kind != runtime.EventReset {
		t.Errorf("first event %v, want a reset", first)
	}
	id := f.start("a", "--exit", "0")
	f.waitExit(id)
	f.must(f.Delete(t.Context(), id))
	var kinds []runtime.EventKind
	for event := range events {
		if event.ID != id {
			continue
		}
		kinds = append(kinds, event.Kind)
		if event.Kind == runtime.EventDelete {
			break
		}
	}
	want := []runtime.EventKind{runtime.EventStart, runtime.EventExit, runtime.EventDelete}
	if len(kinds) != len(want) || kinds[0] != want[0] || kinds[1] != want[1] {
		t.Errorf("events %v, want %v", kinds, want)
	}
}

func testStats(t *testing.T, r runtime.Runtime) {
	f := setUp(t, r)
	id := f.serve(runtime.Container{ID: f.id("a"), Memory: 64})
	stats, err := f.Stats(t.Context(), id)
	f.must(err)
	if stats.CPU <= 0 || stats.Memory <= 0 || stats.Pids <= 0 || stats.At.IsZero() {
		t.Errorf("a running container without usage: %+v", stats)
	}
	if stats.MemoryLimit != 64<<20 {
		t.Errorf("memory limit %d, want 64 MiB", stats.MemoryLimit)
	}
	_, err = f.Stats(t.Context(), f.create("b"))
	f.wantError(err, runtime.ErrNotRunning)
}
