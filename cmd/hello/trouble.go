package main

import (
	"fmt"
	"log"
	"net/http"
	"os"
	"strconv"
	"time"
)

// stream sends n lines, one every so often.
func (h *hello) stream(w http.ResponseWriter, r *http.Request) {
	n, err := strconv.Atoi(r.URL.Query().Get("n"))
	if err != nil {
		n = 10
	}
	every, err := time.ParseDuration(r.URL.Query().Get("every"))
	if err != nil {
		every = time.Second
	}
	prefix, suffix := "", "\n"
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	if r.Header.Get("Accept") == "text/event-stream" {
		w.Header().Set("Content-Type", "text/event-stream")
		prefix, suffix = "data: ", "\n\n"
	}
	flush := http.NewResponseController(w)
	for i := range n {
		if i > 0 {
			pause(r, every)
		}
		if r.Context().Err() != nil {
			return
		}
		fmt.Fprintf(w, "%s%d %s%s", prefix, i+1, time.Now().Format(time.RFC3339Nano), suffix)
		_ = flush.Flush()
	}
}

// bytes sends as many as asked for.
func (h *hello) bytes(w http.ResponseWriter, r *http.Request) {
	size, err := strconv.Atoi(r.PathValue("size"))
	if err != nil || size < 0 || size > maxSize {
		http.Error(w, "a size is a number of bytes up to 1 GiB", http.StatusBadRequest)
		return
	}
	w.Header().Set("Content-Length", strconv.Itoa(size))
	w.Header().Set("Content-Type", "application/octet-stream")
	chunk := make([]byte, 32<<10)
	for size > 0 {
		n, err := w.Write(chunk[:min(size, len(chunk))])
		if err != nil {
			return
		}
		size -= n
	}
}

// memory allocates and keeps it, until the kernel objects.
func (h *hello) memory(w http.ResponseWriter, r *http.Request) {
	mib, err := strconv.Atoi(r.PathValue("mib"))
	if err != nil || mib < 0 || mib > maxMemory {
		http.Error(w, "memory is a number of MiB up to 65536", http.StatusBadRequest)
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.hoard = append(h.hoard, allocate(mib)...)
	fmt.Fprintln(w, "holding", len(h.hoard), "MiB")
}

// allocate returns blocks of one MiB. Only a page that is written to is a page of memory.
func allocate(mib int) [][]byte {
	var blocks [][]byte
	for range mib {
		block := make([]byte, 1<<20)
		for i := 0; i < len(block); i += os.Getpagesize() {
			block[i] = 1
		}
		blocks = append(blocks, block)
	}
	return blocks
}

// burn keeps one core busy.
func (h *hello) burn(w http.ResponseWriter, r *http.Request) {
	d, err := time.ParseDuration(r.PathValue("duration"))
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	rounds := 0
	for end := time.Now().Add(min(d, maxSleep)); time.Now().Before(end); rounds++ {
	}
	fmt.Fprintln(w, rounds, "rounds in", d)
}

// exit ends the process at once, after the answer has been sent.
func (h *hello) exit(w http.ResponseWriter, r *http.Request) {
	code, err := strconv.Atoi(r.PathValue("code"))
	if err != nil || code < 0 || code > 255 {
		http.Error(w, "an exit code is 0 to 255", http.StatusBadRequest)
		return
	}
	fmt.Fprintln(w, "exiting with", code)
	_ = http.NewResponseController(w).Flush()
	log.Printf("told to exit with %d", code)
	os.Exit(code)
}

// noteWriter remembers what was answered, for the log line.
type noteWriter struct {
	http.ResponseWriter
	status  int
	size    int64
	written bool
}

func (n *noteWriter) WriteHeader(code int) {
	if !n.written {
		n.status, n.written = code, code >= http.StatusOK
	}
	n.ResponseWriter.WriteHeader(code)
}

func (n *noteWriter) Write(p []byte) (int, error) {
	n.written = true
	size, err := n.ResponseWriter.Write(p)
	n.size += int64(size)
	return size, err
}

func (n *noteWriter) Unwrap() http.ResponseWriter { return n.ResponseWriter }

// fixedStatus answers with the status that the query asked for, whatever the handler says.
type fixedStatus struct {
	http.ResponseWriter
	status  int
	written bool
}

func (f *fixedStatus) WriteHeader(int) {
	if !f.written {
		f.written = true
		f.ResponseWriter.WriteHeader(f.status)
	}
}

func (f *fixedStatus) Write(p []byte) (int, error) {
	f.WriteHeader(f.status)
	return f.ResponseWriter.Write(p)
}

func (f *fixedStatus) Unwrap() http.ResponseWriter { return f.ResponseWriter }
