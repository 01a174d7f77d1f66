package fake_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"fairlead/internal/runtime"
	"fairlead/internal/runtime/fake"
	"fairlead/internal/runtime/runtimetest"
)

func TestContract(t *testing.T) {
	for _, c := range runtimetest.Cases() {
		t.Run(c.Name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := fake.New()
				t.Cleanup(r.Close)
				c.Run(t, r)
			})
		})
	}
}

// inBubble runs a test on a fake in a synctest bubble.
func inBubble(t *testing.T, test func(t *testing.T, r *fake.Runtime)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		r := fake.New()
		defer r.Close()
		test(t, r)
	})
}

// start runs a program in a container named after it.
func start(t *testing.T, r *fake.Runtime, id string, program fake.Program) string {
	t.Helper()
	r.AddImage(runtime.Image{Ref: id}, program)
	if _, err := r.EnsureImage(t.Context(), id, runtime.Pull{}); err != nil {
		t.Fatal(err)
	}
	log := filepath.Join(t.TempDir(), "log")
	spec := runtime.Container{ID: id, Image: id, LogPath: log, Env: []string{"NAME=" + id}}
	if err := r.Create(t.Context(), spec); err != nil {
		t.Fatal(err)
	}
	if err := r.Start(t.Context(), id); err != nil {
		t.Fatal(err)
	}
	return log
}

func status(t *testing.T, r *fake.Runtime, id string) runtime.Status {
	t.Helper()
	status, err := r.Status(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	return status
}

// block runs until it is killed.
func block(p *fake.Process) int {
	<-p.Killed()
	return 137
}

func TestProgramIsScripted(t *testing.T) {
	inBubble(t, func(t *testing.T, r *fake.Runtime) {
		log := start(t, r, "app", func(p *fake.Process) int {
			time.Sleep(time.Minute)
			fmt.Fprintln(p.Stdout, "I am", p.Getenv("NAME"))
			return 7
		})
		time.Sleep(59 * time.Second)
		if got := status(t, r, "app"); got.Phase != runtime.Running {
			t.Errorf("too early: %+v", got)
		}
		time.Sleep(2 * time.Second)
		got := status(t, r, "app")
		if got.Phase != runtime.Exited || got.ExitCode != 7 ||
			got.FinishedAt.Sub(got.StartedAt) != time.Minute {
			t.Errorf("got %+v", got)
		}
		if text, err := os.ReadFile(log); err != nil || string(text) != "I am app\n" {
			t.Errorf("log %q, %v", text, err)
		}
	})
}

func TestEndsFromOutside(t *testing.T) {
	inBubble(t, func(t *testing.T, r *fake.Runtime) {
		for id, test := range map[string]struct {
			end  func(id string) error
			want runtime.Status
		}{
			"exit": {func(id string) error { return r.Exit(id, 9) },
				runtime.Status{Phase: runtime.Exited, ExitCode: 9}},
			"oom": {r.OOM, runtime.Status{Phase: runtime.Exited, ExitCode: 137, OOMKilled: true}},
			"reboot": {func(string) error { r.Reboot(); return nil },
				runtime.Status{Phase: runtime.Lost, ExitCode: 255}},
		} {
			start(t, r, id, block)
			if err := test.end(id); err != nil {
				t.Error(err)
			}
			got := status(t, r, id)
			if got.Phase != test.want.Phase || got.ExitCode != test.want.ExitCode ||
				got.OOMKilled != test.want.OOMKilled {
				t.Errorf("%s: got %+v, want %+v", id, got, test.want)
			}
			if err := r.Delete(t.Context(), id); err != nil {
				t.Error(err)
			}
		}
	})
}

func TestFailuresAreOrdered(t *testing.T) {
	inBubble(t, func(t *testing.T, r *fake.Runtime) {
		first, second := errors.New("first"), errors.New("second")
		r.FailNext("List", first)
		r.FailNext("List", second)
		for _, want := range []error{first, second, nil} {
			if _, err := r.List(t.Context()); !errors.Is(err, want) {
				t.Errorf("got %v, want %v", err, want)
			}
		}
	})
}

func TestExecIsScripted(t *testing.T) {
	inBubble(t, func(t *testing.T, r *fake.Runtime) {
		start(t, r, "app", block)
		want := runtime.ExecResult{ExitCode: 1, Output: "sick"}
		r.OnExec(func(_ context.Context, id string,
			spec runtime.ExecSpec) (runtime.ExecResult, error) {
			if id != "app" || spec.Args[0] != "check" {
				t.Errorf("exec of %v in %s", spec.Args, id)
			}
			return want, nil
		})
		got, err := r.Exec(t.Context(), "app", runtime.ExecSpec{Args: []string{"check"}})
		if err != nil || got != want {
			t.Errorf("got %+v, %v", got, err)
		}
	})
}

func TestGroupKeepsItsLimits(t *testing.T) {
	inBubble(t, func(t *testing.T, r *fake.Runtime) {
		want := runtime.Group{ID: "g", CPU: 256, Memory: 512}
		if err := r.EnsureGroup(t.Context(), want); err != nil {
			t.Fatal(err)
		}
		if got, ok := r.Group("g"); !ok || got != want {
			t.Errorf("got %+v, %t", got, ok)
		}
	})
}
