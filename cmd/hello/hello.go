package main

import (
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// Limits of what a request may ask for.
const (
	maxEchoBody = 1 << 20 // bytes of the body that /echo shows
	maxSleep    = time.Hour
	maxSize     = 1 << 30 // bytes of /bytes
	maxMemory   = 64 << 10
)

// hello is the handler behind all HTTP ports.
type hello struct {
	who      identity
	message  string
	broken   string      // path that is answered 500; empty for none
	sick     atomic.Bool // /health answers 500
	allSick  atomic.Bool // everything answers 500
	requests atomic.Int64
	mu       sync.Mutex
	hoard    [][]byte // what /memory allocated
}

func newHello(s settings, who identity) *hello {
	h := &hello{who: who, message: s.message, broken: s.broken}
	h.sick.Store(s.failing)
	return h
}

func (h *hello) routes() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("/", h.index)
	mux.HandleFunc("/echo", h.echo)
	mux.HandleFunc("/echo/", h.echo)
	mux.HandleFunc("/help", h.help)
	mux.HandleFunc("/env", h.env)
	mux.HandleFunc("/health", h.health)
	mux.HandleFunc("/health/fail", h.fail)
	mux.HandleFunc("/health/ok", h.recover)
	mux.HandleFunc("/status/{code}", h.status)
	mux.HandleFunc("/sleep/{duration}", h.sleep)
	mux.HandleFunc("/stream", h.stream)
	mux.HandleFunc("/bytes/{size}", h.bytes)
	mux.HandleFunc("/memory/{mib}", h.memory)
	mux.HandleFunc("/cpu/{duration}", h.burn)
	mux.HandleFunc("/exit/{code}", h.exit)
	mux.HandleFunc("/abort", func(http.ResponseWriter, *http.Request) {
		panic(http.ErrAbortHandler)
	})
	return h.logged(h.orders(mux))
}

// logged signs every answer and writes one line about it.
func (h *hello) logged(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		start := time.Now()
		h.requests.Add(1)
		w.Header().Set("X-Hello-Task", h.who.Task)
		w.Header().Set("X-Hello-Host", h.who.Host)
		w.Header().Set("X-Hello-Version", h.who.Version)
		note := &noteWriter{ResponseWriter: w, status: http.StatusOK}
		defer func() {
			log.Printf("%s %s %s %d %d %s %q", r.RemoteAddr, r.Method, r.URL.RequestURI(),
				note.status, note.size, time.Since(start).Round(time.Microsecond), r.UserAgent())
		}()
		next.ServeHTTP(note, r)
	})
}

// orders obeys ?sleep= and ?status=, which every path understands.
func (h *hello) orders(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		query := r.URL.Query()
		if d, err := time.ParseDuration(query.Get("sleep")); err == nil {
			pause(r, d)
		}
		if code, err := strconv.Atoi(query.Get("status")); err == nil && validStatus(code) {
			w = &fixedStatus{ResponseWriter: w, status: code}
		}
		if h.allSick.Load() && !strings.HasPrefix(r.URL.Path, "/health") {
			http.Error(w, "told to fail: /health/ok ends it", http.StatusInternalServerError)
			return
		}
		if h.broken != "" && r.URL.Path == h.broken {
			http.Error(w, "broken by FAIL_PATH", http.StatusInternalServerError)
			return
		}
		next.ServeHTTP(w, r)
	})
}

func (h *hello) echo(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(io.LimitReader(r.Body, maxEchoBody))
	writeJSON(w, struct {
		identity
		Message string      `json:"message"`
		Method  string      `json:"method"`
		Proto   string      `json:"proto"`
		Host    string      `json:"requestHost"`
		Path    string      `json:"path"`
		Query   string      `json:"query,omitempty"`
		Headers http.Header `json:"headers"`
		Body    string      `json:"body,omitempty"`
		Remote  string      `json:"remote"`
		Local   string      `json:"local"`
		TLS     bool        `json:"tls"`
	}{
		h.who, h.message, r.Method, r.Proto, r.Host, r.URL.Path, r.URL.RawQuery, r.Header, string(body),
		r.RemoteAddr, fmt.Sprint(r.Context().Value(http.LocalAddrContextKey)), r.TLS != nil,
	})
}

func (h *hello) env(w http.ResponseWriter, _ *http.Request) {
	variables := map[string]string{}
	for _, variable := range os.Environ() {
		name, value, _ := strings.Cut(variable, "=")
		variables[name] = value
	}
	writeJSON(w, variables)
}

func (h *hello) health(w http.ResponseWriter, _ *http.Request) {
	if h.sick.Load() {
		http.Error(w, "sick", http.StatusInternalServerError)
		return
	}
	fmt.Fprintln(w, "ok")
}

func (h *hello) fail(w http.ResponseWriter, r *http.Request) {
	h.sick.Store(true)
	h.allSick.Store(r.URL.Query().Get("all") != "")
	fmt.Fprintln(w, "/health fails from now on")
}

func (h *hello) recover(w http.ResponseWriter, _ *http.Request) {
	h.sick.Store(false)
	h.allSick.Store(false)
	fmt.Fprintln(w, "/health is well again")
}

func (h *hello) status(w http.ResponseWriter, r *http.Request) {
	code, err := strconv.Atoi(r.PathValue("code"))
	if err != nil || !validStatus(code) {
		http.Error(w, "a status is 200 to 599", http.StatusBadRequest)
		return
	}
	w.WriteHeader(code)
	if code != http.StatusNoContent && code != http.StatusNotModified {
		fmt.Fprintln(w, code, http.StatusText(code))
	}
}

func validStatus(code int) bool { return code >= 200 && code <= 599 }

func (h *hello) sleep(w http.ResponseWriter, r *http.Request) {
	d, err := time.ParseDuration(r.PathValue("duration"))
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	pause(r, d)
	fmt.Fprintln(w, "slept", d)
}

// pause waits until d has passed or the client has gone.
func pause(r *http.Request, d time.Duration) {
	select {
	case <-r.Context().Done():
	case <-time.After(min(d, maxSleep)):
	}
}

func writeJSON(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	encoder := json.NewEncoder(w)
	encoder.SetIndent("", "  ")
	_ = encoder.Encode(v)
}
