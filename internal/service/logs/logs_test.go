package logs

import (
	"context"
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	api "fairlead/internal/api/logs"
	"fairlead/internal/aws"
	"fairlead/internal/logstore"
	"fairlead/internal/row"
	"fairlead/internal/state/statetest"
	"fairlead/internal/wire"
	"fairlead/internal/wire/wiretest"
)

// start is 1767323045000 in milliseconds.
var start = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

var home = row.Scope{Account: "123456789012", Region: "eu-west-1"}

func newService(t *testing.T) *Service {
	t.Helper()
	events, err := logstore.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	s := New(statetest.Open(t, row.Tables()...), events)
	s.now = func() time.Time { return start }
	return s
}

func caller(ctx context.Context) context.Context {
	return aws.WithCaller(ctx, aws.Caller{Account: home.Account, Region: home.Region})
}

func TestScripts(t *testing.T) {
	hidden := regexp.MustCompile(`(?P<event>\b[0-9]{56}\b)|(?P<page>\b[A-Za-z0-9_-]{60,})`)
	wiretest.Scripts(t, &api.API, hidden, func(t *testing.T) http.Handler {
		r := wire.NewRouter(wire.Config{})
		newService(t).Register(r)
		return r
	})
}

// put opens a stream of the group g and appends messages that stand at seconds after start.
func put(t *testing.T, s *Service, stream string, seconds ...int) {
	t.Helper()
	if err := s.OpenStream(t.Context(), home, "g", stream, true); err != nil {
		t.Fatal(err)
	}
	for _, n := range seconds {
		e := logstore.Event{
			Time: start.Add(time.Duration(n) * time.Second), Message: fmt.Sprint(stream, n),
		}
		if err := s.Append(t.Context(), home, "g", stream, []logstore.Event{e}); err != nil {
			t.Fatal(err)
		}
	}
}

// TestPagesOfAFilter reads page by page what it also reads at once.
func TestPagesOfAFilter(t *testing.T) {
	s := newService(t)
	put(t, s, "a", -9, -7, -5, -5)
	put(t, s, "b", -8, -5, -1)
	put(t, s, "c", -5)
	for limit := int32(1); limit < 10; limit++ {
		var got []string
		var next *string
		for range 20 {
			out, err := s.FilterLogEvents(caller(t.Context()), &api.FilterLogEventsInput{
				LogGroupName: new("g"), Limit: &limit, NextToken: next,
			})
			if err != nil {
				t.Fatal(err)
			}
			for _, e := range out.Events {
				got = append(got, *e.Message)
			}
			if next = out.NextToken; next == nil {
				break
			}
		}
		times := regexp.MustCompile(`[a-c]`).ReplaceAllString(strings.Join(got, " "), "")
		if times != "-9 -8 -7 -5 -5 -5 -5 -1" || strings.Count(strings.Join(got, ""), "a-5") != 2 {
			t.Errorf("limit %d: got %v", limit, got)
		}
	}
}

