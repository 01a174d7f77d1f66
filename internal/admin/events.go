package admin

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"

	"fairlead/internal/event"
	"fairlead/internal/row"
)

// eventTimeout is how long a client may take to read one event before its stream is ended.
const eventTimeout = 30 * time.Second

// events answers with the history of events, one JSON object per line, the oldest first. Parameters:
// since is the sequence number after which to begin; service, a name or an ARN, leaves out what is
// not that service's; follow=1 goes on with new events until the client or Fairlead ends.
func (a *admin) events(w http.ResponseWriter, r *http.Request) {
	query := r.URL.Query()
	since, err := strconv.ParseInt("0"+query.Get("since"), 10, 64)
	if err != nil {
		refuse(w, http.StatusBadRequest, "since is to be a sequence number, not "+query.Get("since"))
		return
	}
	w.Header().Set("Content-Type", "application/x-ndjson")
	out := &eventWriter{w: w, control: http.NewResponseController(w), service: query.Get("service")}
	if query.Get("follow") != "1" {
		event.Since(a.cfg.Store.View(), since, out.write) // the client has gone if this fails
		return
	}
	ctx, cancel := context.WithCancel(r.Context())
	defer cancel()
	go func() {
		select {
		case <-a.cfg.Ending:
			cancel()
		case <-ctx.Done():
		}
	}()
	if err := out.flush(); err != nil { // tells the client that there is nothing yet
		return
	}
	event.Follow(ctx, a.cfg.Store, since, out.write)
}

// eventWriter writes the events of one client.
type eventWriter struct {
	w       http.ResponseWriter
	control *http.ResponseController
	service string // name or ARN; empty for all
}

func (o *eventWriter) write(e row.Event) error {
	if !ofService(e, o.service) {
		return nil
	}
	// Not every writer has deadlines; one without is a test's.
	err := o.control.SetWriteDeadline(time.Now().Add(eventTimeout))
	if err != nil && !errors.Is(err, http.ErrNotSupported) {
		return err
	}
	if err := json.NewEncoder(o.w).Encode(event.EnvelopeOf(e)); err != nil {
		return err
	}
	return o.flush()
}

func (o *eventWriter) flush() error { return o.control.Flush() }

// ofService tells whether an event is of the service with this name or ARN.
func ofService(e row.Event, service string) bool {
	return service == "" || e.Service == service ||
		strings.Contains(e.Service, ":service/") && lastPart(e.Service) == service
}
