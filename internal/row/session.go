package row

import (
	"time"

	"fairlead/internal/state"
)

// ExecSession is a command that somebody may run in a container, once and soon. Writer:
// ExecuteCommand makes it, the endpoint of sessions takes it, and so does a later ExecuteCommand when
// it has expired.
type ExecSession struct {
	Scope
	ID        string    `json:"id"` // ecs-execute-command-…
	Token     string    `json:"token"`
	Task      string    `json:"task"`      // ARN
	Container string    `json:"container"` // as the runtime names it
	Command   []string  `json:"command"`
	ExpiresAt time.Time `json:"expiresAt"`
}

// ExecSessions is the table of sessions that wait for their client, by id.
var ExecSessions = state.NewTable("ecs.session", func(s ExecSession) string { return s.ID })

// TakeExecSession removes the session with this id and returns it, if the token is its own and it has
// not expired.
func TakeExecSession(tx *state.Tx, id, token string, now time.Time) (ExecSession, bool) {
	s, ok := ExecSessions.Get(tx, id)
	if !ok || token == "" || s.Token != token {
		return ExecSession{}, false
	}
	ExecSessions.Delete(tx, id)
	return s, now.Before(s.ExpiresAt)
}
