package node

import (
	"cmp"
	"context"
	"fmt"

	"fairlead/internal/row"
)

// stream is where the awslogs driver of a container writes.
type stream struct {
	scope       row.Scope
	group, name string
	create      bool
}

// streamOf reads the options of the awslogs driver, which registration has checked.
// https://docs.aws.amazon.com/AmazonECS/latest/developerguide/using_awslogs.html
func (t *Containers) streamOf(c container) stream {
	o := c.LogConfiguration.Options
	scope := row.Scope{Account: t.task.Account, Region: cmp.Or(o["awslogs-region"], t.task.Region)}
	name := c.name() + "/" + t.task.ID
	if prefix := o["awslogs-stream-prefix"]; prefix != "" {
		name = prefix + "/" + name
	}
	return stream{scope, o["awslogs-group"], name, o["awslogs-create-group"] == "true"}
}

// openLog makes the container's log stream before the container starts, as the driver does.
func (t *Containers) openLog(ctx context.Context, c container) error {
	if c.LogConfiguration == nil {
		return nil
	}
	s := t.streamOf(c)
	if err := t.node.cfg.Logs.OpenStream(ctx, s.scope, s.group, s.name, s.create); err != nil {
		return fmt.Errorf("ResourceInitializationError: failed to validate logger args: "+
			"failed to create Cloudwatch log stream: %w", err)
	}
	return nil
}

// followLog begins to ship the log of container i.
func (t *Containers) followLog(i int) {
	c := t.all[i]
	if c.LogConfiguration == nil || t.tails[i] != nil {
		return
	}
	s := t.streamOf(c)
	tail := &tail{
		path: t.logPath(c), now: t.node.cfg.Now, logger: t.node.cfg.Logger,
		finish: make(chan struct{}), done: make(chan struct{}),
		ship: func(ctx context.Context, events []LogEvent) error {
			return t.node.cfg.Logs.Append(ctx, s.scope, s.group, s.name, events)
		},
	}
	t.tails[i] = tail
	go tail.run(t.ctx)
}

// finishLogs waits until everything that the containers wrote has been shipped. A container that
// ended before it was seen running gets its reader here.
func (t *Containers) finishLogs(ctx context.Context) {
	for i := range t.all {
		t.followLog(i)
		tail := t.tails[i]
		if tail == nil {
			continue
		}
		close(tail.finish)
		select {
		case <-tail.done:
		case <-ctx.Done():
			return
		}
		delete(t.tails, i)
	}
}
