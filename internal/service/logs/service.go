// Package logs serves Amazon CloudWatch Logs: groups, streams, retention, tags, writing events,
// reading and filtering them. Groups and streams are rows; events are in a logstore.Store, each
// stream's under an id of its own. README.md lists the operations.
//
// The awslogs driver of tasks writes through the same [Service], by OpenStream and Append.
package logs

import (
	"context"
	"encoding/base64"
	"maps"
	"strings"
	"time"

	api "fairlead/internal/api/logs"
	"fairlead/internal/aws"
	"fairlead/internal/logstore"
	"fairlead/internal/row"
	"fairlead/internal/state"
	"fairlead/internal/wire"
)

// Service holds the handlers of CloudWatch Logs.
type Service struct {
	store  *state.Store
	events *logstore.Store
	now    func() time.Time
}

// New returns the handlers over a store that was opened with row.Tables, and the events' store.
func New(store *state.Store, events *logstore.Store) *Service {
	return &Service{store: store, events: events, now: time.Now}
}

// Register adds the handlers to the router.
func (s *Service) Register(r *wire.Router) {
	s.registerGroups(r)
	s.registerStreams(r)
	s.registerTags(r)
	wire.Handle(r, api.OpPutLogEvents, s.PutLogEvents)
	wire.Handle(r, api.OpGetLogEvents, s.GetLogEvents)
	wire.Handle(r, api.OpFilterLogEvents, s.FilterLogEvents)
}

func scope(ctx context.Context) row.Scope { return row.ScopeOf(aws.CallerFrom(ctx)) }

func invalid(format string, args ...any) *aws.Fault {
	return api.InvalidParameterException(format, args...)
}

// unserved refuses a setting that Fairlead cannot honour yet.
func unserved(what string) *aws.Fault {
	return invalid("%s is not served by Fairlead yet; SCOPE.md lists what is", what)
}

func findGroup(r state.Reader, scope row.Scope, name string) (row.LogGroup, error) {
	g, ok := row.LogGroups.Get(r, scope.Key(name))
	if !ok {
		return g, api.ResourceNotFoundException("The specified log group does not exist.")
	}
	return g, nil
}

func findStream(r state.Reader, scope row.Scope, group, name string) (row.LogStream, error) {
	if _, err := findGroup(r, scope, group); err != nil {
		return row.LogStream{}, err
	}
	l, ok := row.LogStreams.Get(r, row.LogStreamKey(scope, group, name))
	if !ok {
		return l, api.ResourceNotFoundException("The specified log stream does not exist.")
	}
	return l, nil
}

// groupName is the group that a call means: by name, or by an identifier that is a name or an ARN.
func groupName(scope row.Scope, name, identifier *string) (string, error) {
	switch {
	case name != nil && identifier != nil:
		return "", invalid("LogGroup name and LogGroup ARN are mutually exclusive parameters.")
	case name != nil:
		return *name, nil
	case identifier == nil:
		return "", invalid("Either LogGroup name or LogGroup ARN must be specified.")
	case !strings.HasPrefix(*identifier, "arn:"):
		return *identifier, nil
	}
	return groupOfARN(scope, *identifier)
}

// groupOfARN takes a group's ARN of the caller's account and region, with or without the ":*".
func groupOfARN(scope row.Scope, arn string) (string, error) {
	a, ok := aws.ParseARN(strings.TrimSuffix(arn, ":*"))
	name, isGroup := strings.CutPrefix(a.Resource, "log-group:")
	if !ok || !isGroup || a.Service != "logs" || strings.Contains(name, ":") {
		return "", invalid("Invalid ARN: %s", arn)
	}
	if a.Account != scope.Account || a.Region != scope.Region {
		return "", api.ResourceNotFoundException("The specified log group does not exist.")
	}
	return name, nil
}

func millis(t time.Time) *int64 { return new(t.UnixMilli()) }

// pageToken names the last item of a page; readPage gives that item back.
func pageToken(last string) *string {
	return new(base64.RawURLEncoding.EncodeToString([]byte(last)))
}

func readPage(token *string) (last string, err error) {
	raw, err := base64.RawURLEncoding.DecodeString(aws.Val(token))
	if err != nil {
		return "", invalidToken()
	}
	return string(raw), nil
}

func invalidToken() *aws.Fault { return invalid("The specified nextToken is invalid.") }

// maxTags is the quota of tags per group.
const maxTags = 50

func addTags(tags row.Tags, more map[string]string) (row.Tags, error) {
	all := row.Tags{}
	maps.Copy(all, tags)
	maps.Copy(all, more)
	if len(all) > maxTags {
		return nil, api.TooManyTagsException("A resource can have no more than %d tags.", maxTags)
	}
	return all, nil
}
