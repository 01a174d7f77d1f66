package row

import (
	"time"

	"fairlead/internal/state"
)

// LogGroup is a log group of CloudWatch Logs.
type LogGroup struct {
	Scope
	Name      string    `json:"name"`
	CreatedAt time.Time `json:"createdAt"`
	Retention int32     `json:"retention,omitempty"` // days; 0 is for ever
	Tags      Tags      `json:"tags,omitempty"`
}

// Key returns the row's key.
func (g LogGroup) Key() string { return g.Scope.Key(g.Name) }

// ARN returns the group's name, without the ":*" that some answers add.
func (g LogGroup) ARN() string { return g.Scope.ARN("logs", "log-group:"+g.Name) }

// LogGroups is the table of log groups. Writer: the CloudWatch Logs service.
var LogGroups = state.NewTable("logs.group", LogGroup.Key)

// LogStream is a log stream. Its events are in the log store under ID, which is never used again.
type LogStream struct {
	Scope
	Group     string    `json:"group"`
	Name      string    `json:"name"`
	ID        string    `json:"id"`
	CreatedAt time.Time `json:"createdAt"`
}

// LogStreamKey is the key of a stream; with an empty name it is the prefix of all of the group's.
// Neither a group nor a stream has a colon in its name.
func LogStreamKey(s Scope, group, name string) string { return s.Key(group + ":" + name) }

// Key returns the row's key.
func (l LogStream) Key() string { return LogStreamKey(l.Scope, l.Group, l.Name) }

// ARN returns the stream's name.
func (l LogStream) ARN() string {
	return l.Scope.ARN("logs", "log-group:"+l.Group+":log-stream:"+l.Name)
}

// LogStreams is the table of log streams. Writer: the CloudWatch Logs service. Index: id.
var LogStreams = state.NewTable("logs.stream", LogStream.Key,
	state.Index[LogStream]{Name: "id", Keys: func(l LogStream) []string { return []string{l.ID} }},
)

func logsTables() []state.TableInfo { return []state.TableInfo{LogGroups, LogStreams} }
