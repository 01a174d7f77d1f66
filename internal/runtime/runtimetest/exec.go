package runtimetest

import (
	"bufio"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"fairlead/internal/runtime"
)

func testExec(t *testing.T, r runtime.Runtime) {
	f := setUp(t, r)
	id := f.serve(runtime.Container{ID: f.id("a"), Env: []string{"INHERITED=from container"}})
	long := strings.Repeat("0123456789", 300)
	for name, test := range map[string]struct {
		args   []string
		code   int
		output string
	}{
		"success":     {[]string{"--print", "fine"}, 0, "fine\n"},
		"exit code":   {[]string{"--exit", "3"}, 3, ""},
		"environment": {[]string{"--env", "INHERITED"}, 0, "from container\n"},
		"addition":    {[]string{"--env", "ADDED"}, 0, "from exec\n"},
		"long output": {[]string{"--print", long}, 0, long[:runtime.MaxExecOutput]},
	} {
		result, err := f.Exec(t.Context(), id, runtime.ExecSpec{
			Args: append([]string{"/hello"}, test.args...),
			Env:  []string{"ADDED=from exec"}, Timeout: patience,
		})
		f.must(err)
		if result.ExitCode != test.code || result.Output != test.output || result.TimedOut {
			t.Errorf("%s: got %+v, want %d %q", name, result, test.code, test.output)
		}
	}
	if status := f.status(id); status.Phase != runtime.Running {
		t.Errorf("the container is %s after execs", status.Phase)
	}
}

func testExecTimeout(t *testing.T, r runtime.Runtime) {
	f := setUp(t, r)
	id := f.serve(runtime.Container{ID: f.id("a")})
	result, err := f.Exec(t.Context(), id, runtime.ExecSpec{
		Args: []string{"/hello", "--sleep", "1h"}, Timeout: 200 * time.Millisecond,
	})
	f.must(err)
	if !result.TimedOut || result.ExitCode != 137 {
		t.Errorf("got %+v, want a timeout with 137", result)
	}
	if status := f.status(id); status.Phase != runtime.Running {
		t.Errorf("the container is %s after an exec timed out", status.Phase)
	}
}

func testExecNotRunning(t *testing.T, r runtime.Runtime) {
	f := setUp(t, r)
	spec := runtime.ExecSpec{Args: []string{"/hello", "--exit", "0"}}
	_, err := f.Exec(t.Context(), f.create("created"), spec)
	f.wantError(err, runtime.ErrNotRunning)
	exited := f.start("exited", "--exit", "0")
	f.waitExit(exited)
	_, err = f.Exec(t.Context(), exited, spec)
	f.wantError(err, runtime.ErrNotRunning)
}

// testExecTerminal types two lines into a process with a terminal and reads what it shows.
func testExecTerminal(t *testing.T, r runtime.Runtime) {
	f := setUp(t, r)
	id := f.serve(runtime.Container{ID: f.id("a")})
	in, keys := io.Pipe()
	shown, out := io.Pipe()
	defer keys.Close()
	done := make(chan error, 1)
	code := 0
	go func() {
		var err error
		code, err = f.ExecTerminal(t.Context(), id, runtime.ExecSpec{
			Args: []string{"/hello", "--echo", "2", "--exit", "5"},
		}, runtime.Terminal{In: in, Out: out, Sizes: make(chan runtime.Size)})
		out.Close()
		done <- err
	}()
	lines := bufio.NewReader(shown)
	for _, word := range []string{"one", "two"} {
		fmt.Fprintln(keys, word)
		for { // a terminal also shows what was typed
			line, err := lines.ReadString('\n')
			f.must(err)
			if strings.TrimSpace(line) == "heard "+word {
				break
			}
		}
	}
	go io.Copy(io.Discard, lines)
	f.must(<-done)
	if code != 5 {
		t.Errorf("exit code %d, want 5", code)
	}
	_, err := f.ExecTerminal(t.Context(), f.create("created"), runtime.ExecSpec{Args: []string{"/hello"}},
		runtime.Terminal{In: strings.NewReader(""), Out: io.Discard})
	f.wantError(err, runtime.ErrNotRunning)
}
