package logstore

import (
	"cmp"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

var epoch = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

func at(ms int) time.Time { return epoch.Add(time.Duration(ms) * time.Millisecond) }

func open(t *testing.T, dir string) *Store {
	t.Helper()
	s, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func put(t *testing.T, s *Store, id string, times ...int) {
	t.Helper()
	var events []Event
	for _, ms := range times {
		events = append(events, Event{at(ms), fmt.Sprint("m", ms)})
	}
	if err := s.Append(id, epoch, events); err != nil {
		t.Fatal(err)
	}
}

func read(t *testing.T, s *Store, id string, q Query) string {
	t.Helper()
	var got []string
	for r, err := range s.Read(id, q) {
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, fmt.Sprintf("%s#%d", r.Message, r.Seq))
	}
	return strings.Join(got, " ")
}

func TestReadsInOrderOfTime(t *testing.T) {
	s := open(t, t.TempDir())
	put(t, s, "a", 3, 1)
	put(t, s, "a", 2, 2)
	ms := func(n int) int64 { return at(n).UnixMilli() }
	for name, tt := range map[string]struct {
		q    Query
		want string
	}{
		"all":        {Query{}, "m1#2 m2#3 m2#4 m3#1"},
		"backward":   {Query{Backward: true}, "m3#1 m2#4 m2#3 m1#2"},
		"from":       {Query{From: ms(2)}, "m2#3 m2#4 m3#1"},
		"to":         {Query{To: ms(2)}, "m1#2"},
		"after":      {Query{After: Position{ms(2), 3}}, "m2#4 m3#1"},
		"before":     {Query{Before: Position{ms(2), 4}, Backward: true}, "m2#3 m1#2"},
		"between":    {Query{After: Position{ms(1), 2}, Before: Position{ms(3), 1}}, "m2#3 m2#4"},
		"after last": {Query{After: Position{ms(3), 1}}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			if got := read(t, s, "a", tt.q); got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
	if got := read(t, s, "unknown", Query{}); got != "" {
		t.Errorf("an unknown stream has %q", got)
	}
}

func TestSurvivesReopening(t *testing.T) {
	dir := t.TempDir()
	put(t, open(t, dir), "a", 1, 2)
	put(t, open(t, dir), "a", 3)
	s := open(t, dir)
	if got := read(t, s, "a", Query{}); got != "m1#1 m2#2 m3#3" {
		t.Errorf("got %q", got)
	}
	got, err := s.Stats("a")
	if err != nil {
		t.Fatal(err)
	}
	if got.LastIngested.IsZero() {
		t.Error("no time of the last ingestion")
	}
	got.LastIngested = time.Time{}
	if want := (Stats{Events: 3, Bytes: 6, First: at(1), Last: at(3)}); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

// TestTornTail cuts the file at every byte: what was whole stays, and writing goes on.
func TestTornTail(t *testing.T) {
	dir := t.TempDir()
	put(t, open(t, dir), "a", 1, 2)
	path := filepath.Join(dir, "a", segment{first: 1}.name())
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for cut := range len(whole) {
		if err := os.WriteFile(path, whole[:cut], 0o600); err != nil {
			t.Fatal(err)
		}
		s := open(t, dir)
		put(t, s, "a", 9)
		want := "m9#1"
		if cut >= len(whole)/2 {
			want = "m1#1 m9#2"
		}
		if got := read(t, s, "a", Query{}); got != want {
			t.Errorf("cut at %d of %d: got %q, want %q", cut, len(whole), got, want)
		}
		if got := read(t, open(t, dir), "a", Query{}); got != want {
			t.Errorf("cut at %d, reopened: got %q, want %q", cut, got, want)
		}
	}
}

func TestExpire(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir)
	day := int(segmentAge / time.Millisecond)
	put(t, s, "a", 0, 1)
	put(t, s, "a", day+2)
	if err := s.Expire("a", at(1)); err != nil {
		t.Fatal(err)
	}
	if got := read(t, s, "a", Query{}); !strings.HasPrefix(got, "m0#1 m1#2") {
		t.Errorf("expired too early: %q", got)
	}
	if err := s.Expire("a", at(2)); err != nil {
		t.Fatal(err)
	}
	if got, want := read(t, s, "a", Query{}), fmt.Sprintf("m%d#3", day+2); got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if err := s.Expire("a", at(day+3)); err != nil {
		t.Fatal(err)
	}
	s = open(t, dir)
	if got := read(t, s, "a", Query{}); got != "" {
		t.Errorf("all expired, got %q", got)
	}
	put(t, s, "a", 7)
	if got := read(t, s, "a", Query{}); got != "m7#4" {
		t.Errorf("the numbers do not go on: %q", got)
	}
	files, _ := os.ReadDir(filepath.Join(dir, "a"))
	if len(files) != 1 {
		t.Errorf("%d files", len(files))
	}
}

func TestDeleteAndIDs(t *testing.T) {
	s := open(t, t.TempDir())
	put(t, s, "a", 1)
	put(t, s, "b", 1)
	if err := s.Delete("a"); err != nil {
		t.Fatal(err)
	}
	ids, err := s.IDs()
	if err != nil || !slices.Equal(ids, []string{"b"}) {
		t.Errorf("got %v, %v", ids, err)
	}
	put(t, s, "a", 5)
	if got := read(t, s, "a", Query{}); got != "m5#1" {
		t.Errorf("got %q", got)
	}
}

func TestRefusals(t *testing.T) {
	s := open(t, t.TempDir())
	if err := s.Append("../a", epoch, []Event{{epoch, "x"}}); err == nil {
		t.Error("an id may be a path")
	}
	long := Event{epoch, strings.Repeat("x", MaxMessage+1)}
	if err := s.Append("a", epoch, []Event{{epoch, "x"}, long}); err == nil {
		t.Error("a message of any size is taken")
	}
	if got := read(t, s, "a", Query{}); got != "" {
		t.Errorf("a refused append left %q", got)
	}
}

// TestAgainstModel compares the store with a sorted slice under random appends, big enough to fill
// segments, with times that run back and forth.
func TestAgainstModel(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	dir := t.TempDir()
	s := open(t, dir)
	var model []Record
	pad := strings.Repeat("x", 200<<10)
	for range 150 {
		var events []Event
		for range 1 + rng.IntN(3) {
			e := Event{at(rng.IntN(2e8)), fmt.Sprint(len(model), pad)}
			events = append(events, e)
			model = append(model, Record{Event: e, Seq: uint64(len(model) + 1)})
		}
		if err := s.Append("a", epoch, events); err != nil {
			t.Fatal(err)
		}
		if rng.IntN(20) == 0 {
			s = open(t, dir)
		}
	}
	for _, backward := range []bool{false, true} {
		q := Query{From: at(5e7).UnixMilli(), To: at(15e7).UnixMilli(), Backward: backward}
		want := slices.DeleteFunc(slices.Clone(model), func(r Record) bool { return !q.wants(r) })
		slices.SortFunc(want, func(a, b Record) int {
			c := cmp.Or(a.Time.Compare(b.Time), cmp.Compare(a.Seq, b.Seq))
			if backward {
				return -c
			}
			return c
		})
		i := 0
		for r, err := range s.Read("a", q) {
			if err != nil {
				t.Fatal(err)
			}
			if i == len(want) || r.Seq != want[i].Seq || r.Message != want[i].Message {
				t.Fatalf("backward %v: event %d is %d", backward, i, r.Seq)
			}
			i++
		}
		if i != len(want) {
			t.Errorf("backward %v: %d events, want %d", backward, i, len(want))
		}
	}
	if files, _ := os.ReadDir(filepath.Join(dir, "a")); len(files) < 5 {
		t.Errorf("only %d segments: the test does not test much", len(files))
	}
}

func TestConcurrentUse(t *testing.T) {
	s := open(t, t.TempDir())
	var wg sync.WaitGroup
	for w := range 4 {
		wg.Go(func() {
			for i := range 50 {
				if err := s.Append("a", epoch, []Event{{at(i), fmt.Sprint(w, "-", i)}}); err != nil {
					t.Error(err)
				}
				for _, err := range s.Read("a", Query{}) {
					if err != nil {
						t.Error(err)
					}
				}
			}
		})
	}
	wg.Wait()
	seen := map[string]bool{}
	for r, err := range s.Read("a", Query{}) {
		if err != nil {
			t.Fatal(err)
		}
		seen[r.Message] = true
	}
	if len(slices.Collect(maps.Keys(seen))) != 200 {
		t.Errorf("%d events of 200", len(seen))
	}
}

func FuzzReadRecord(f *testing.F) {
	f.Add(appendRecord(nil, Event{epoch, "hello"}, epoch))
	f.Add([]byte{0, 0, 0, 0, 0, 0, 0, 0})
	f.Add([]byte{255, 255, 255, 255, 0, 0, 0, 0})
	f.Fuzz(func(t *testing.T, b []byte) {
		r, rest, err := readRecord(b)
		if err != nil {
			return
		}
		again, tail, err := readRecord(appendRecord(nil, r.Event, r.Ingested))
		if err != nil || len(tail) > 0 || again != r || len(rest) >= len(b) {
			t.Errorf("got %v, %v, want %v", again, err, r)
		}
	})
}
