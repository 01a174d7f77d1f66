package node

import (
	"context"
	"errors"
	"fmt"
	"syscall"

	"fairlead/internal/aws"
	"fairlead/internal/runtime"
)

// signal sends the stop signal (the image's own where it names one) or SIGKILL to container i. One
// that has just exited is no error.
func (t *Containers) signal(ctx context.Context, i int, sig syscall.Signal) error {
	cfg := t.node.cfg
	if sig == runtime.StopSignal {
		image, err := cfg.Runtime.EnsureImage(ctx, aws.Val(t.all[i].Image),
			runtime.Pull{Policy: runtime.PullNever})
		if err == nil && image.StopSignal != 0 {
			sig = image.StopSignal
		}
	}
	err := cfg.Runtime.Signal(ctx, t.states[i].RuntimeID, sig)
	if err != nil && !errors.Is(err, runtime.ErrNotRunning) && !errors.Is(err, runtime.ErrNotFound) {
		return fmt.Errorf("send %v to container %s: %w", sig, t.states[i].Name, err)
	}
	return nil
}
