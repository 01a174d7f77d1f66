package logstore

import (
	"strings"
	"testing"
	"time"
)

// BenchmarkAppend appends batches of ten lines of 100 bytes.
func BenchmarkAppend(b *testing.B) {
	s, err := Open(b.TempDir())
	if err != nil {
		b.Fatal(err)
	}
	events := make([]Event, 10)
	for n := 0; b.Loop(); n++ {
		for i := range events {
			events[i] = Event{at(n), strings.Repeat("x", 100)}
		}
		if err := s.Append("a", epoch, events); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkRead reads the newest ten of 100,000 events.
func BenchmarkRead(b *testing.B) {
	s, err := Open(b.TempDir())
	if err != nil {
		b.Fatal(err)
	}
	var events []Event
	for i := range 100000 {
		events = append(events, Event{at(i), strings.Repeat("x", 100)})
		if len(events) == 1000 {
			if err := s.Append("a", epoch.Add(time.Second), events); err != nil {
				b.Fatal(err)
			}
			events = events[:0]
		}
	}
	for b.Loop() {
		n := 0
		for _, err := range s.Read("a", Query{Backward: true}) {
			if err != nil {
				b.Fatal(err)
			}
			if n++; n == 10 {
				break
			}
		}
	}
}
