package logs

import (
	"context"
	"errors"
	"fmt"
	"time"

	"fairlead/internal/row"
)

// sweepEvery is how often events that have expired are deleted. Nobody sees them meanwhile.
const sweepEvery = 10 * time.Minute

// Run deletes events that have expired and what streams that are gone have left, at the start, from
// time to time and whenever groups change, until ctx ends. It returns nil then.
func (s *Service) Run(ctx context.Context) error {
	watcher := s.store.Watch(row.LogGroups)
	defer watcher.Close()
	for {
		next, cancel := context.WithTimeout(ctx, sweepEvery)
		_, _, err := watcher.Next(next)
		cancel()
		if ctx.Err() != nil {
			return nil
		}
		if err != nil && !errors.Is(err, context.DeadlineExceeded) {
			return fmt.Errorf("watch the log groups: %w", err)
		}
		if err := s.Sweep(); err != nil {
			return fmt.Errorf("delete old log events: %w", err)
		}
	}
}

// Sweep deletes what has expired and what no stream owns any more.
func (s *Service) Sweep() error {
	ids, err := s.events.IDs()
	if err != nil {
		return err
	}
	view := s.store.View() // after the listing: a stream has its row before its first event
	for _, id := range ids {
		l, ok := row.First(row.LogStreams.By(view, "id", id))
		if !ok {
			if err := s.events.Delete(id); err != nil {
				return err
			}
			continue
		}
		g, err := findGroup(view, l.Scope, l.Group)
		if err != nil || g.Retention == 0 {
			continue
		}
		if err := s.events.Expire(id, time.UnixMilli(s.cutoff(g))); err != nil {
			return err
		}
	}
	return nil
}
