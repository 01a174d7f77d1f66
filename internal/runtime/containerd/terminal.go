package containerd

import (
	"context"
	"time"

	"github.com/containerd/containerd/v2/client"
	"github.com/containerd/containerd/v2/pkg/cio"
	"github.com/opencontainers/runtime-spec/specs-go"

	"fairlead/internal/runtime"
)

// ExecTerminal implements runtime.Containers.
func (e *Engine) ExecTerminal(ctx context.Context, id string, spec runtime.ExecSpec,
	terminal runtime.Terminal) (int, error) {
	sizing, stop := context.WithCancel(ctx)
	defer stop()
	code, _, err := e.exec(ctx, id, spec, execution{
		streams: []cio.Opt{cio.WithStreams(terminal.In, terminal.Out, nil), cio.WithTerminal},
		prepare: func(p *specs.Process) {
			p.Terminal, p.ConsoleSize = true, firstSize(ctx, terminal.Sizes)
		},
		started: func(p client.Process) {
			go resize(sizing, p, terminal.Sizes) // ends with sizing
		},
	})
	return code, err
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
