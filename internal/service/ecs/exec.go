package ecs

import (
	"context"
	"crypto/rand"
	"errors"
	"strings"
	"time"

	"fairlead/internal/api/ecs"
	"fairlead/internal/aws"
	"fairlead/internal/row"
	"fairlead/internal/state"
)

const (
	// sessionLife is how long the client of ExecuteCommand may take to begin the session.
	sessionLife = 2 * time.Minute
	// maxCommand bounds the command in bytes; our own.
	maxCommand = 8 << 10
	// dataChannel is the path of sessions, the same as in AWS.
	dataChannel = "/v1/data-channel/"
)

// ExecuteCommand lets the caller run a command in a container of a running task: it writes down the
// session, which the client then begins at the URL that it is given (package node/session).
func (s *Service) ExecuteCommand(
	ctx context.Context, in *ecs.ExecuteCommandInput,
) (*ecs.ExecuteCommandOutput, error) {
	command, err := splitCommand(aws.Val(in.Command))
	switch {
	case err != nil:
		return nil, invalid("The command is malformed: %s", err)
	case !aws.Val(in.Interactive):
		return nil, invalid("Interactive must be set to true: only interactive sessions can be started.")
	}
	var out *ecs.ExecuteCommandOutput
	err = s.update(ctx, func(tx *state.Tx, c aws.Caller) error {
		t, k, err := execTarget(tx, c, in)
		if err != nil {
			return err
		}
		now := s.now()
		forgetSessions(tx, now)
		session := row.ExecSession{
			Scope: t.Scope, ID: "ecs-execute-command-" + aws.HexID(17), Token: rand.Text(),
			Task: t.ARN, Container: k.RuntimeID, Command: command, ExpiresAt: now.Add(sessionLife),
		}
		row.ExecSessions.Put(tx, session)
		out = &ecs.ExecuteCommandOutput{
			ClusterArn: &t.Cluster, TaskArn: &t.ARN, ContainerArn: &k.ARN, ContainerName: &k.Name,
			Interactive: new(true),
			Session: &ecs.Session{
				SessionId: &session.ID, TokenValue: &session.Token,
				StreamUrl: new("ws://" + c.Host + dataChannel + session.ID + "?role=publish_subscribe"),
			},
		}
		return nil
	})
	return out, err
}

// execTarget finds the container in which the command is to run.
func execTarget(
	tx *state.Tx, c aws.Caller, in *ecs.ExecuteCommandInput,
) (t row.Task, k row.TaskContainer, err error) {
	cluster, err := liveCluster(tx, c, in.Cluster)
	if err != nil {
		return t, k, err
	}
	t, ok := row.Tasks.Get(tx, memberARN(c, cluster.ARN, "task", aws.Val(in.Task)))
	switch {
	case !ok || t.Cluster != cluster.ARN:
		return t, k, invalid("The referenced task was not found.")
	case !t.EnableExecuteCommand || t.LastStatus != row.TaskRunning:
		return t, k, errNoAgent()
	case in.Container == nil && len(t.Containers) > 1:
		return t, k, invalid("Container name must be specified for tasks with multiple containers.")
	}
	for _, k := range t.Containers {
		if in.Container != nil && k.Name != *in.Container {
			continue
		}
		if k.LastStatus != row.TaskRunning {
			return t, k, errNoAgent()
		}
		return t, k, nil
	}
	return t, k, invalid("The container name specified is not in the task.")
}

// errNoAgent is AWS's text for everything that keeps a command from being run.
func errNoAgent() error {
	return invalid("The execute command failed because execute command was not enabled when the " +
		"task was run or the execute command agent isn’t running. Wait and try again or run a new " +
		"task with execute command enabled and try again.")
}

// forgetSessions removes the sessions that nobody has begun in time.
func forgetSessions(tx *state.Tx, now time.Time) {
	for s := range row.ExecSessions.Scan(tx, "") {
		if !now.Before(s.ExpiresAt) {
			row.ExecSessions.Delete(tx, s.ID)
		}
	}
}

// checkExecRole refuses ECS Exec for tasks without a role, as AWS does, where the role is what lets
// the agent in the task speak to Session Manager. done is "created" or "updated".
func checkExecRole(exec bool, def row.TaskDefinition, done string) error {
	if exec && aws.Val(def.Definition.TaskRoleArn) == "" {
		return invalid("The service couldn't be %s because a valid taskRoleArn is not being used. "+
			"Specify a valid task role in your task definition and try again.", done)
	}
	return nil
}

// describeAgents tells whether commands can be run in a container.
func describeAgents(t row.Task, k row.TaskContainer) []ecs.ManagedAgent {
	if !t.EnableExecuteCommand {
		return nil
	}
	return []ecs.ManagedAgent{{
		Name: ecs.ManagedAgentNameExecuteCommandAgent, LastStatus: &k.LastStatus,
		LastStartedAt: k.StartedAt,
	}}
}

var (
	errEmpty   = errors.New("it is empty")
	errTooLong = errors.New("it is longer than 8 KiB")
	errQuote   = errors.New("a quote is not closed")
	errEscape  = errors.New("it ends within an escape")
)

// splitCommand splits a command into words as AWS's agent does: by the quoting of a POSIX shell,
// without running one.
func splitCommand(text string) (words []string, err error) {
	if len(text) > maxCommand {
		return nil, errTooLong
	}
	var word strings.Builder
	open, quote := false, rune(0) // a word has begun; the quote that is open
	escaped := false
	for _, r := range text {
		switch {
		case escaped:
			if quote == '"' && r != '"' && r != '\\' {
				word.WriteRune('\\')
			}
			word.WriteRune(r)
			escaped = false
		case r == '\\' && quote != '\'':
			escaped, open = true, true
		case r == quote:
			quote = 0
		case quote == 0 && (r == '"' || r == '\''):
			quote, open = r, true
		case quote == 0 && strings.ContainsRune(" \t\r\n", r):
			if open {
				words = append(words, word.String())
			}
			word.Reset()
			open = false
		default:
			word.WriteRune(r)
			open = true
		}
	}
	switch {
	case quote != 0:
		return nil, errQuote
	case escaped:
		return nil, errEscape
	case open:
		words = append(words, word.String())
	}
	if len(words) == 0 {
		return nil, errEmpty
	}
	return words, nil
}
