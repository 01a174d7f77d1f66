package containerd

import (
	"context"
	"crypto/rand"
	"path/filepath"
	"strings"
	"time"

	"github.com/containerd/containerd/v2/client"
	"github.com/containerd/containerd/v2/pkg/cio"
	"github.com/opencontainers/runtime-spec/specs-go"

	"fairlead/internal/runtime"
)

// ExecTerminal implements runtime.Containers.
func (e *Engine) ExecTerminal(ctx context.Context, id string, spec runtime.ExecSpec,
	terminal runtime.Terminal) (int, error) {
	task, row, err := e.running(ctx, id)
	if err != nil {
		return 0, err
	}
	outer, err := specOf(row)
	if err != nil {
		return 0, err
	}
	inner, err := execProcess(*outer.Process, spec)
	if err != nil {
		return 0, err
	}
	inner.Terminal, inner.ConsoleSize = true, firstSize(ctx, terminal.Sizes)
	process, err := task.Exec(ctx, "exec-"+strings.ToLower(rand.Text()), inner,
		cio.NewCreator(cio.WithStreams(terminal.In, terminal.Out, nil), cio.WithTerminal,
			cio.WithFIFODir(filepath.Join(e.config.Run, "pipes"))))
	if err != nil {
		return 0, execError(ctx, task, err)
	}
	defer removeExec(ctx, process)
	sizing, stop := context.WithCancel(ctx)
	defer stop()
	code, _, err := runExec(ctx, process, 0, func() {
		go resize(sizing, process, terminal.Sizes) // ends with sizing
	})
	if err != nil {
		return 0, execError(ctx, task, err)
	}
	stop()
	removeExec(ctx, process) // flushes the output
	return code, nil
}

// sizeTime is how long a process waits for the size of its window. Clients tell it at once, and then
// only when it changes.
const sizeTime = 300 * time.Millisecond

// firstSize is the size that the window has at the start; nil if nobody tells it in time.
func firstSize(ctx context.Context, sizes <-chan runtime.Size) *specs.Box {
	timer := time.NewTimer(sizeTime)
	defer timer.Stop()
	select {
	case size, told := <-sizes:
		if told {
			return &specs.Box{Width: uint(size.Columns), Height: uint(size.Rows)}
		}
	case <-timer.C:
	case <-ctx.Done():
	}
	return nil
}

// resize passes on the sizes of the window until ctx is done. A process never fails for it.
func resize(ctx context.Context, process client.Process, sizes <-chan runtime.Size) {
	for {
		select {
		case <-ctx.Done():
			return
		case size, open := <-sizes:
			if !open {
				return
			}
			_ = process.Resize(ctx, uint32(size.Columns), uint32(size.Rows))
		}
	}
}
