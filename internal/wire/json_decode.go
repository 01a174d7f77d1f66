package wire

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"reflect"
	"strconv"
	"time"
)

// decodeJSON reads body into the structure v. No body at all is an empty structure. Members that
// the model does not know are skipped and null is absence; names are matched exactly, unlike in
// package encoding/json.
func decodeJSON(body []byte, sh *shape, v reflect.Value) error {
	if len(bytes.TrimSpace(body)) == 0 {
		return nil
	}
	d := jsonDecoder{json.NewDecoder(bytes.NewReader(body))}
	d.UseNumber()
	if err := d.next(sh, plain, v); err != nil {
		return err
	}
	if _, err := d.Token(); err != io.EOF {
		return errors.New("Unexpected content after the end of the document")
	}
	return nil
}

type jsonDecoder struct{ *json.Decoder }

// next reads one value into v, a field or element of the type that sh describes.
func (d jsonDecoder) next(sh *shape, f form, v reflect.Value) error {
	token, err := d.Token()
	if err != nil {
		return fmt.Errorf("Unable to parse the document: %w", err)
	}
	if token == nil {
		return errNull
	}
	return d.value(token, sh, f, target(v))
}

// errNull says that a value was null: a member of a structure may be, nothing else.
var errNull = errors.New("null is not allowed here")

func (d jsonDecoder) value(token json.Token, sh *shape, f form, v reflect.Value) error {
	delim, composite := token.(json.Delim)
	switch {
	case sh.kind == structure && delim == '{':
		return d.structure(sh, v)
	case sh.kind == mapping && delim == '{':
		return d.mapping(sh, v)
	case sh.kind == list && delim == '[':
		return d.list(sh, v)
	case composite:
		return fmt.Errorf("Start of %s found where not expected", composites[delim])
	}
	return jsonScalar(token, sh, f, v)
}

var composites = map[json.Delim]string{'{': "structure or map", '[': "list"}

func (d jsonDecoder) structure(sh *shape, v reflect.Value) error {
	for d.More() {
		name, err := d.name()
		if err != nil {
			return err
		}
		m := sh.byName[name]
		if m == nil {
			err = d.Decode(new(json.RawMessage))
		} else if err = d.next(m.shape, m.form, v.Field(m.index)); err == errNull {
			v.Field(m.index).SetZero()
			err = nil
		}
		if err != nil {
			return err
		}
	}
	return d.end()
}

// name reads the name of a member or the key of a mapping.
func (d jsonDecoder) name() (string, error) {
	token, err := d.Token()
	name, ok := token.(string)
	if err == nil && !ok {
		err = errors.New("a name is missing")
	}
	if err != nil {
		return "", fmt.Errorf("Unable to parse the document: %w", err)
	}
	return name, nil
}

// end reads the bracket that closes what is being read.
func (d jsonDecoder) end() error {
	if _, err := d.Token(); err != nil {
		return fmt.Errorf("Unable to parse the document: %w", err)
	}
	return nil
}

func (d jsonDecoder) list(sh *shape, v reflect.Value) error {
	all := reflect.MakeSlice(sh.typ, 0, 0)
	for d.More() {
		elem := reflect.New(sh.typ.Elem()).Elem()
		if err := d.next(sh.elem, plain, elem); err != nil {
			return err
		}
		all = reflect.Append(all, elem)
	}
	v.Set(all)
	return d.end()
}

func (d jsonDecoder) mapping(sh *shape, v reflect.Value) error {
	all := reflect.MakeMap(sh.typ)
	for d.More() {
		name, err := d.name()
		if err != nil {
			return err
		}
		elem := reflect.New(sh.typ.Elem()).Elem()
		if err := d.next(sh.elem, plain, elem); err != nil {
			return err
		}
		all.SetMapIndex(reflect.ValueOf(name).Convert(sh.typ.Key()), elem)
	}
	v.Set(all)
	return d.end()
}

func jsonScalar(token json.Token, sh *shape, f form, v reflect.Value) error {
	switch t := token.(type) {
	case bool:
		if sh.kind == boolean {
			v.SetBool(t)
			return nil
		}
	case json.Number:
		return jsonNumber(string(t), sh, v)
	case string:
		return jsonString(t, sh, f, v)
	}
	return mismatch(token, sh)
}

