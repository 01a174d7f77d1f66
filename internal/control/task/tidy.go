package task

import (
	"context"
	"time"

	"fairlead/internal/row"
	"fairlead/internal/state"
)

const (
	// keepStopped is how long a stopped task is still described.
	// https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_DescribeTasks.html
	keepStopped = time.Hour
	// tidyEvery is the pause between two passes that forget old tasks and remove what a crash left.
	tidyEvery = time.Minute
	// tidyIdle is how soon a pass is made when no task is left; the next task may come at once.
	tidyIdle = 2 * time.Second
)

// tidy forgets tasks that stopped an hour ago and removes containers that no open task owns, every
// minute and soon after the last task has ended.
func (c *Controller) tidy(ctx context.Context) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-c.idle:
			timer.Reset(tidyIdle)
			continue
		case <-timer.C:
		}
		if err := c.prune(ctx); err != nil && ctx.Err() == nil {
			c.cfg.Logger.Warn("remove containers without a task", "err", err)
		}
		if err := c.forget(ctx); err != nil && ctx.Err() == nil {
			c.cfg.Logger.Warn("forget stopped tasks", "err", err)
		}
		timer.Reset(tidyEvery)
	}
}

// prune asks the store anew for every container, so that one created meanwhile is not taken for an
// orphan.
func (c *Controller) prune(ctx context.Context) error {
	err := c.cfg.Node.Prune(ctx, func(id string) bool {
		task, ok := row.First(row.Tasks.By(c.cfg.Store.View(), "id", id))
		return ok && task.LastStatus != row.TaskStopped
	})
	if err != nil {
		return err
	}
	if _, open := row.First(row.Tasks.By(c.cfg.Store.View(), "open", "yes")); !open {
		if err := c.cfg.Node.Trim(ctx); err != nil {
			return err
		}
	}
	needed := c.neededImages()
	return c.cfg.Node.PruneImages(ctx, func(digest string) bool { return needed[digest] })
}

// neededImages are the digests of images that tasks run, or that tasks to come of a deployment will.
func (c *Controller) neededImages() map[string]bool {
	view, needed := c.cfg.Store.View(), map[string]bool{}
	for task := range row.Tasks.By(view, "open", "yes") {
		for _, container := range task.Containers {
			needed[container.ImageDigest] = true
		}
	}
	for d := range row.Deployments.Scan(view, "") {
		revision, _ := row.ServiceRevisions.Get(view, d.Revision)
		for _, digest := range revision.Images {
			needed[digest] = true
		}
	}
	return needed
}

func (c *Controller) forget(ctx context.Context) error {
	limit := c.cfg.Now().Add(-keepStopped)
	var old []string
	for task := range row.Tasks.Scan(c.cfg.Store.View(), "") {
		if task.StoppedAt != nil && task.StoppedAt.Before(limit) {
			old = append(old, task.ARN)
		}
	}
	if len(old) == 0 {
		return nil
	}
	return c.cfg.Store.Update(ctx, func(tx *state.Tx) error {
		for _, arn := range old {
			row.Tasks.Delete(tx, arn)
		}
		return nil
	})
}
