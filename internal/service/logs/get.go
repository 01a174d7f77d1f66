package logs

import (
	"context"
	"fmt"
	"slices"

	api "fairlead/internal/api/logs"
	"fairlead/internal/aws"
	"fairlead/internal/logstore"
)

// Bounds of an answer with events.
const (
	maxEvents = 10000
	maxAnswer = 1 << 20 // bytes of messages and eventOverhead together
)

// GetLogEvents reads a stream: its newest events or, from the head, its oldest, and then on from a
// token in the token's direction. At an end a token leads to itself.
func (s *Service) GetLogEvents(
	ctx context.Context, in *api.GetLogEventsInput,
) (*api.GetLogEventsOutput, error) {
	group, err := groupName(scope(ctx), in.LogGroupName, in.LogGroupIdentifier)
	if err != nil {
		return nil, err
	}
	view := s.store.View()
	g, err := findGroup(view, scope(ctx), group)
	if err != nil {
		return nil, err
	}
	l, err := findStream(view, g.Scope, g.Name, *in.LogStreamName)
	if err != nil {
		return nil, err
	}
	q := logstore.Query{
		From: max(aws.Val(in.StartTime), s.cutoff(g)), To: aws.Val(in.EndTime),
		Backward: !aws.Val(in.StartFromHead),
	}
	at, err := follow(&q, in.NextToken)
	if err != nil {
		return nil, err
	}
	records, err := s.take(l.ID, q, int(aws.Or(in.Limit, maxEvents)))
	if err != nil {
		return nil, err
	}
	return eventsAnswer(records, at), nil
}

// follow makes q go on from a token, and returns where the token stands.
func follow(q *logstore.Query, token *string) (at logstore.Position, err error) {
	if token == nil {
		return at, nil
	}
	direction, at, err := readToken(*token)
	if err != nil {
		return at, err
	}
	q.Backward = direction == 'b'
	if q.Backward {
		q.Before = at
		if at == (logstore.Position{}) {
			q.To = -1 // there is nothing in front of the beginning
		}
	} else {
		q.After = at
	}
	return at, nil
}

// take reads as many events as fit in an answer, in order of time whatever the direction.
func (s *Service) take(id string, q logstore.Query, limit int) ([]logstore.Record, error) {
	var records []logstore.Record
	size := 0
	for r, err := range s.events.Read(id, q) {
		if err != nil {
			return nil, err
		}
		size += len(r.Message) + eventOverhead
		if len(records) == limit || size > maxAnswer && len(records) > 0 {
			break
		}
		records = append(records, r)
	}
	if q.Backward {
		slices.Reverse(records)
	}
	return records, nil
}

// eventsAnswer puts the tokens around the events; around none both stand at the same place.
func eventsAnswer(records []logstore.Record, at logstore.Position) *api.GetLogEventsOutput {
	first, last := at, at
	out := &api.GetLogEventsOutput{Events: []api.OutputLogEvent{}}
	for i, r := range records {
		if i == 0 {
			first = r.Position()
		}
		last = r.Position()
		out.Events = append(out.Events, api.OutputLogEvent{
			Timestamp: millis(r.Time), IngestionTime: millis(r.Ingested), Message: &r.Message,
		})
	}
	out.NextForwardToken = new(token('f', last))
	out.NextBackwardToken = new(token('b', first))
	return out
}

// token looks like AWS's own: direction, 56 digits, a mark.
func token(direction byte, p logstore.Position) string {
	return fmt.Sprintf("%c/%028d%028d/s", direction, p.Milli, p.Seq)
}

func readToken(s string) (direction byte, p logstore.Position, err error) {
	_, err = fmt.Sscanf(s, "%c/%28d%28d/s", &direction, &p.Milli, &p.Seq)
	if err != nil || direction != 'f' && direction != 'b' || token(direction, p) != s {
		return 0, p, invalidToken()
	}
	return direction, p, nil
}
