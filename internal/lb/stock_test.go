package lb

import "testing"

// TestStock puts a burst into a stock and goes on with less: after two trims only what is in use is
// kept, and what was used last is used first.
func TestStock(t *testing.T) {
	const burst, calm, limit = 100, 7, 120
	var s stock[int]
	for i := range burst {
		s.add(i, limit)
	}
	if surplus := s.trim(); len(surplus) != 0 {
		t.Errorf("%d items were let go when all had just been used", len(surplus))
	}
	for range 3 {
		var out []int
		for range calm {
			item, ok := s.take()
			if !ok {
				t.Fatal("the stock is empty")
			}
			out = append(out, item)
		}
		if want := burst - 1; out[0] != want {
			t.Errorf("took %d first, want %d", out[0], want)
		}
		for i := range out {
			s.add(out[calm-1-i], limit)
		}
		s.trim()
	}
	if n := len(s.items); n != calm {
		t.Errorf("%d items are kept, want the %d that are used", n, calm)
	}
	for range 2 * limit {
		s.add(0, limit)
	}
	if n := len(s.items); n != limit {
		t.Errorf("%d items are kept, want %d", n, limit)
	}
	for range limit {
		s.take()
	}
	if _, ok := s.take(); ok {
		t.Error("an empty stock had something")
	}
}
