package admin

import (
	"bufio"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"fairlead/internal/event"
	"fairlead/internal/row"
	"fairlead/internal/service/ecs"
	"fairlead/internal/state"
	"fairlead/internal/state/statetest"
)

// history is the endpoints of a Fairlead that records events, served over HTTP.
type history struct {
	t     *testing.T
	store *state.Store
	url   string
	end   func() // what Fairlead does at its end
}

func newHistory(t *testing.T) *history {
	t.Helper()
	recorder := event.Recorder{Now: time.Now, Show: ecs.ShowTask}
	h := &history{t: t, store: statetest.OpenWith(t,
		state.Config{Dir: t.TempDir(), Derive: recorder.Record}, row.Tables()...)}
	ending := make(chan struct{})
	h.end = sync.OnceFunc(func() { close(ending) })
	server := httptest.NewServer(Handler(Config{Store: h.store, Ending: ending}))
	t.Cleanup(server.Close)
	t.Cleanup(h.end)
	h.url = server.URL + "/_fairlead/events"
	return h
}

// tasks writes tasks of a service, one transaction each.
func (h *history) tasks(owner string, n int) {
	h.t.Helper()
	for range n {
		statetest.Update(h.t, h.store, func(tx *state.Tx) {
			count, _ := row.EventCounts.Get(tx, row.EventCountKey)
			row.Tasks.Put(tx, row.Task{ARN: fmt.Sprintf("task/%d", count.Last+1), Service: owner, Version: 1})
		})
	}
}

// get opens the stream of events; it ends with the test.
func (h *history) get(query string) *bufio.Scanner {
	h.t.Helper()
	req, err := http.NewRequestWithContext(h.t.Context(), "GET", h.url+query, nil)
	if err != nil {
		h.t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		h.t.Fatal(err)
	}
	h.t.Cleanup(func() { resp.Body.Close() })
	if resp.StatusCode != http.StatusOK {
		h.t.Fatalf("%s answers %s", query, resp.Status)
	}
	return bufio.NewScanner(resp.Body)
}

// read reads n lines, or all of them when n is negative, and returns the numbers in them.
func (h *history) read(lines *bufio.Scanner, n int) (numbers []int64) {
	h.t.Helper()
	for n < 0 || len(numbers) < n {
		if !lines.Scan() {
			break
		}
		var e event.Envelope
		if err := json.Unmarshal(lines.Bytes(), &e); err != nil || e.Source != "aws.ecs" {
			h.t.Fatalf("line %q: %v", lines.Bytes(), err)
		}
		numbers = append(numbers, e.Sequence)
	}
	return numbers
}

func TestEventsOfThePast(t *testing.T) {
	h := newHistory(t)
	h.tasks(service, 2)
	h.tasks(service+"-too", 1)
	h.tasks("", 1)
	for query, want := range map[string][]int64{
		"":                             {1, 2, 3, 4},
		"?since=2":                     {3, 4},
		"?since=4":                     nil,
		"?service=web":                 {1, 2},
		"?service=" + service + "-too": {3},
		"?service=we":                  nil,
	} {
		if got := h.read(h.get(query), -1); !slices.Equal(got, want) {
			t.Errorf("%q gives %v, want %v", query, got, want)
		}
	}
}

func TestEventsAreFollowed(t *testing.T) {
	h := newHistory(t)
	h.tasks(service, 1)
	lines := h.get("?follow=1")
	if got := h.read(lines, 1); !slices.Equal(got, []int64{1}) {
		t.Errorf("the past is %v", got)
	}
	h.tasks(service, 2)
	if got := h.read(lines, 2); !slices.Equal(got, []int64{2, 3}) {
		t.Errorf("then came %v", got)
	}
	h.end()
	if got := h.read(lines, -1); len(got) != 0 {
		t.Errorf("after the end came %v", got)
	}
}

// TestNoEventIsLostInABurst has two readers follow a burst; one reads nothing until it is over.
func TestNoEventIsLostInABurst(t *testing.T) {
	h := newHistory(t)
	const burst = 300
	quick, slow := h.get("?follow=1"), h.get("?follow=1")
	got := make(chan []int64, 1)
	go func() { got <- h.read(quick, burst) }()
	h.tasks(service, burst)
	for name, numbers := range map[string][]int64{"quick": <-got, "slow": h.read(slow, burst)} {
		if len(numbers) != burst || numbers[0] != 1 || numbers[burst-1] != burst || !slices.IsSorted(numbers) {
			t.Errorf("the %s reader got %d events: %v", name, len(numbers), numbers)
		}
	}
}

func TestEventsSinceNoNumber(t *testing.T) {
	_, h := newAdmin(t, nil)
	for _, since := range []string{"x", "-1", "99999999999999999999"} {
		var refusal Refusal
		code := call(t, h, "GET", "/_fairlead/events?since="+since, nil, &refusal)
		if code != 400 || !strings.Contains(refusal.Error, "sequence number") {
			t.Errorf("since=%s: %d %+v", since, code, refusal)
		}
	}
}
