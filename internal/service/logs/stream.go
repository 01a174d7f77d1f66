package logs

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"unicode"

	api "fairlead/internal/api/logs"
	"fairlead/internal/aws"
	"fairlead/internal/row"
	"fairlead/internal/state"
	"fairlead/internal/wire"
)

func (s *Service) registerStreams(r *wire.Router) {
	wire.Handle(r, api.OpCreateLogStream, s.CreateLogStream)
	wire.Handle(r, api.OpDescribeLogStreams, s.DescribeLogStreams)
	wire.Handle(r, api.OpDeleteLogStream, s.DeleteLogStream)
}

// CreateLogStream makes an empty stream.
func (s *Service) CreateLogStream(
	ctx context.Context, in *api.CreateLogStreamInput,
) (*api.CreateLogStreamOutput, error) {
	if strings.ContainsFunc(*in.LogStreamName, unicode.IsControl) {
		return nil, invalid("Log stream name has a control character")
	}
	return &api.CreateLogStreamOutput{}, s.store.Update(ctx, func(tx *state.Tx) error {
		if _, err := findGroup(tx, scope(ctx), *in.LogGroupName); err != nil {
			return err
		}
		if !s.addStream(tx, scope(ctx), *in.LogGroupName, *in.LogStreamName) {
			return api.ResourceAlreadyExistsException("The specified log stream already exists")
		}
		return nil
	})
}

// streamID is the length of a stream's id in hex digits.
const streamID = 32

// addStream reports whether it had to add the stream.
func (s *Service) addStream(tx *state.Tx, scope row.Scope, group, name string) bool {
	l := row.LogStream{
		Scope: scope, Group: group, Name: name, ID: aws.HexID(streamID), CreatedAt: s.now().UTC(),
	}
	if _, ok := row.LogStreams.Get(tx, l.Key()); ok {
		return false
	}
	row.LogStreams.Put(tx, l)
	return true
}

// OpenStream makes sure that a stream exists, as the awslogs driver does before a container starts.
// A group that does not exist is an error, or is made too if create says so.
func (s *Service) OpenStream(
	ctx context.Context, scope row.Scope, group, stream string, create bool,
) error {
	return s.store.Update(ctx, func(tx *state.Tx) error {
		if _, err := findGroup(tx, scope, group); err != nil {
			if !create {
				return err
			}
			if err := s.addGroup(tx, scope, group, nil); err != nil {
				return err
			}
		}
		s.addStream(tx, scope, group, stream)
		return nil
	})
}

// DescribeLogStreams lists a group's streams, by name or by the time of their last event.
func (s *Service) DescribeLogStreams(
	ctx context.Context, in *api.DescribeLogStreamsInput,
) (*api.DescribeLogStreamsOutput, error) {
	streams, err := s.listStreams(scope(ctx), in)
	if err != nil {
		return nil, err
	}
	if in.NextToken != nil {
		last, err := readPage(in.NextToken)
		if err != nil {
			return nil, err
		}
		i := slices.IndexFunc(streams, func(l api.LogStream) bool { return *l.LogStreamName == last })
		if i < 0 {
			return nil, invalidToken()
		}
		streams = streams[i+1:]
	}
	out := &api.DescribeLogStreamsOutput{LogStreams: streams}
	if n := int(aws.Or(in.Limit, defaultPage)); len(streams) > n {
		out.LogStreams = streams[:n]
		out.NextToken = pageToken(*streams[n-1].LogStreamName)
	}
	return out, nil
}

// listStreams returns all streams that are asked for, in the order that is asked for.
func (s *Service) listStreams(
	scope row.Scope, in *api.DescribeLogStreamsInput,
) ([]api.LogStream, error) {
	byTime := in.OrderBy == api.OrderByLastEventTime
	if byTime && in.LogStreamNamePrefix != nil {
		return nil, invalid("Cannot order by LastEventTime with a logStreamNamePrefix.")
	}
	group, err := groupName(scope, in.LogGroupName, in.LogGroupIdentifier)
	if err != nil {
		return nil, err
	}
	view := s.store.View()
	g, err := findGroup(view, scope, group)
	if err != nil {
		return nil, err
	}
	streams := []api.LogStream{}
	prefix := row.LogStreamKey(scope, group, aws.Val(in.LogStreamNamePrefix))
	for l := range row.LogStreams.Scan(view, prefix) {
		described, err := s.describeStream(g, l)
		if err != nil {
			return nil, err
		}
		streams = append(streams, described)
	}
	if byTime {
		slices.SortStableFunc(streams, func(a, b api.LogStream) int {
			return cmp.Compare(aws.Val(a.LastEventTimestamp), aws.Val(b.LastEventTimestamp))
		})
	}
	if aws.Val(in.Descending) {
		slices.Reverse(streams)
	}
	return streams, nil
}

func (s *Service) describeStream(g row.LogGroup, l row.LogStream) (api.LogStream, error) {
	stats, err := s.events.Stats(l.ID)
	out := api.LogStream{
		Arn:           new(l.ARN()),
		CreationTime:  millis(l.CreatedAt),
		LogStreamName: &l.Name,
		StoredBytes:   new(int64(0)), // so since 2019: AWS tells the bytes of groups only
	}
	if stats.Events > 0 {
		out.FirstEventTimestamp = new(max(stats.First.UnixMilli(), s.cutoff(g)))
		out.LastEventTimestamp = millis(stats.Last)
		out.LastIngestionTime = millis(stats.LastIngested)
		out.UploadSequenceToken = new(sequenceToken)
	}
	return out, err
}

// DeleteLogStream deletes a stream and its events.
func (s *Service) DeleteLogStream(
	ctx context.Context, in *api.DeleteLogStreamInput,
) (*api.DeleteLogStreamOutput, error) {
	var gone row.LogStream
	err := s.store.Update(ctx, func(tx *state.Tx) (err error) {
		gone, err = findStream(tx, scope(ctx), *in.LogGroupName, *in.LogStreamName)
		if err == nil {
			row.LogStreams.Delete(tx, gone.Key())
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	if err := s.events.Delete(gone.ID); err != nil {
		return nil, fmt.Errorf("delete the events of %s: %w", gone.Key(), err)
	}
	return &api.DeleteLogStreamOutput{}, nil
}
