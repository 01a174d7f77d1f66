package wire

import (
	"errors"
	"fmt"
	"math"
	"reflect"
	"time"

	"github.com/fxamacker/cbor/v2"
)

// Bounds of a CBOR document. AWS bounds its documents by the size of the body alone; these keep a
// hostile body from costing much more memory than its own size.
const (
	maxCBORDepth = 32      // lists and maps within one another
	maxCBORItems = 1 << 17 // elements of one list, entries of one map
)

// cborReader reads any document of rpcv2Cbor, lengths given beforehand or not. Integers that do not
// fit into 64 bits are refused, and so are maps with a key twice or with one that is no text.
var cborReader = must(cbor.DecOptions{
	DupMapKey:        cbor.DupMapKeyEnforcedAPF,
	MaxNestedLevels:  maxCBORDepth,
	MaxArrayElements: maxCBORItems,
	MaxMapPairs:      maxCBORItems,
	IntDec:           cbor.IntDecConvertSigned,
	BignumTag:        cbor.BignumTagForbidden,
	DefaultMapType:   reflect.TypeFor[map[string]any](),
}.DecMode())

// must returns a mode of the CBOR library, whose options are constants of this package.
func must[T any](mode T, err error) T {
	if err != nil {
		panic("wire: " + err.Error())
	}
	return mode
}

// decodeCBOR reads body into the structure v. No body at all is an empty structure. Members that
// the model does not know are skipped and null is absence.
func decodeCBOR(body []byte, sh *shape, v reflect.Value) error {
	if len(body) == 0 {
		return nil
	}
	var tree any
	if err := cborReader.Unmarshal(body, &tree); err != nil {
		return fmt.Errorf("Unable to parse the document: %w", err)
	}
	return cborValue(tree, sh, v)
}

// cborValue stores an item of a document in v, a field or element of the type that sh describes.
func cborValue(item any, sh *shape, v reflect.Value) error {
	if item == nil {
		return errNull
	}
	v = target(v)
	switch item := item.(type) {
	case map[string]any:
		return cborMap(item, sh, v)
	case []any:
		return cborList(item, sh, v)
	}
	return cborScalar(item, sh, v)
}

func cborMap(item map[string]any, sh *shape, v reflect.Value) error {
	switch sh.kind {
	case structure:
		return cborStructure(item, sh, v)
	case mapping:
		return cborMapping(item, sh, v)
	}
	return fmt.Errorf("Start of structure or map found where not expected")
}

func cborStructure(item map[string]any, sh *shape, v reflect.Value) error {
	for name, value := range item {
		m := sh.byName[name]
		if m == nil || value == nil {
			continue
		}
		if err := cborValue(value, m.shape, v.Field(m.index)); err != nil {
			return err
		}
	}
	return nil
}

func cborMapping(item map[string]any, sh *shape, v reflect.Value) error {
	all := reflect.MakeMapWithSize(sh.typ, len(item))
	for key, value := range item {
		elem := reflect.New(sh.typ.Elem()).Elem()
		if err := cborValue(value, sh.elem, elem); err != nil {
			return err
		}
		all.SetMapIndex(reflect.ValueOf(key).Convert(sh.typ.Key()), elem)
	}
	v.Set(all)
	return nil
}

func cborList(item []any, sh *shape, v reflect.Value) error {
	if sh.kind != list {
		return fmt.Errorf("Start of list found where not expected")
	}
	all := reflect.MakeSlice(sh.typ, len(item), len(item))
	for i, value := range item {
		if err := cborValue(value, sh.elem, all.Index(i)); err != nil {
			return err
		}
	}
	v.Set(all)
	return nil
}

func cborScalar(item any, sh *shape, v reflect.Value) error {
	switch item := item.(type) {
	case string:
		if sh.kind == text {
			v.SetString(item)
			return nil
		}
	case bool:
		if sh.kind == boolean {
			v.SetBool(item)
			return nil
		}
	case []byte:
		if sh.kind == blob {
			v.SetBytes(item)
			return nil
		}
	case time.Time:
		if sh.kind == timestamp {
			return cborTime(item, v)
		}
	case int64:
		return cborInteger(item, sh, v)
	case float64:
		return cborFloat(item, sh, v)
	}
	return fmt.Errorf("%T can not be converted to %s", item, kindNames[sh.kind])
}

// cborTime takes the times that ISO 8601 can write, to the microsecond as from other protocols.
func cborTime(t time.Time, v reflect.Value) error {
	if t.IsZero() || t.Unix() > maxEpoch || t.Unix() < -maxEpoch {
		return errors.New("a timestamp is out of range")
	}
	v.Set(reflect.ValueOf(t.UTC().Round(time.Microsecond)))
	return nil
}

func cborInteger(n int64, sh *shape, v reflect.Value) error {
	switch {
	case sh.kind == integer && !v.OverflowInt(n):
		v.SetInt(n)
	case sh.kind == float:
		v.SetFloat(float64(n))
	default:
		return fmt.Errorf("%d can not be converted to %s", n, kindNames[sh.kind])
	}
	return nil
}

// cborFloat also accepts 3.0 for an integer, but nothing between two integers.
func cborFloat(f float64, sh *shape, v reflect.Value) error {
	whole := f == math.Trunc(f) && math.Abs(f) < 1<<53
	switch {
	case sh.kind == float:
		v.SetFloat(f)
	case sh.kind == integer && whole && !v.OverflowInt(int64(f)):
		v.SetInt(int64(f))
	default:
		return fmt.Errorf("%g can not be converted to %s", f, kindNames[sh.kind])
	}
	return nil
}
