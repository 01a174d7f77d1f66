package lb

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"golang.org/x/net/http2/hpack"
)

// TestRepeatedBlocks decodes header blocks of which many are the same as the one before, with other
// blocks, size updates of the table and evictions between them, beside a decoder without memory.
func TestRepeatedBlocks(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 4))
	var wire bytes.Buffer
	enc := hpack.NewEncoder(&wire)
	link := &h2link{}
	link.decoder = hpack.NewDecoder(4096, link.emit)
	plain := hpack.NewDecoder(4096, nil)
	repeats := 0
	for range 20_000 {
		wire.Reset()
		switch random.IntN(50) {
		case 0:
			enc.SetMaxDynamicTableSize(uint32(random.IntN(400)))
		case 1:
			enc.SetMaxDynamicTableSize(4096)
		}
		for i := range 1 + random.IntN(4) {
			enc.WriteField(hpack.HeaderField{Name: ":method", Value: "GET"})
			enc.WriteField(hpack.HeaderField{Name: fmt.Sprintf("name-%d", i),
				Value: fmt.Sprint(random.IntN(3))})
		}
		if link.before.is(wire.Bytes()) {
			repeats++
		}
		link.block = headerBlock{fields: link.block.fields[:0]}
		if err := link.decode(wire.Bytes()); err != nil {
			t.Fatal(err)
		}
		want, err := plain.DecodeFull(wire.Bytes())
		if err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(link.block.fields, want) {
			t.Fatalf("%x means %v, want %v", wire.Bytes(), link.block.fields, want)
		}
	}
	if repeats == 0 {
		t.Error("no block was repeated: this test has tested nothing")
	}
}