// TestWalkingAStream goes forward and back by tokens, while events arrive.
func TestWalkingAStream(t *testing.T) {
	s := newService(t)
	put(t, s, "a", -9, -8, -7)
	get := func(token *string, head bool) (string, *api.GetLogEventsOutput) {
		t.Helper()
		out, err := s.GetLogEvents(caller(t.Context()), &api.GetLogEventsInput{
			LogGroupName: new("g"), LogStreamName: new("a"), Limit: new(int32(2)),
			StartFromHead: &head, NextToken: token,
		})
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, e := range out.Events {
			got = append(got, *e.Message)
		}
		return strings.Join(got, " "), out
	}
	expect := func(got, want string) {
		t.Helper()
		if got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
	got, newest := get(nil, false)
	expect(got, "a-8 a-7")
	got, older := get(newest.NextBackwardToken, false)
	expect(got, "a-9")
	got, end := get(older.NextBackwardToken, false)
	expect(got, "")
	expect(*end.NextBackwardToken, *older.NextBackwardToken)
	got, end = get(newest.NextForwardToken, false)
	expect(got, "")
	expect(*end.NextForwardToken, *newest.NextForwardToken)
	put(t, s, "a", -1)
	got, _ = get(end.NextForwardToken, false)
	expect(got, "a-1")
	got, oldest := get(nil, true)
	expect(got, "a-9 a-8")
	got, _ = get(oldest.NextForwardToken, true)
	expect(got, "a-7 a-1")
}

// TestEmptyStreamIsFollowed takes a token before the first event is there.
func TestEmptyStreamIsFollowed(t *testing.T) {
	s := newService(t)
	put(t, s, "a")
	in := &api.GetLogEventsInput{LogGroupName: new("g"), LogStreamName: new("a")}
	out, err := s.GetLogEvents(caller(t.Context()), in)
	if err != nil || len(out.Events) != 0 {
		t.Fatalf("got %v, %v", out, err)
	}
	forward, backward := out.NextForwardToken, out.NextBackwardToken
	put(t, s, "a", -1)
	in.NextToken = forward
	if out, err = s.GetLogEvents(caller(t.Context()), in); err != nil || len(out.Events) != 1 {
		t.Errorf("forward: got %v, %v", out, err)
	}
	in.NextToken = backward
	if out, err = s.GetLogEvents(caller(t.Context()), in); err != nil || len(out.Events) != 0 {
		t.Errorf("backward: got %v, %v", out, err)
	}
}

func TestRetentionDeletes(t *testing.T) {
	s := newService(t)
	put(t, s, "a", -100)
	put(t, s, "gone", -100)
	ctx := caller(t.Context())
	if _, err := s.PutRetentionPolicy(ctx, &api.PutRetentionPolicyInput{
		LogGroupName: new("g"), RetentionInDays: new(int32(1)),
	}); err != nil {
		t.Fatal(err)
	}
	count := func() int {
		t.Helper()
		out, err := s.FilterLogEvents(ctx, &api.FilterLogEventsInput{LogGroupName: new("g")})
		if err != nil {
			t.Fatal(err)
		}
		return len(out.Events)
	}
	if n := count(); n != 2 {
		t.Errorf("%d events before the day is over", n)
	}
	s.now = func() time.Time { return start.Add(24*time.Hour - 99*time.Second) }
	if n := count(); n != 0 {
		t.Errorf("%d events are seen after the day", n)
	}
	if err := s.Sweep(); err != nil {
		t.Fatal(err)
	}
	l, err := findStream(s.store.View(), home, "g", "a")
	if err != nil {
		t.Fatal(err)
	}
	if stats, err := s.events.Stats(l.ID); err != nil || stats.Events != 0 {
		t.Errorf("got %+v, %v", stats, err)
	}
}

// TestSweepsWhatRowsHaveLeft resets the state under the events.
func TestSweepsWhatRowsHaveLeft(t *testing.T) {
	s := newService(t)
	put(t, s, "a", -1)
	if err := s.store.Reset(t.Context()); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- s.Run(ctx) }()
	deadline := time.Now().Add(10 * time.Second)
	for {
		ids, err := s.events.IDs()
		if err != nil {
			t.Fatal(err)
		}
		if len(ids) == 0 {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("still there: %v", ids)
		}
	}
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

// TestBoto3 writes and reads with boto3's paginators, as programs do.
func TestBoto3(t *testing.T) {
	s := newService(t)
	s.now = time.Now
	r := wire.NewRouter(wire.Config{})
	s.Register(r)
	wiretest.Boto3(t, r, "test", "test", `
import time
logs = client("logs")
logs.create_log_group(logGroupName="g", tags={"a": "b"})
same(code(logs.create_log_group, logGroupName="g"), "ResourceAlreadyExistsException")
now = int(time.time() * 1000)
for stream in "ab":
    logs.create_log_stream(logGroupName="g", logStreamName=stream)
    logs.put_log_events(logGroupName="g", logStreamName=stream, logEvents=[
        {"timestamp": now - 100 + i, "message": "%s %d \u20ac" % (stream, i)} for i in range(50)])
pages = logs.get_paginator("filter_log_events").paginate(
    logGroupName="g", interleaved=True, PaginationConfig={"PageSize": 7})
found = [e for page in pages for e in page["events"]]
same(len({e["eventId"] for e in found}), 100)
same([e["timestamp"] for e in found], sorted(e["timestamp"] for e in found))
same(found[0]["message"][-1], "\u20ac")
token, walked = None, []
while True:
    more = {"nextToken": token} if token else {}
    page = logs.get_log_events(
        logGroupName="g", logStreamName="a", startFromHead=True, limit=8, **more)
    walked += [e["message"] for e in page["events"]]
    if page["nextForwardToken"] == token:
        break
    token = page["nextForwardToken"]
same(walked, ["a %d \u20ac" % i for i in range(50)])
streams = [s["logStreamName"] for page in logs.get_paginator("describe_log_streams").paginate(
    logGroupName="g", PaginationConfig={"PageSize": 1}) for s in page["logStreams"]]
same(streams, ["a", "b"])
logs.delete_log_group(logGroupName="g")
same(logs.describe_log_groups()["logGroups"], [])
`)
}

func TestOpenStream(t *testing.T) {
	s := newService(t)
	ctx := t.Context()
	if err := s.OpenStream(ctx, home, "g", "a", false); err == nil {
		t.Error("a group is made unasked")
	}
	events := []logstore.Event{{Time: start, Message: "x"}}
	if err := s.Append(ctx, home, "g", "a", events); err == nil {
		t.Error("a stream is made unasked")
	}
	for range 2 {
		if err := s.OpenStream(ctx, home, "g", "a", true); err != nil {
			t.Error(err)
		}
	}
}

func TestBatches(t *testing.T) {
	event := func(at time.Duration, size int) api.InputLogEvent {
		return api.InputLogEvent{
			Timestamp: new(start.Add(at).UnixMilli()), Message: new(strings.Repeat("x", size)),
		}
	}
	for name, tt := range map[string]struct {
		events []api.InputLogEvent
		want   string
	}{
		"one":           {[]api.InputLogEvent{event(0, 1)}, ""},
		"same time":     {[]api.InputLogEvent{event(0, 1), event(0, 1)}, ""},
		"out of order":  {[]api.InputLogEvent{event(time.Second, 1), event(0, 1)}, "chronological"},
		"a day":         {[]api.InputLogEvent{event(0, 1), event(24*time.Hour, 1)}, ""},
		"more":          {[]api.InputLogEvent{event(0, 1), event(25*time.Hour, 1)}, "24 hours"},
		"as large":      {[]api.InputLogEvent{event(0, maxBatch-eventOverhead)}, ""},
		"too large":     {[]api.InputLogEvent{event(0, maxBatch-eventOverhead+1)}, "too large: 1048577"},
		"too large sum": {[]api.InputLogEvent{event(0, maxBatch/2), event(0, maxBatch/2)}, "too large"},
	} {
		got := ""
		if err := checkBatch(tt.events); err != nil {
			got = err.Error()
		}
		if (got == "") != (tt.want == "") || !strings.Contains(got, tt.want) {
			t.Errorf("%s: got %q, want %q", name, got, tt.want)
		}
	}
}

func TestRejections(t *testing.T) {
	s := newService(t)
	day := 24 * time.Hour
	var in []api.InputLogEvent
	for _, at := range []time.Duration{-15 * day, -14*day - 1e6, -3 * day, -day, 0, 3 * time.Hour} {
		in = append(in, api.InputLogEvent{
			Timestamp: new(start.Add(at).UnixMilli()), Message: new("m"),
		})
	}
	events, info := s.acceptable(row.LogGroup{Retention: 2}, in)
	if len(events) != 2 || *info.TooOldLogEventEndIndex != 2 || *info.ExpiredLogEventEndIndex != 3 ||
		*info.TooNewLogEventStartIndex != 5 {
		t.Errorf("got %v, %v %v %v", events, *info.TooOldLogEventEndIndex,
			*info.ExpiredLogEventEndIndex, *info.TooNewLogEventStartIndex)
	}
	if events, info := s.acceptable(row.LogGroup{}, in[3:5]); len(events) != 2 || info != nil {
		t.Errorf("got %v, %v", events, info)
	}
}

func TestPatterns(t *testing.T) {
	for _, tt := range []struct {
		pattern, message string
		want             bool
	}{
		{"", "anything", true},
		{"ERROR", "[ERROR 400] BAD", true},
		{"ERROR", "error", false},
		{"ERROR BAD", "[ERROR 400] BAD", true},
		{"ERROR GOOD", "[ERROR 400] BAD", false},
		{`"INTERNAL SERVER"`, "an INTERNAL SERVER error", true},
		{`"INTERNAL SERVER"`, "SERVER INTERNAL", false},
		{`"a \"b\" \\c"`, `x a "b" \c`, true},
		{"?a1 ?b2", "has b2", true},
		{"?a1 ?b2", "has neither", false},
		{"all ?a1", "all of it", true},
		{"ERROR -EXITING", "ERROR EXITING", false},
		{"ERROR -EXITING", "ERROR", true},
		{`-"not this"`, "but this", true},
		{`-"not this"`, "not this", false},
		{`  two   words `, "words and two", true},
	} {
		p, err := parsePattern(tt.pattern)
		if err != nil {
			t.Errorf("%s: %v", tt.pattern, err)
		} else if got := p.matches(tt.message); got != tt.want {
			t.Errorf("%s on %s: got %v", tt.pattern, tt.message, got)
		}
	}
	for _, bad := range []string{
		`{ $.a = 1 }`, "[a, b]", "%x%", `"open`, `""`, "a-b", "-", "?", "a.b", `-"x`,
	} {
		if _, err := parsePattern(bad); err == nil {
			t.Errorf("%s is accepted", bad)
		}
	}
}

func FuzzParsePattern(f *testing.F) {
	f.Add(`a "b c" -d ?e`)
	f.Add(`"\\\"`)
	f.Fuzz(func(t *testing.T, s string) {
		p, err := parsePattern(s)
		if err == nil && len(p.none) == 0 && !p.matches(strings.Join(append(p.all, p.any...), " ")) {
			t.Errorf("%q does not find its own terms", s)
		}
	})
}

func FuzzReadToken(f *testing.F) {
	f.Add(token('f', logstore.Position{Milli: 1, Seq: 2}))
	f.Add("b/x/s")
	f.Fuzz(func(t *testing.T, s string) {
		direction, p, err := readToken(s)
		if err == nil && token(direction, p) != s {
			t.Errorf("%q is read as %c %v", s, direction, p)
		}
	})
}
