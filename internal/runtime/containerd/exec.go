package containerd

import (
	"context"
	"crypto/rand"
	"fmt"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/containerd/containerd/v2/client"
	"github.com/containerd/containerd/v2/pkg/cio"
	"github.com/containerd/errdefs"
	"github.com/opencontainers/runtime-spec/specs-go"

	"fairlead/internal/runtime"
)

// execCleanup limits how long the removal of a finished exec may take.
const execCleanup = 5 * time.Second

// killedExitCode is 128 + SIGKILL.
const killedExitCode = 137

// Exec implements runtime.Containers.
func (e *Engine) Exec(ctx context.Context, id string,
	spec runtime.ExecSpec) (runtime.ExecResult, error) {
	output := &cutWriter{limit: runtime.MaxExecOutput}
	code, timedOut, err := e.exec(ctx, id, spec, execution{
		streams: []cio.Opt{cio.WithStreams(nil, output, output)}, timeout: spec.Timeout,
		prepare: func(*specs.Process) {}, started: func(client.Process) {},
	})
	if err != nil {
		return runtime.ExecResult{}, err
	}
	return runtime.ExecResult{ExitCode: code, Output: output.String(), TimedOut: timedOut}, nil
}

// execution is in what one further process differs from another.
type execution struct {
	streams []cio.Opt
	timeout time.Duration          // 0 is none
	prepare func(*specs.Process)   // before the process is made
	started func(p client.Process) // when it runs
}

// exec runs a further process and waits until it has ended and its output was read.
func (e *Engine) exec(ctx context.Context, id string, spec runtime.ExecSpec,
	x execution) (code int, timedOut bool, err error) {
	task, row, err := e.running(ctx, id)
	if err != nil {
		return 0, false, err
	}
	outer, err := specOf(row)
	if err != nil {
		return 0, false, err
	}
	inner, err := execProcess(*outer.Process, spec)
	if err != nil {
		return 0, false, err
	}
	x.prepare(inner)
	process, err := task.Exec(ctx, "exec-"+strings.ToLower(rand.Text()), inner, cio.NewCreator(
		append(x.streams, cio.WithFIFODir(filepath.Join(e.config.Run, "pipes")))...))
	if err != nil {
		return 0, false, execError(ctx, task, err)
	}
	defer removeExec(ctx, process)
	code, timedOut, err = runExec(ctx, process, x.timeout, func() { x.started(process) })
	if err != nil {
		return 0, false, execError(ctx, task, err)
	}
	removeExec(ctx, process) // flushes the output
	return code, timedOut, nil
}

// execProcess is the container's own process with another command.
func execProcess(base specs.Process, spec runtime.ExecSpec) (*specs.Process, error) {
	base.Args = spec.Args
	base.Env = mergeEnv(base.Env, spec.Env)
	base.Terminal = false
	base.Cwd = firstOf(spec.WorkDir, base.Cwd)
	if spec.User != "" {
		user, err := numericUser(spec.User)
		if err != nil {
			return nil, err
		}
		base.User = user
	}
	return &base, nil
}

// numericUser reads uid or uid:gid. Names would need the container's files.
func numericUser(text string) (specs.User, error) {
	uid, gid, hasGroup := strings.Cut(text, ":")
	u, err := strconv.ParseUint(uid, 10, 32)
	if err != nil {
		return specs.User{}, fmt.Errorf("exec as %q: a user is uid or uid:gid", text)
	}
	if !hasGroup {
		return specs.User{UID: uint32(u)}, nil
	}
	g, err := strconv.ParseUint(gid, 10, 32)
	if err != nil {
		return specs.User{}, fmt.Errorf("exec as %q: a user is uid or uid:gid", text)
	}
	return specs.User{UID: uint32(u), GID: uint32(g)}, nil
}

// runExec starts the process, calls started, and waits for its end, or brings it about.
func runExec(ctx context.Context, process client.Process,
	timeout time.Duration, started func()) (code int, timedOut bool, err error) {
	exited, err := process.Wait(context.WithoutCancel(ctx))
	if err != nil {
		return 0, false, err
	}
	if err := process.Start(ctx); err != nil {
		return 0, false, err
	}
	started()
	var expired <-chan time.Time
	if timeout > 0 {
		timer := time.NewTimer(timeout)
		defer timer.Stop()
		expired = timer.C
	}
	select {
	case status := <-exited:
		return int(status.ExitCode()), false, status.Error()
	case <-expired:
		timedOut = true
	case <-ctx.Done():
	}
	patience, cancel := context.WithTimeout(context.WithoutCancel(ctx), execCleanup)
	defer cancel()
	if err := process.Kill(patience, syscall.SIGKILL); err != nil && !errdefs.IsNotFound(err) {
		return 0, timedOut, err
	}
	select {
	case <-exited:
	case <-patience.Done():
	}
	return killedExitCode, timedOut, ctx.Err()
}

// removeExec forgets the process; twice does no harm.
func removeExec(ctx context.Context, process client.Process) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), execCleanup)
	defer cancel()
	_, _ = process.Delete(ctx, client.WithProcessKill)
}

// execError tells apart what is wrong with the exec and a container that has ended.
func execError(ctx context.Context, task client.Task, err error) error {
	status, statusErr := task.Status(ctx)
	if errdefs.IsNotFound(statusErr) || (statusErr == nil && status.Status != client.Running) {
		return fmt.Errorf("exec in container %s: %w", task.ID(), runtime.ErrNotRunning)
	}
	return fmt.Errorf("exec in container %s: %w", task.ID(), err)
}

// cutWriter keeps the first bytes and takes the rest, so that the writer never blocks.
type cutWriter struct {
	limit int
	mu    sync.Mutex
	kept  []byte
}

func (w *cutWriter) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.kept = append(w.kept, p[:min(len(p), w.limit-len(w.kept))]...)
	return len(p), nil
}

func (w *cutWriter) String() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return string(w.kept)
}
