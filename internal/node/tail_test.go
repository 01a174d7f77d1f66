package node

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// follow runs a tail over path until the returned function is called, which tells it to finish and
// returns what it shipped.
func followFile(t *testing.T, path string, ship func([]LogEvent) error) (finish func() []string) {
	t.Helper()
	var lines []string
	tail := &tail{
		path: path, now: time.Now, logger: slog.New(slog.DiscardHandler),
		finish: make(chan struct{}), done: make(chan struct{}),
		ship: func(_ context.Context, events []LogEvent) error {
			if ship != nil {
				if err := ship(events); err != nil {
					return err
				}
			}
			for _, e := range events {
				lines = append(lines, e.Message)
			}
			return nil
		},
	}
	go tail.run(t.Context())
	return func() []string {
		close(tail.finish)
		<-tail.done
		return lines
	}
}

func TestTail(t *testing.T) {
	long := strings.Repeat("x", maxEvent+10)
	tests := []struct {
		name, content string
		want          []string
	}{
		{"lines", "one\ntwo\r\n\nthree\n", []string{"one", "two", "three"}},
		{"a last line without an end", "one\ntwo", []string{"one", "two"}},
		{"a line longer than an event", long + "\nnext\n", []string{long[:maxEvent], long[maxEvent:], "next"}},
		{"bytes that are not UTF-8", "a\xffb\n", []string{"a\uFFFDb"}},
		{"nothing", "", nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "app.log")
			if err := os.WriteFile(path, []byte(tt.content), 0o600); err != nil {
				t.Fatal(err)
			}
			if got := followFile(t, path, nil)(); !slices.Equal(got, tt.want) {
				t.Errorf("shipped %.80q, want %.80q", got, tt.want)
			}
		})
	}
}

func TestTailGoesOnWhereItWas(t *testing.T) {
	path := filepath.Join(t.TempDir(), "app.log")
	write := func(s string) {
		t.Helper()
		f, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		if _, err := f.WriteString(s); err != nil {
			t.Fatal(err)
		}
	}
	write("one\n")
	if got := followFile(t, path, nil)(); !slices.Equal(got, []string{"one"}) {
		t.Fatalf("first reader shipped %q", got)
	}
	write("two\n")
	if got := followFile(t, path, nil)(); !slices.Equal(got, []string{"two"}) {
		t.Errorf("second reader shipped %q, want what was written after the first", got)
	}
}

func TestTailShipsAgainWhatCouldNotBeShipped(t *testing.T) {
	path := filepath.Join(t.TempDir(), "app.log")
	if err := os.WriteFile(path, []byte("one\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	failures := 0
	failed := make(chan struct{})
	finish := followFile(t, path, func([]LogEvent) error {
		if failures++; failures == 1 {
			close(failed)
			return errors.New("no")
		}
		return nil
	})
	<-failed
	if got := finish(); !slices.Equal(got, []string{"one"}) {
		t.Errorf("shipped %q, want the line once", got)
	}
}

func FuzzSplit(f *testing.F) {
	f.Add([]byte("a\nb"), true)
	f.Add([]byte("\n\r\n"), false)
	f.Fuzz(func(t *testing.T, buf []byte, last bool) {
		buf = buf[:min(len(buf), maxEvent)]
		used, events := (&tail{now: time.Now}).split(buf, last)
		if used > len(buf) || last && used != len(buf) {
			t.Errorf("used %d of %d bytes (last: %v)", used, len(buf), last)
		}
		for _, e := range events {
			if e.Message == "" || strings.Contains(e.Message, "\n") {
				t.Errorf("event %q", e.Message)
			}
		}
	})
}
