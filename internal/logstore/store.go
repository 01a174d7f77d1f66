package logstore

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"sync"
	"time"
)

// MaxMessage is the largest message in bytes: what AWS takes in one PutLogEvents.
// https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/cloudwatch_limits_cwl.html
const MaxMessage = 1 << 20

// Event is one line of a log. Its time is kept in milliseconds.
type Event struct {
	Time    time.Time
	Message string
}

// Record is a stored event.
type Record struct {
	Event
	Ingested time.Time
	Seq      uint64 // the how-manieth event of its stream this was, from 1
}

// Position is where an event stands in its stream's order; the zero Position is before all events.
type Position struct {
	Milli int64 // milliseconds since 1970
	Seq   uint64
}

// Position returns where the record stands.
func (r Record) Position() Position { return Position{r.Time.UnixMilli(), r.Seq} }

// Less reports whether p comes before q.
func (p Position) Less(q Position) bool {
	return p.Milli < q.Milli || p.Milli == q.Milli && p.Seq < q.Seq
}

// Stats describes a stream. The times are zero while it has no events.
type Stats struct {
	Events       int64
	Bytes        int64 // of the messages
	First, Last  time.Time
	LastIngested time.Time
}

// Store is the log store of one directory. It is safe for concurrent use by one process.
type Store struct {
	dir     string
	mu      sync.Mutex
	streams map[string]*stream
}

// Open opens the store in dir, which is made when it does not exist. It reads no stream yet.
func Open(dir string) (*Store, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("make the log directory: %w", err)
	}
	return &Store{dir: dir, streams: map[string]*stream{}}, nil
}

// Close waits for appends that are under way. The store keeps no file open, so that is all.
func (s *Store) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, st := range s.streams {
		st.wait()
	}
	return nil
}

// idForm is what a stream's id may be: it names a directory.
var idForm = regexp.MustCompile(`^[A-Za-z0-9_-]{1,64}$`)

// Append adds events to the stream, which comes into being with its first event. now is when they
// arrived. Events may be in any order. After an error none of them is stored.
func (s *Store) Append(id string, now time.Time, events []Event) error {
	if len(events) == 0 {
		return nil
	}
	for _, e := range events {
		if len(e.Message) > MaxMessage {
			return fmt.Errorf("a log event of %d bytes, of %d allowed", len(e.Message), MaxMessage)
		}
	}
	st, err := s.stream(id)
	if err != nil {
		return err
	}
	st.mu.Lock()
	defer st.mu.Unlock()
	if err := st.append(now, events); err != nil {
		return fmt.Errorf("append to log stream %s: %w", id, err)
	}
	return nil
}

// Stats returns what is known of the stream; an unknown one is empty.
func (s *Store) Stats(id string) (Stats, error) {
	st, err := s.stream(id)
	if err != nil {
		return Stats{}, err
	}
	st.mu.Lock()
	defer st.mu.Unlock()
	return st.stats(), nil
}

// Expire deletes the segments all of whose events are older than before. Single old events in a
// segment with newer ones stay until those have expired too: whoever reads leaves them out.
func (s *Store) Expire(id string, before time.Time) error {
	st, err := s.stream(id)
	if err != nil {
		return err
	}
	st.mu.Lock()
	defer st.mu.Unlock()
	return st.expire(before.UnixMilli())
}

// Delete removes the stream and all its events.
func (s *Store) Delete(id string) error {
	st, err := s.stream(id)
	if err != nil {
		return err
	}
	s.mu.Lock() // first, so that nobody opens the stream while its files go
	defer s.mu.Unlock()
	st.mu.Lock()
	defer st.mu.Unlock()
	st.segments = nil
	delete(s.streams, id)
	return os.RemoveAll(st.dir)
}

// IDs lists the streams that have something on disk.
func (s *Store) IDs() ([]string, error) {
	entries, err := os.ReadDir(s.dir)
	if err != nil {
		return nil, fmt.Errorf("list log streams: %w", err)
	}
	var ids []string
	for _, e := range entries {
		if e.IsDir() && idForm.MatchString(e.Name()) {
			ids = append(ids, e.Name())
		}
	}
	return ids, nil
}

// stream returns the stream with this id, read from disk the first time it is asked for.
func (s *Store) stream(id string) (*stream, error) {
	if !idForm.MatchString(id) {
		return nil, fmt.Errorf("%q is not the id of a log stream", id)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if st := s.streams[id]; st != nil {
		return st, nil
	}
	st := &stream{dir: filepath.Join(s.dir, id)}
	if err := st.load(); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("open log stream %s: %w", id, err)
	}
	s.streams[id] = st
	return st, nil
}
