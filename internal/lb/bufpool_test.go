package lb

import (
	"math/rand/v2"
	"slices"
	"testing"
)

// TestBufPool uses buffers of all sizes and looks at what the pool keeps in the end, and that no buffer
// is given out twice.
func TestBufPool(t *testing.T) {
	random := rand.New(rand.NewPCG(5, 6))
	var p bufPool
	out := map[*byte][]byte{}
	for range 100_000 {
		if len(out) < 1000 && random.IntN(2) == 0 {
			b := p.get(random.IntN(2 * largeBuf))
			if len(b) != 0 {
				t.Fatalf("a buffer of %d bytes, want none", len(b))
			}
			b = append(p.grow(append(b, "head"...), random.IntN(largeBuf)), '.')
			if string(b) != "head." {
				t.Fatalf("grow has made %q of what was written", b)
			}
			if out[&b[0]] != nil {
				t.Fatal("a buffer was given out twice")
			}
			out[&b[0]] = b
			continue
		}
		for k, b := range out {
			delete(out, k)
			p.put(b)
			break
		}
	}
	for _, b := range out {
		p.put(b)
	}
	kept := 0
	for _, b := range slices.Concat(p.small.items, p.large.items) {
		kept += cap(b)
	}
	if limit := keepSmall*smallBuf + keepLarge*largeBuf; kept == 0 || kept > limit {
		t.Errorf("the pool keeps %d bytes, want some and at most %d", kept, limit)
	}
}
