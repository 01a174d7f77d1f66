package fake

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"fairlead/internal/runtime"
)

// Program is what a container's process does; it returns the exit code. It must return soon
// after Killed is closed: nothing else ends a goroutine.
type Program func(p *Process) int

// Process is what a Program sees.
type Process struct {
	// Container is what was asked for.
	Container runtime.Container
	// Args are the command after the image's part and the container's are put together.
	Args []string
	// Env is that of the image with the container's on top.
	Env []string
	// Stdout is the log file.
	Stdout io.Writer
	// Stdin is empty but for processes with a terminal.
	Stdin io.Reader

	log         *os.File
	signals     chan syscall.Signal
	ctx         context.Context
	kill        context.CancelFunc
	outOfMemory atomic.Bool
}

// pendingSignals is how many may wait to be read.
const pendingSignals = 8

func newProcess(c runtime.Container, args, env []string, log *os.File) *Process {
	ctx, cancel := context.WithCancel(context.Background())
	return &Process{
		Container: c, Args: args, Env: env, Stdout: log, Stdin: strings.NewReader(""), log: log,
		signals: make(chan syscall.Signal, pendingSignals), ctx: ctx, kill: cancel,
	}
}

// Signals delivers what Signal sends, except SIGKILL.
func (p *Process) Signals() <-chan syscall.Signal { return p.signals }

// Killed is closed when the process has been killed or deleted.
func (p *Process) Killed() <-chan struct{} { return p.ctx.Done() }

// RunOutOfMemory ends the process as the kernel does: return its result from the Program.
func (p *Process) RunOutOfMemory() int {
	p.outOfMemory.Store(true)
	return killedCode
}

// Getenv returns the variable's value.
func (p *Process) Getenv(name string) string {
	for _, variable := range slices.Backward(p.Env) {
		if value, ok := strings.CutPrefix(variable, name+"="); ok {
			return value
		}
	}
	return ""
}

// Hello is the program of fairlead/hello. It serves nothing, but starts, stops and exits as the
// real one: --print, --env, --echo, --memory, --sleep and --exit, and SIGTERM otherwise.
func Hello(p *Process) int {
	flags := p.flags()
	if flags == nil {
		return serve(p)
	}
	if text := flags["--print"]; text != "" {
		fmt.Fprintln(p.Stdout, text)
	}
	if name := flags["--env"]; name != "" {
		fmt.Fprintln(p.Stdout, p.Getenv(name))
	}
	lines, _ := strconv.Atoi(flags["--echo"])
	for input := bufio.NewScanner(p.Stdin); lines > 0 && input.Scan(); lines-- {
		fmt.Fprintln(p.Stdout, "heard", input.Text())
	}
	memory, _ := strconv.ParseInt(flags["--memory"], 10, 64)
	if p.Container.Memory > 0 && memory > p.Container.Memory {
		return p.RunOutOfMemory()
	}
	if pause, err := time.ParseDuration(flags["--sleep"]); err == nil {
		select {
		case <-time.After(pause):
		case <-p.Killed():
		}
	}
	code, _ := strconv.Atoi(flags["--exit"])
	return code
}

// serve runs until a signal.
func serve(p *Process) int {
	fmt.Fprintln(p.Stdout, "hello listens")
	for {
		select {
		case <-p.Killed():
			return killedCode
		case signal := <-p.Signals():
			if signal == syscall.SIGTERM && p.Getenv("IGNORE_SIGTERM") == "true" {
				continue
			}
			fmt.Fprintln(p.Stdout, "bye")
			return 0
		}
	}
}

// flags reads pairs of --name value behind the program; nil is none.
func (p *Process) flags() map[string]string {
	var flags map[string]string
	for pair := range slices.Chunk(p.Args[min(1, len(p.Args)):], 2) {
		if len(pair) == 2 && strings.HasPrefix(pair[0], "--") {
			if flags == nil {
				flags = map[string]string{}
			}
			flags[pair[0]] = pair[1]
		}
	}
	return flags
}

func arguments(c runtime.Container, img *image) []string {
	switch {
	case len(c.EntryPoint) > 0:
		return slices.Concat(c.EntryPoint, c.Command)
	case len(c.Command) > 0:
		return slices.Concat(img.EntryPoint, c.Command)
	}
	return slices.Concat(img.EntryPoint, img.Command)
}

func environment(c runtime.Container, img *image) []string {
	return slices.Concat(img.Env, c.Env)
}

// Exec implements runtime.Containers: what OnExec says, or the container's program with other
// arguments.
func (r *Runtime) Exec(ctx context.Context, id string,
	spec runtime.ExecSpec) (runtime.ExecResult, error) {
	r.mu.Lock()
	c, err := r.findRunning(id)
	if ordered := r.failure("Exec"); ordered != nil {
		err = ordered
	}
	exec := r.exec
	r.mu.Unlock()
	if err != nil {
		return runtime.ExecResult{}, err
	}
	if exec != nil {
		return exec(ctx, id, spec)
	}
	return c.exec(ctx, spec)
}

// ExecTerminal implements runtime.Containers: the container's program with other arguments.
func (r *Runtime) ExecTerminal(ctx context.Context, id string, spec runtime.ExecSpec,
	terminal runtime.Terminal) (int, error) {
	r.mu.Lock()
	c, err := r.findRunning(id)
	if ordered := r.failure("ExecTerminal"); ordered != nil {
		err = ordered
	}
	r.mu.Unlock()
	if err != nil {
		return 0, err
	}
	inner := newProcess(c.Container, spec.Args, slices.Concat(c.process.Env, spec.Env), nil)
	inner.Stdin, inner.Stdout = terminal.In, terminal.Out
	defer inner.kill()
	stop := context.AfterFunc(c.process.ctx, inner.kill)
	defer stop()
	done := make(chan int, 1)
	go func() { done <- c.program(inner) }() // ends at the latest when its input does
	select {
	case code := <-done:
		return code, nil
	case <-inner.Killed():
		return killedCode, nil
	case <-ctx.Done():
		return killedCode, ctx.Err()
	}
}

func (c *container) exec(ctx context.Context, spec runtime.ExecSpec) (runtime.ExecResult, error) {
	var output bytes.Buffer
	inner := newProcess(c.Container, spec.Args, slices.Concat(c.process.Env, spec.Env), nil)
	inner.Stdout = &output
	defer inner.kill()
	stop := context.AfterFunc(c.process.ctx, inner.kill)
	defer stop()
	done := make(chan int, 1)
	go func() { done <- c.program(inner) }() // ends at the latest when inner is killed
	var expired <-chan time.Time
	if spec.Timeout > 0 {
		timer := time.NewTimer(spec.Timeout)
		defer timer.Stop()
		expired = timer.C
	}
	result := runtime.ExecResult{ExitCode: killedCode}
	select {
	case result.ExitCode = <-done:
	case <-expired:
		result.TimedOut = true
	case <-ctx.Done():
	}
	if result.TimedOut || ctx.Err() != nil {
		inner.kill()
		<-done
	}
	kept := output.Bytes()
	result.Output = string(kept[:min(len(kept), runtime.MaxExecOutput)])
	return result, ctx.Err()
}
