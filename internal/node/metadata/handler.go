package metadata

import (
	"encoding/json"
	"errors"
	"net/http"

	"golang.org/x/time/rate"

	"fairlead/internal/runtime"
)

// Rate and burst of requests per second that one task may make.
// https://docs.aws.amazon.com/AmazonECS/latest/developerguide/ecs-agent-config.html
// (ECS_TASK_METADATA_RPS_LIMIT)
const (
	requestsPerSecond = 40
	requestBurst      = 60
)

// Handler answers the containers of one task.
func Handler(source Source) http.Handler {
	h := &handler{source: source, samples: newSamples(source)}
	mux := http.NewServeMux()
	for _, version := range []string{"/v3/", "/v4/"} {
		mux.HandleFunc("GET "+version+"{id}", h.container)
		mux.HandleFunc("GET "+version+"{id}/task", h.task)
		mux.HandleFunc("GET "+version+"{id}/taskWithTags", h.taskWithTags)
		mux.HandleFunc("GET "+version+"{id}/stats", h.stats)
		mux.HandleFunc("GET "+version+"{id}/task/stats", h.taskStats)
	}
	mux.HandleFunc("GET "+CredentialsPath+"{id}", h.credentials)
	return limited(mux)
}

// limited refuses what comes faster than the agent lets it.
func limited(next http.Handler) http.Handler {
	limiter := rate.NewLimiter(requestsPerSecond, requestBurst)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !limiter.Allow() {
			http.Error(w, "rate limit exceeded", http.StatusTooManyRequests)
			return
		}
		next.ServeHTTP(w, r)
	})
}

type handler struct {
	source  Source
	samples *samples
}

// find returns the container that asks, by the id in its URI.
func (h *handler) find(w http.ResponseWriter, r *http.Request) (Container, bool) {
	id := r.PathValue("id")
	for _, c := range h.source.Task().Containers {
		if c.DockerID == id {
			return c, true
		}
	}
	write(w, http.StatusNotFound, "V4 container metadata handler: unable to get container ID from "+
		"request: unable to get docker ID from v3 endpoint ID: unable to get docker ID from v3 "+
		"endpoint ID: "+id)
	return Container{}, false
}

func (h *handler) container(w http.ResponseWriter, r *http.Request) {
	if c, ok := h.find(w, r); ok {
		write(w, http.StatusOK, c)
	}
}

func (h *handler) task(w http.ResponseWriter, r *http.Request) {
	if _, ok := h.find(w, r); ok {
		t := h.source.Task()
		t.TaskTags = nil
		write(w, http.StatusOK, t)
	}
}

func (h *handler) taskWithTags(w http.ResponseWriter, r *http.Request) {
	if _, ok := h.find(w, r); ok {
		write(w, http.StatusOK, h.source.Task())
	}
}

func (h *handler) stats(w http.ResponseWriter, r *http.Request) {
	c, ok := h.find(w, r)
	if !ok {
		return
	}
	s, err := h.samples.take(r.Context(), c)
	if err != nil {
		write(w, http.StatusInternalServerError, "V4 container stats handler: Unable to get stats: "+err.Error())
		return
	}
	write(w, http.StatusOK, s)
}

// taskStats answers for every container by its id; one that does not run has null.
func (h *handler) taskStats(w http.ResponseWriter, r *http.Request) {
	if _, ok := h.find(w, r); !ok {
		return
	}
	all := map[string]*Stats{}
	for _, c := range h.source.Task().Containers {
		s, err := h.samples.take(r.Context(), c)
		if err != nil && !errors.Is(err, runtime.ErrNotRunning) && !errors.Is(err, runtime.ErrNotFound) {
			write(w, http.StatusInternalServerError, "V4 task stats handler: Unable to get stats: "+err.Error())
			return
		}
		all[c.DockerID] = s
	}
	write(w, http.StatusOK, all)
}

// refusal is how the agent refuses to give credentials.
type refusal struct {
	Code      string `json:"code"`
	Message   string `json:"message"`
	HTTPError int    `json:"HTTPErrorCode"`
}

func (h *handler) credentials(w http.ResponseWriter, r *http.Request) {
	c, ok := h.source.Credentials(r.PathValue("id"))
	if !ok {
		write(w, http.StatusBadRequest, refusal{"InvalidIdInRequest",
			"CredentialsV2Request: Credentials not found", http.StatusBadRequest})
		return
	}
	write(w, http.StatusOK, c)
}

func write(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	json.NewEncoder(w).Encode(body) // the container has gone if this fails
}
