package lb

import (
	"math/rand/v2"
	"slices"
	"testing"
)

// TestStreamSet does the same to a streamSet and to a map, and removes streams while going through
// them.
func TestStreamSet(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	var set streamSet
	model := map[uint32]*h2stream{}
	for id := uint32(1); id < 10_000; id += 2 {
		st := &h2stream{h2sender: h2sender{id: id}}
		set.add(st)
		model[id] = st
		for st := range set.each() {
			if random.IntN(20) == 0 || len(model) > maxStreams {
				set.remove(st)
				delete(model, st.id)
			}
		}
		for range 5 {
			id := random.Uint32N(id + 4)
			if got := set.find(id); got != model[id] {
				t.Fatalf("find(%d) = %p, want %p", id, got, model[id])
			}
		}
	}
	var got []uint32
	for st := range set.each() {
		got = append(got, st.id)
	}
	if slices.Sort(got); len(got) != len(model) || set.len() != len(model) {
		t.Errorf("each yields %d streams of %d, want %d", len(got), set.len(), len(model))
	}
}
