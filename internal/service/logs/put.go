package logs

import (
	"context"
	"time"

	api "fairlead/internal/api/logs"
	"fairlead/internal/logstore"
	"fairlead/internal/row"
)

// Limits of PutLogEvents.
// https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_PutLogEvents.html
const (
	maxBatch      = 1048576 // bytes of messages and eventOverhead together
	eventOverhead = 26      // bytes that each event counts beside its message
	maxSpan       = 24 * time.Hour
	maxAhead      = 2 * time.Hour
	maxBehind     = 14 * 24 * time.Hour
)

// sequenceToken is what AWS still returns, and no longer wants back, since January 2023.
const sequenceToken = "49039859631231600000000000000000000000000000000000000000"

// PutLogEvents adds a batch of events in order of time. Those too far off the present are rejected
// alone.
func (s *Service) PutLogEvents(
	ctx context.Context, in *api.PutLogEventsInput,
) (*api.PutLogEventsOutput, error) {
	if err := checkBatch(in.LogEvents); err != nil {
		return nil, err
	}
	view := s.store.View()
	g, err := findGroup(view, scope(ctx), *in.LogGroupName)
	if err != nil {
		return nil, err
	}
	l, err := findStream(view, g.Scope, g.Name, *in.LogStreamName)
	if err != nil {
		return nil, err
	}
	events, rejected := s.acceptable(g, in.LogEvents)
	if err := s.events.Append(l.ID, s.now(), events); err != nil {
		return nil, err
	}
	out := &api.PutLogEventsOutput{
		NextSequenceToken: new(sequenceToken), RejectedLogEventsInfo: rejected,
	}
	if in.Entity != nil {
		out.RejectedEntityInfo = &api.RejectedEntityInfo{
			ErrorType: api.EntityRejectionErrorTypeUnsupportedLogGroupType,
		}
	}
	return out, nil
}

func checkBatch(events []api.InputLogEvent) error {
	size, last := 0, int64(0)
	for _, e := range events {
		size += len(*e.Message) + eventOverhead
		if *e.Timestamp < last {
			return invalid("Log events in a single PutLogEvents request must be in chronological " +
				"order.")
		}
		last = *e.Timestamp
	}
	if size > maxBatch {
		return invalid("Upload too large: %d bytes exceeds limit of %d", size, maxBatch)
	}
	if last-*events[0].Timestamp > maxSpan.Milliseconds() {
		return invalid("The batch of log events in a single PutLogEvents request cannot span more " +
			"than 24 hours.")
	}
	return nil
}

// acceptable leaves out what is too old, too new or expired. As the batch is in order of time, the
// first are at its head and the others at its tail.
func (s *Service) acceptable(
	g row.LogGroup, in []api.InputLogEvent,
) ([]logstore.Event, *api.RejectedLogEventsInfo) {
	var events []logstore.Event
	var info api.RejectedLogEventsInfo
	rejected := false
	now := s.now()
	for i, e := range in {
		at := time.UnixMilli(*e.Timestamp)
		switch {
		case at.Before(now.Add(-maxBehind)):
			info.TooOldLogEventEndIndex = new(int32(i + 1))
		case at.UnixMilli() < s.cutoff(g):
			info.ExpiredLogEventEndIndex = new(int32(i + 1))
		case at.After(now.Add(maxAhead)):
			if info.TooNewLogEventStartIndex == nil {
				info.TooNewLogEventStartIndex = new(int32(i))
			}
		default:
			events = append(events, logstore.Event{Time: at, Message: *e.Message})
			continue
		}
		rejected = true
	}
	if !rejected {
		return events, nil
	}
	return events, &info
}

// cutoff is the time in milliseconds from which on a group's events are kept.
func (s *Service) cutoff(g row.LogGroup) int64 {
	if g.Retention == 0 {
		return 0
	}
	return s.now().Add(-time.Duration(g.Retention) * 24 * time.Hour).UnixMilli()
}

// Append adds events to a stream for the awslogs driver. They may come in any order.
func (s *Service) Append(
	_ context.Context, scope row.Scope, group, stream string, events []logstore.Event,
) error {
	l, err := findStream(s.store.View(), scope, group, stream)
	if err != nil {
		return err
	}
	return s.events.Append(l.ID, s.now(), events)
}
