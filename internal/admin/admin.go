// Package admin serves Fairlead's own endpoints, those that AWS does not have, below /_fairlead/:
// health, status, events, images and reset. The fairlead command is their client.
package admin

import (
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"

	"fairlead/internal/runtime"
	"fairlead/internal/state"
)

// Config is what the endpoints need.
type Config struct {
	Store   *state.Store
	Images  runtime.Images
	Version string
	// Reset removes every resource; nil refuses POST /_fairlead/reset.
	Reset func(ctx context.Context) error
	// Ending is closed when Fairlead ends, which ends the streams of events; nil never is.
	Ending <-chan struct{}
	// Info is shown by health: addresses that scripts want to know.
	Info   map[string]string
	Logger *slog.Logger
}

// Handler returns the endpoints.
func Handler(cfg Config) http.Handler {
	a := &admin{cfg}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /_fairlead/health", a.health)
	mux.HandleFunc("GET /_fairlead/status", a.status)
	mux.HandleFunc("GET /_fairlead/events", a.events)
	mux.HandleFunc("GET /_fairlead/images", a.listImages)
	mux.HandleFunc("POST /_fairlead/images", a.loadImage)
	mux.HandleFunc("POST /_fairlead/reset", a.reset)
	mux.HandleFunc("/_fairlead/", func(w http.ResponseWriter, r *http.Request) {
		refuse(w, http.StatusNotFound, "no such endpoint: "+r.Method+" "+r.URL.Path)
	})
	return sameSite(mux)
}

// sameSite refuses requests that a web page of another site makes a browser send.
func sameSite(next http.Handler) http.Handler {
	guard := http.NewCrossOriginProtection()
	return guard.Handler(next)
}

type admin struct{ cfg Config }

// Health is the answer of GET /_fairlead/health.
type Health struct {
	Status  string            `json:"status"` // "ready"
	Version string            `json:"version"`
	Info    map[string]string `json:"info,omitempty"`
}

func (a *admin) health(w http.ResponseWriter, _ *http.Request) {
	write(w, http.StatusOK, Health{Status: "ready", Version: a.cfg.Version, Info: a.cfg.Info})
}

func (a *admin) status(w http.ResponseWriter, _ *http.Request) {
	write(w, http.StatusOK, StatusOf(a.cfg.Store.View()))
}

// Image is one line of GET /_fairlead/images.
type Image struct {
	Ref    string `json:"ref"`
	Digest string `json:"digest"`
	Size   int64  `json:"size"` // bytes
}

func (a *admin) listImages(w http.ResponseWriter, r *http.Request) {
	images, err := a.cfg.Images.ListImages(r.Context())
	a.answerImages(w, images, err)
}

// maxArchive in bytes limits an image archive; Fargate's ephemeral storage is 20 GiB by default.
const maxArchive = 20 << 30

func (a *admin) loadImage(w http.ResponseWriter, r *http.Request) {
	images, err := a.cfg.Images.LoadImage(r.Context(), io.LimitReader(r.Body, maxArchive))
	a.answerImages(w, images, err)
}

func (a *admin) answerImages(w http.ResponseWriter, images []runtime.Image, err error) {
	if err != nil {
		refuse(w, http.StatusBadRequest, err.Error())
		return
	}
	out := make([]Image, 0, len(images))
	for _, i := range images {
		out = append(out, Image{Ref: i.Ref, Digest: i.Digest, Size: i.Size})
	}
	write(w, http.StatusOK, out)
}

func (a *admin) reset(w http.ResponseWriter, r *http.Request) {
	if a.cfg.Reset == nil {
		refuse(w, http.StatusForbidden, "reset is off; start fairlead with --allow-reset")
		return
	}
	a.cfg.Logger.Info("reset: remove every resource")
	if err := a.cfg.Reset(r.Context()); err != nil {
		refuse(w, http.StatusInternalServerError, err.Error())
		return
	}
	write(w, http.StatusOK, struct{}{})
}

// Refusal is the answer of an endpoint that could not do what was asked.
type Refusal struct {
	Error string `json:"error"`
}

func refuse(w http.ResponseWriter, status int, message string) {
	write(w, status, Refusal{message})
}

func write(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	json.NewEncoder(w).Encode(body) // the client has gone if this fails
}
