package logs

import (
	"context"
	"fmt"
	"hash/fnv"
	"iter"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	api "fairlead/internal/api/logs"
	"fairlead/internal/aws"
	"fairlead/internal/logstore"
	"fairlead/internal/row"
)

// maxScanned is how many events one call looks at: then it returns what it has, which may be
// nothing, and a token to go on with.
const maxScanned = 100000

// FilterLogEvents reads several streams of a group as one, in order of time.
func (s *Service) FilterLogEvents(
	ctx context.Context, in *api.FilterLogEventsInput,
) (*api.FilterLogEventsOutput, error) {
	f, err := s.newFilter(ctx, in)
	if err != nil {
		return nil, err
	}
	out := &api.FilterLogEventsOutput{
		Events: []api.FilteredLogEvent{}, SearchedLogStreams: []api.SearchedLogStream{},
	}
	size, scanned := 0, 0
	for e, err := range f.events() {
		if err != nil {
			return nil, err
		}
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		matched := f.pattern.matches(e.Message)
		if matched {
			size += len(e.Message) + eventOverhead
		}
		full := matched && (len(out.Events) == f.limit || size > maxAnswer && len(out.Events) > 0)
		if full || scanned == maxScanned {
			out.NextToken = pageToken(f.last.String())
			return out, nil
		}
		scanned, f.last = scanned+1, e.place()
		if matched {
			out.Events = append(out.Events, e.describe())
		}
	}
	return out, nil
}

// filter is a FilterLogEvents call.
type filter struct {
	store   *logstore.Store
	streams []row.LogStream
	query   logstore.Query
	pattern pattern
	limit   int
	last    place // up to which events have been dealt with
}

// place is where an event stands among those of a group.
type place struct {
	logstore.Position
	stream string // id
}

func (p place) String() string { return fmt.Sprintf("%d %d %s", p.Milli, p.Seq, p.stream) }

// found is an event and the stream it is in.
type found struct {
	logstore.Record
	stream row.LogStream
}

func (e found) place() place { return place{e.Position(), e.stream.ID} }

// before orders events by time, then by stream, then by arrival.
func (p place) before(q place) bool {
	if p.Milli != q.Milli {
		return p.Milli < q.Milli
	}
	if p.stream != q.stream {
		return p.stream < q.stream
	}
	return p.Seq < q.Seq
}

func (s *Service) newFilter(ctx context.Context, in *api.FilterLogEventsInput) (*filter, error) {
	f := &filter{store: s.events, limit: int(aws.Or(in.Limit, maxEvents))}
	var err error
	if f.pattern, err = parsePattern(aws.Val(in.FilterPattern)); err != nil {
		return nil, err
	}
	group, err := groupName(scope(ctx), in.LogGroupName, in.LogGroupIdentifier)
	if err != nil {
		return nil, err
	}
	g, err := findGroup(s.store.View(), scope(ctx), group)
	if err != nil {
		return nil, err
	}
	if f.streams, err = s.chosen(g, in); err != nil {
		return nil, err
	}
	if in.NextToken != nil {
		if f.last, err = readPlace(in.NextToken); err != nil {
			return nil, err
		}
	}
	f.query.From = max(aws.Val(in.StartTime), s.cutoff(g), f.last.Milli)
	if in.EndTime != nil {
		// Unlike that of GetLogEvents, this end is inclusive.
		f.query.To = min(*in.EndTime, math.MaxInt64-1) + 1
	}
	return f, nil
}

func readPlace(token *string) (p place, err error) {
	text, err := readPage(token)
	if err != nil {
		return p, err
	}
	if _, err := fmt.Sscanf(text, "%d %d %s", &p.Milli, &p.Seq, &p.stream); err != nil {
		return p, invalidToken()
	}
	return p, nil
}

// chosen returns the streams to search.
func (s *Service) chosen(g row.LogGroup, in *api.FilterLogEventsInput) ([]row.LogStream, error) {
	if in.LogStreamNames != nil && in.LogStreamNamePrefix != nil {
		return nil, invalid("logStreamNamePrefix and logStreamNames are mutually exclusive " +
			"parameters.")
	}
	view := s.store.View()
	if in.LogStreamNames == nil {
		prefix := row.LogStreamKey(g.Scope, g.Name, aws.Val(in.LogStreamNamePrefix))
		return slices.Collect(row.LogStreams.Scan(view, prefix)), nil
	}
	var streams []row.LogStream
	for _, name := range in.LogStreamNames {
		l, err := findStream(view, g.Scope, g.Name, name)
		if err != nil {
			return nil, err
		}
		streams = append(streams, l)
	}
	return streams, nil
}

// head is the next event of one stream or, until it is open, where that event is at the earliest.
type head struct {
	found
	next       func() (logstore.Record, error, bool)
	stop       func()
	open, done bool
}

// events walks the streams as one. A stream is not read before its first event may come next.
func (f *filter) events() iter.Seq2[found, error] {
	return func(yield func(found, error) bool) {
		heads, err := f.heads()
		defer func() {
			for _, h := range heads {
				h.stop()
			}
		}()
		if err != nil {
			yield(found{}, err)
			return
		}
		for h := first(heads); h != nil; h = first(heads) {
			if h.open && !yield(h.found, nil) {
				return
			}
			if err := h.advance(f.last); err != nil {
				yield(found{}, err)
				return
			}
		}
	}
}

// heads returns the streams that may have events of the time that is asked for.
func (f *filter) heads() ([]*head, error) {
	var heads []*head
	for _, l := range f.streams {
		stats, err := f.store.Stats(l.ID)
		if err != nil {
			return heads, err
		}
		if stats.Events == 0 || stats.Last.UnixMilli() < f.query.From {
			continue
		}
		h := &head{found: found{stream: l}}
		h.Time = time.UnixMilli(max(stats.First.UnixMilli(), f.query.From))
		h.next, h.stop = iter.Pull2(f.store.Read(l.ID, f.query))
		heads = append(heads, h)
	}
	return heads, nil
}

// advance goes to the stream's next event behind last.
func (h *head) advance(last place) error {
	h.open = true
	for {
		r, err, ok := h.next()
		if !ok || err != nil {
			h.done = true
			return err
		}
		if h.Record = r; last == (place{}) || last.before(h.place()) {
			return nil
		}
	}
}

// first returns the head that comes first, nil when all are done.
func first(heads []*head) *head {
	var best *head
	for _, h := range heads {
		if !h.done && (best == nil || h.place().before(best.place())) {
			best = h
		}
	}
	return best
}

func (e found) describe() api.FilteredLogEvent {
	return api.FilteredLogEvent{
		EventId:       new(e.id()),
		IngestionTime: millis(e.Ingested),
		LogStreamName: &e.stream.Name,
		Message:       &e.Message,
		Timestamp:     millis(e.Time),
	}
}

// id is the same whenever the event is returned: "aws logs tail" leaves out what it has seen. It
// has 56 digits, as AWS's has.
func (e found) id() string {
	h := fnv.New64a()
	h.Write([]byte(e.stream.ID))
	stream := strconv.FormatUint(h.Sum64(), 10)
	return fmt.Sprintf("%016d%s%020d", e.Time.UnixMilli(),
		strings.Repeat("0", 20-len(stream))+stream, e.Seq)
}
