// Package runtimetest is the contract of runtime.Runtime as tests: what every implementation
// does, fake or real. The cases use the built-in image fairlead/hello and its one-shot flags,
// and no time but what the processes take, so they also run inside a synctest bubble.
package runtimetest

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"fairlead/internal/runtime"
)

// Case is one clause of the contract.
type Case struct {
	Name string
	Run  func(t *testing.T, r runtime.Runtime)
}

// Cases returns the whole contract. Each case uses container IDs of its own and deletes what it
// made, so that all may run on one runtime, one after the other.
func Cases() []Case {
	return []Case{
		{"Life", testLife},
		{"RepeatedCalls", testRepeatedCalls},
		{"ExitCodes", testExitCodes},
		{"Terminate", testTerminate},
		{"Kill", testKill},
		{"OutOfMemory", testOutOfMemory},
		{"DeleteRunning", testDeleteRunning},
		{"Environment", testEnvironment},
		{"LogIsAppended", testLogIsAppended},
		{"InvalidContainer", testInvalidContainer},
		{"UnknownContainer", testUnknownContainer},
		{"CannotStart", testCannotStart},
		{"List", testList},
		{"Watch", testWatch},
		{"Stats", testStats},
		{"Groups", testGroups},
		{"Exec", testExec},
		{"ExecTimeout", testExecTimeout},
		{"ExecNotRunning", testExecNotRunning},
		{"ExecTerminal", testExecTerminal},
		{"BuiltInImage", testBuiltInImage},
		{"UnknownImage", testUnknownImage},
		{"LoadImage", testLoadImage},
		{"RemoveImage", testRemoveImage},
		{"PinnedImage", testPinnedImage},
	}
}

// patience is how long a process may take to do what it was told. In a bubble it takes none.
const patience = 20 * time.Second

// image is what the cases run unless they say otherwise.
const image = runtime.HelloImage + ":latest"

// fixture is a runtime under test with what every case needs.
type fixture struct {
	runtime.Runtime
	t   *testing.T
	dir string
}

func setUp(t *testing.T, r runtime.Runtime) *fixture {
	t.Helper()
	if _, err := r.EnsureImage(t.Context(), image, runtime.Pull{}); err != nil {
		t.Fatal(err)
	}
	return &fixture{Runtime: r, t: t, dir: t.TempDir()}
}

// id makes a container ID that is the case's own.
func (f *fixture) id(name string) string {
	return strings.ToLower(strings.ReplaceAll(f.t.Name(), "/", "-")) + "-" + name
}

func (f *fixture) log(id string) string { return filepath.Join(f.dir, id+".log") }

// create makes a container that the test's end deletes.
func (f *fixture) create(name string, command ...string) string {
	f.t.Helper()
	return f.createAs(runtime.Container{ID: f.id(name), Image: image, Command: command})
}

func (f *fixture) createAs(c runtime.Container) string {
	f.t.Helper()
	c.LogPath = f.log(c.ID)
	f.t.Cleanup(func() {
		if err := f.Delete(context.Background(), c.ID); err != nil {
			f.t.Errorf("delete %s: %v", c.ID, err)
		}
	})
	if err := f.Create(f.t.Context(), c); err != nil {
		f.t.Fatalf("create: %v", err)
	}
	return c.ID
}

// start makes a container and starts it.
func (f *fixture) start(name string, command ...string) string {
	f.t.Helper()
	id := f.create(name, command...)
	f.must(f.Start(f.t.Context(), id))
	return id
}

// serve starts a container and waits until its program has begun, and hears signals.
func (f *fixture) serve(c runtime.Container) string {
	f.t.Helper()
	c.Image = image
	id := f.createAs(c)
	f.must(f.Start(f.t.Context(), id))
	f.waitLog(id, "listens")
	return id
}

func (f *fixture) must(err error) {
	f.t.Helper()
	if err != nil {
		f.t.Fatal(err)
	}
}

func (f *fixture) status(id string) runtime.Status {
	f.t.Helper()
	status, err := f.Status(f.t.Context(), id)
	f.must(err)
	return status
}

// waitExit waits for the end of a container's process.
func (f *fixture) waitExit(id string) runtime.Status {
	f.t.Helper()
	return f.waitPhase(id, runtime.Exited)
}

func (f *fixture) waitPhase(id string, phase runtime.Phase) runtime.Status {
	f.t.Helper()
	var status runtime.Status
	f.waitFor(func() bool {
		status = f.status(id)
		return status.Phase == phase
	}, "%s is %s", id, phase)
	return status
}

// waitFor polls: what it waits for happens in a process, or in a goroutine of the bubble.
func (f *fixture) waitFor(done func() bool, what string, args ...any) {
	f.t.Helper()
	for deadline := time.Now().Add(patience); !done(); {
		if time.Now().After(deadline) {
			f.t.Fatalf("waited too long until "+what, args...)
		}
		select {
		case <-f.t.Context().Done():
			f.t.Fatal(f.t.Context().Err())
		case <-time.After(5 * time.Millisecond):
		}
	}
}

func (f *fixture) waitLog(id, text string) string {
	f.t.Helper()
	var content string
	f.waitFor(func() bool {
		content = f.readLog(id)
		return strings.Contains(content, text)
	}, "the log of %s has %q", id, text)
	return content
}

func (f *fixture) readLog(id string) string {
	f.t.Helper()
	content, err := os.ReadFile(f.log(id))
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		f.t.Fatal(err)
	}
	return string(content)
}

// wantFailure checks the reason that users will read.
func (f *fixture) wantFailure(err error, reason runtime.Reason) *runtime.Failure {
	f.t.Helper()
	failure, ok := errors.AsType[*runtime.Failure](err)
	if !ok || failure.Reason != reason {
		f.t.Fatalf("got error %v, want a failure with reason %s", err, reason)
	}
	if failure.Message == "" || strings.Contains(failure.Message, "\n") {
		f.t.Errorf("message %q is not one line", failure.Message)
	}
	return failure
}

func (f *fixture) wantError(err, want error) {
	f.t.Helper()
	if !errors.Is(err, want) {
		f.t.Errorf("got error %v, want %v", err, want)
	}
}
