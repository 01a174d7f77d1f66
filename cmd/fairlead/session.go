package main

import (
	"context"
	"errors"
	"net/http"
	"time"

	"fairlead/internal/node/session"
	"fairlead/internal/row"
	"fairlead/internal/runtime"
	"fairlead/internal/state"
)

// errNoSession is the answer to a session that is not there, has another token or has expired.
var errNoSession = errors.New("there is no such session")

// sessions serves what ExecuteCommand has prepared.
func (i *instance) sessions(ending <-chan struct{}) http.Handler {
	return session.Handler(i.openSession, ending, i.cfg.logger)
}

// openSession takes a session out of the state, so that it runs once.
func (i *instance) openSession(ctx context.Context, id, token string) (session.Run, error) {
	var found row.ExecSession
	err := i.store.Update(ctx, func(tx *state.Tx) error {
		var ok bool
		if found, ok = row.TakeExecSession(tx, id, token, time.Now()); !ok {
			return errNoSession
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return func(ctx context.Context, terminal runtime.Terminal) (int, error) {
		i.cfg.logger.Info("run a command in a container", "session", id, "task", found.Task,
			"command", found.Command)
		// As on AWS, commands run as root whoever the container runs as.
		return i.runtime.ExecTerminal(ctx, found.Container, runtime.ExecSpec{
			Args: found.Command, Env: []string{"TERM=xterm-256color"}, User: "0:0",
		}, terminal)
	}, nil
}
