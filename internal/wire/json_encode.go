package wire

import (
	"encoding/base64"
	"encoding/json"
	"math"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"
)

// appendJSON appends the value v of the given shape.
func appendJSON(b []byte, sh *shape, f form, v reflect.Value) []byte {
	switch sh.kind {
	case structure:
		return appendJSONStructure(b, sh, v)
	case list:
		return appendJSONList(b, sh, v)
	case mapping:
		return appendJSONMapping(b, sh, v)
	case integer:
		return strconv.AppendInt(b, v.Int(), 10)
	case float:
		return appendJSONFloat(b, v.Float())
	case boolean:
		return strconv.AppendBool(b, v.Bool())
	case timestamp:
		return appendJSONTime(b, f.timeFormat, v.Interface().(time.Time))
	}
	return appendJSONString(b, scalarText(sh, v))
}

func appendJSONStructure(b []byte, sh *shape, v reflect.Value) []byte {
	b = append(b, '{')
	first := true
	for _, m := range sh.members {
		value, ok := present(v.Field(m.index))
		if !ok {
			continue
		}
		if !first {
			b = append(b, ',')
		}
		first = false
		b = append(appendJSONString(b, m.name), ':')
		b = appendJSON(b, m.shape, m.form, value)
	}
	return append(b, '}')
}

func appendJSONList(b []byte, sh *shape, v reflect.Value) []byte {
	b = append(b, '[')
	for i := range v.Len() {
		if i > 0 {
			b = append(b, ',')
		}
		b = appendJSON(b, sh.elem, plain, v.Index(i))
	}
	return append(b, ']')
}

func appendJSONMapping(b []byte, sh *shape, v reflect.Value) []byte {
	b = append(b, '{')
	for i, key := range sortedKeys(v) {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(appendJSONString(b, key.String()), ':')
		b = appendJSON(b, sh.elem, plain, v.MapIndex(key))
	}
	return append(b, '}')
}

// sortedKeys returns the keys of a mapping in order, so that the same answer has the same bytes.
func sortedKeys(v reflect.Value) []reflect.Value {
	return slices.SortedFunc(slices.Values(v.MapKeys()), func(a, b reflect.Value) int {
		return strings.Compare(a.String(), b.String())
	})
}

func appendJSONString(b []byte, s string) []byte {
	quoted, _ := json.Marshal(s) // a string always encodes
	return append(b, quoted...)
}

func appendJSONFloat(b []byte, f float64) []byte {
	if math.IsNaN(f) || math.IsInf(f, 0) {
		return appendJSONString(b, floatText(f))
	}
	return append(b, floatText(f)...)
}

func appendJSONTime(b []byte, format string, t time.Time) []byte {
	if format == "" || format == "unixTimestamp" {
		return append(b, epochText(t)...)
	}
	return appendJSONString(b, timeText(format, t))
}

// scalarText is a value as forms and XML write it.
func scalarText(sh *shape, v reflect.Value) string {
	switch sh.kind {
	case integer:
		return strconv.FormatInt(v.Int(), 10)
	case float:
		return floatText(v.Float())
	case boolean:
		return strconv.FormatBool(v.Bool())
	case blob:
		return base64.StdEncoding.EncodeToString(v.Bytes())
	}
	return v.String()
}

func floatText(f float64) string {
	switch {
	case math.IsInf(f, 1):
		return "Infinity"
	case math.IsInf(f, -1):
		return "-Infinity"
	}
	return strconv.FormatFloat(f, 'f', -1, 64)
}

// epochText is seconds since 1970 with as many of three decimals as it takes: AWS keeps time in
// milliseconds.
func epochText(t time.Time) string {
	ms := t.UnixMilli()
	if ms%1000 == 0 {
		return strconv.FormatInt(ms/1000, 10)
	}
	return strconv.FormatFloat(float64(ms)/1000, 'f', -1, 64)
}

// timeText is t in a format of the model; ISO 8601 with milliseconds when it names none.
func timeText(format string, t time.Time) string {
	switch format {
	case "unixTimestamp":
		return epochText(t)
	case "rfc822":
		return t.UTC().Format("Mon, 02 Jan 2006 15:04:05 GMT")
	}
	return t.UTC().Format("2006-01-02T15:04:05.000Z")
}
