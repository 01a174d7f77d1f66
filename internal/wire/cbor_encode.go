package wire

import (
	"reflect"
	"time"

	"github.com/fxamacker/cbor/v2"
)

// cborWriter writes the keys of maps in order, so that the same answer has the same bytes.
var cborWriter = must(cbor.EncOptions{Sort: cbor.SortBytewiseLexical}.EncMode())

// epochTag says that a number is a time, in seconds since 1970.
// https://www.rfc-editor.org/rfc/rfc8949#section-3.4.2
const epochTag = 1

// encodeCBOR writes a tree of what package cbor knows. It cannot fail on what cborTree returns.
func encodeCBOR(tree any) []byte {
	b, err := cborWriter.Marshal(tree)
	if err != nil {
		panic("wire: " + err.Error())
	}
	return b
}

// cborTree is the value v of the given shape in types that package cbor knows.
func cborTree(sh *shape, v reflect.Value) any {
	switch sh.kind {
	case structure:
		return cborMembers(sh, v)
	case list:
		all := make([]any, v.Len())
		for i := range all {
			all[i] = cborTree(sh.elem, v.Index(i))
		}
		return all
	case mapping:
		all := make(map[string]any, v.Len())
		for key, value := range v.Seq2() {
			all[key.String()] = cborTree(sh.elem, value)
		}
		return all
	case timestamp:
		return cbor.Tag{Number: epochTag, Content: epoch(v.Interface().(time.Time))}
	case text:
		return v.String() // an enumeration is a string
	}
	return v.Interface()
}

func cborMembers(sh *shape, v reflect.Value) map[string]any {
	all := make(map[string]any, len(sh.members))
	for _, m := range sh.members {
		if value, ok := present(v.Field(m.index)); ok {
			all[m.name] = cborTree(m.shape, value)
		}
	}
	return all
}

// epoch is the time in seconds, a whole number where it is one: AWS keeps time in milliseconds.
func epoch(t time.Time) any {
	ms := t.UnixMilli()
	if ms%1000 == 0 {
		return ms / 1000
	}
	return float64(ms) / 1000
}
