package lbfile

import (
	"bytes"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"fairlead/internal/lb"
)

// TestAccessLogLines: records that come together are lines of their own, in their order.
func TestAccessLogLines(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log")
	l, err := openLog(path, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	var want string
	for _, methods := range [][]string{{"GET", "POST", "DELETE"}, {"PUT"}} {
		var records []lb.AccessRecord
		for _, m := range methods {
			r := lb.AccessRecord{Method: m, URL: "http://a:80/" + strings.Repeat("x", len(m)), Version: "HTTP/1.1"}
			records, want = append(records, r), want+string(r.AppendLine(nil))
		}
		l.write(records)
	}
	l.close()
	if got, err := os.ReadFile(path); string(got) != want || err != nil {
		t.Errorf("got\n%s\nwant\n%s\n%v", got, want, err)
	}
}

// TestFullDisk: lines that find no room are lost, which is told once, and so is their return.
func TestFullDisk(t *testing.T) {
	var told bytes.Buffer
	l, err := openLog("/dev/full", slog.New(slog.NewTextHandler(&told, nil)))
	if err != nil {
		t.Fatal(err)
	}
	defer l.close()
	for range 3 {
		l.write(make([]lb.AccessRecord, 2))
	}
	full := l.out
	l.out = kept{&bytes.Buffer{}}
	l.write(make([]lb.AccessRecord, 1))
	full.Close()
	if got := told.String(); strings.Count(got, "are lost") != 1 || !strings.Contains(got, "no space left") ||
		strings.Count(got, "written again") != 1 {
		t.Errorf("told was:\n%s", got)
	}
}
