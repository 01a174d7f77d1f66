package session

import (
	"context"
	"log/slog"
	"net/http"

	"github.com/gorilla/websocket"
)

// Path is where sessions are served, as in AWS; the id of a session follows.
const Path = "/v1/data-channel/"

// Handler serves sessions at [Path]. open returns what to run in the session with this id, if the
// token is its own. Sessions end when ending is closed.
func Handler(
	open func(ctx context.Context, id, token string) (Run, error), ending <-chan struct{}, log *slog.Logger,
) http.Handler {
	upgrader := websocket.Upgrader{
		HandshakeTimeout: openTimeout,
		// What protects a session is its token, which no page of a browser has.
		CheckOrigin: func(*http.Request) bool { return true },
	}
	mux := http.NewServeMux()
	mux.HandleFunc(Path+"{id}", func(w http.ResponseWriter, r *http.Request) {
		conn, err := upgrader.Upgrade(w, r, nil)
		if err != nil {
			return // the client has been told
		}
		ctx, cancel := context.WithCancel(context.WithoutCancel(r.Context()))
		defer cancel()
		go func() { // ends with the session
			select {
			case <-ending:
				cancel()
			case <-ctx.Done():
			}
		}()
		id := r.PathValue("id")
		err = Serve(ctx, conn, id, func(token string) (Run, error) { return open(ctx, id, token) })
		if err != nil {
			log.Info("session ended", "session", id, "reason", err)
		}
	})
	return mux
}
