package state_test

import (
	"fmt"
	"testing"

	"fairlead/internal/state"
	"fairlead/internal/state/statetest"
)

func BenchmarkOpen(b *testing.B) {
	for b.Loop() {
		s, err := state.Open(b.Context(), state.Config{Dir: b.TempDir()}, items)
		if err != nil {
			b.Fatal(err)
		}
		b.StopTimer()
		if err := s.Close(); err != nil {
			b.Fatal(err)
		}
		b.StartTimer()
	}
}

func BenchmarkUpdate(b *testing.B) {
	for _, noSync := range []bool{false, true} {
		b.Run(fmt.Sprintf("noSync=%t", noSync), func(b *testing.B) {
			s := openDir(b, state.Config{Dir: b.TempDir(), NoSync: noSync})
			for b.Loop() {
				if err := statetest.Increment(b.Context(), s, "n"); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// thousand is a store with a thousand rows, a tenth of them owned by "x3".
func thousand(b *testing.B) *state.Store {
	s := statetest.Open(b, items)
	statetest.Update(b, s, func(tx *state.Tx) {
		for i := range 1000 {
			items.Put(tx, statetest.Item{ID: fmt.Sprint(i), Owner: fmt.Sprintf("x%d", i%10)})
		}
	})
	return s
}

func BenchmarkGet(b *testing.B) {
	s := thousand(b)
	for b.Loop() {
		if _, ok := items.Get(s.View(), "500"); !ok {
			b.Fatal("not found")
		}
	}
}

func BenchmarkScan(b *testing.B) {
	view := thousand(b).View()
	b.Run("1000 rows", func(b *testing.B) {
		for b.Loop() {
			count(b, items.Scan(view, ""), 1000)
		}
	})
	b.Run("100 rows by index", func(b *testing.B) {
		for b.Loop() {
			count(b, items.By(view, "owner", "x3"), 100)
		}
	})
}

func count(b *testing.B, rows func(func(statetest.Item) bool), want int) {
	n := 0
	for range rows {
		n++
	}
	if n != want {
		b.Fatalf("%d rows, want %d", n, want)
	}
}