func jsonNumber(n string, sh *shape, v reflect.Value) error {
	switch sh.kind {
	case integer:
		return setInteger(n, v)
	case float:
		return setFloat(n, v)
	case timestamp:
		return setTime(n, "unixTimestamp", v)
	}
	return mismatch(json.Number(n), sh)
}

func jsonString(s string, sh *shape, f form, v reflect.Value) error {
	switch sh.kind {
	case text:
		v.SetString(s)
		return nil
	case blob:
		return setBlob(s, v)
	case timestamp:
		return setTime(s, f.timeFormat, v)
	case float:
		if n, ok := named[s]; ok {
			v.SetFloat(n)
			return nil
		}
	}
	return mismatch(s, sh)
}

// named are the numbers that JSON and forms spell as words.
var named = map[string]float64{
	"NaN": math.NaN(), "Infinity": math.Inf(1), "-Infinity": math.Inf(-1),
}

// mismatch words the error the way AWS does.
func mismatch(token json.Token, sh *shape) error {
	is := "STRING_VALUE"
	switch t := token.(type) {
	case json.Number:
		is = "NUMBER_VALUE"
	case bool:
		is = map[bool]string{true: "TRUE_VALUE", false: "FALSE_VALUE"}[t]
	}
	switch sh.kind {
	case structure, list, mapping:
		return fmt.Errorf("Unexpected %s where a %s was expected", is, kindNames[sh.kind])
	}
	return fmt.Errorf("%s can not be converted to %s", is, kindNames[sh.kind])
}

var kindNames = map[kind]string{
	structure: "structure", list: "list", mapping: "map", text: "a String", integer: "an Integer",
	float: "a Double", boolean: "a Boolean", blob: "a Blob", timestamp: "a Timestamp",
}

// setInteger accepts 3 and 3.0, but nothing between two integers nor beyond the type.
func setInteger(n string, v reflect.Value) error {
	i, err := strconv.ParseInt(n, 10, v.Type().Bits())
	if err == nil {
		v.SetInt(i)
		return nil
	}
	f, ferr := strconv.ParseFloat(n, 64)
	if ferr != nil || f != math.Trunc(f) || math.Abs(f) >= 1<<53 || v.OverflowInt(int64(f)) {
		return fmt.Errorf("%s can not be converted to an Integer", n)
	}
	v.SetInt(int64(f))
	return nil
}

func setFloat(n string, v reflect.Value) error {
	f, err := strconv.ParseFloat(n, 64)
	if err != nil {
		return fmt.Errorf("%s can not be converted to a Double", n)
	}
	v.SetFloat(f)
	return nil
}

func setBlob(s string, v reflect.Value) error {
	b, err := base64.StdEncoding.DecodeString(s)
	if err != nil {
		return errors.New("Invalid base64 in a blob")
	}
	v.SetBytes(b)
	return nil
}

// setTime reads epoch seconds with a fraction, ISO 8601 or an HTTP date; format says which one was
// asked for, and the other two are accepted.
func setTime(s, format string, v reflect.Value) error {
	if t, ok := parseTime(s); ok {
		v.Set(reflect.ValueOf(t))
		return nil
	}
	return fmt.Errorf("%q is not a timestamp (%s)", s, format)
}

// maxEpoch is the last second of the year 9999, the last that ISO 8601 can write.
const maxEpoch = 253402300799

func parseTime(s string) (time.Time, bool) {
	if f, err := strconv.ParseFloat(s, 64); err == nil {
		if !(math.Abs(f) <= maxEpoch) {
			return time.Time{}, false
		}
		return time.UnixMicro(int64(math.Round(f * 1e6))).UTC(), true
	}
	for _, layout := range []string{time.RFC3339Nano, time.RFC1123, "2006-01-02T15:04:05"} {
		if t, err := time.Parse(layout, s); err == nil {
			return t.UTC(), true
		}
	}
	return time.Time{}, false
}
