package wire

import (
	"fmt"
	"reflect"
	"strings"
	"sync"
	"time"
)

// kind is what a shape is on the wire.
type kind uint8

const (
	structure kind = iota
	list
	mapping
	text // enumerations included
	integer
	float
	boolean
	blob
	timestamp
)

// shape is how one Go type of a generated package looks on the wire. A pointer and what it points
// at have the same shape.
type shape struct {
	kind    kind
	typ     reflect.Type
	members []*member
	byName  map[string]*member // by the name in JSON and XML
	byQuery map[string]*member // by the name in a form
	elem    *shape             // of a list or mapping
	key     *shape             // of a mapping
	values  []string           // of an enumeration
}

// member is one field of a structure.
type member struct {
	index    int
	name     string // in JSON and XML
	query    string // in a form
	shape    *shape
	form     form
	required bool
	own      limits // of the member itself
	elem     limits // of each element of a list, each value of a mapping
	key      limits // of each key of a mapping
}

// form is how a member's value is written, as far as the model leaves a choice.
type form struct {
	flat       bool   // a list or mapping without an element around it
	item       string // around each element of a list
	keyName    string // around each key of a mapping
	valueName  string // around each value of a mapping
	timeFormat string // iso8601, unixTimestamp or rfc822; empty is the protocol's own
}

// plain is the form of what is no member: the elements of lists and mappings.
var plain = form{item: "member", keyName: "key", valueName: "value"}

// shapes compiles Go types, each once.
type shapes struct {
	mu     sync.Mutex
	byType map[reflect.Type]*shape
}

func newShapes() *shapes { return &shapes{byType: map[reflect.Type]*shape{}} }

// of returns the shape of t, which comes from a generated package: any other type panics.
func (s *shapes) of(t reflect.Type) *shape {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.compile(t)
}

var (
	timeType = reflect.TypeFor[time.Time]()
	blobType = reflect.TypeFor[[]byte]()
	enumType = reflect.TypeFor[interface{ Values() []string }]()
)

func (s *shapes) compile(t reflect.Type) *shape {
	if t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	if known := s.byType[t]; known != nil {
		return known
	}
	sh := &shape{typ: t}
	s.byType[t] = sh // before the members: shapes may be recursive
	s.fill(sh, t)
	return sh
}

func (s *shapes) fill(sh *shape, t reflect.Type) {
	switch {
	case t == timeType:
		sh.kind = timestamp
	case t == blobType:
		sh.kind = blob
	case t.Kind() == reflect.Struct:
		s.structure(sh, t)
	case t.Kind() == reflect.Slice:
		sh.kind, sh.elem = list, s.compile(t.Elem())
	case t.Kind() == reflect.Map:
		sh.kind, sh.key, sh.elem = mapping, s.compile(t.Key()), s.compile(t.Elem())
	default:
		scalar(sh, t)
	}
}

func scalar(sh *shape, t reflect.Type) {
	switch t.Kind() {
	case reflect.String:
		sh.kind = text
		if t.Implements(enumType) {
			sh.values = reflect.Zero(t).Interface().(interface{ Values() []string }).Values()
		}
	case reflect.Int32, reflect.Int64:
		sh.kind = integer
	case reflect.Float64:
		sh.kind = float
	case reflect.Bool:
		sh.kind = boolean
	default:
		panic(fmt.Sprintf("wire: %s is not a wire shape", t))
	}
}

func (s *shapes) structure(sh *shape, t reflect.Type) {
	sh.kind = structure
	sh.byName, sh.byQuery = map[string]*member{}, map[string]*member{}
	for i := range t.NumField() {
		f := t.Field(i)
		m := s.member(f)
		m.index = i
		sh.members = append(sh.members, m)
		sh.byName[m.name], sh.byQuery[m.query] = m, m
	}
}

func (s *shapes) member(f reflect.StructField) *member {
	name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
	m := &member{
		name:     name,
		query:    name,
		shape:    s.compile(f.Type),
		form:     plain,
		required: f.Tag.Get("required") == "true",
		own:      newLimits(f.Tag, ""),
		elem:     newLimits(f.Tag, "e"),
		key:      newLimits(f.Tag, "k"),
	}
	override(&m.query, f.Tag, "query")
	override(&m.form.item, f.Tag, "item")
	override(&m.form.keyName, f.Tag, "key")
	override(&m.form.valueName, f.Tag, "value")
	override(&m.form.timeFormat, f.Tag, "time")
	m.form.flat = f.Tag.Get("flat") == "true"
	return m
}

func override(s *string, tag reflect.StructTag, key string) {
	if v, ok := tag.Lookup(key); ok {
		*s = v
	}
}

// target returns what a value is to be stored in: v itself, or something new behind the pointer v.
func target(v reflect.Value) reflect.Value {
	if v.Kind() != reflect.Pointer {
		return v
	}
	v.Set(reflect.New(v.Type().Elem()))
	return v.Elem()
}

// present returns the value of a member without its pointer, and whether it is there at all: a nil
// pointer, list, mapping or blob is absent, and so is an empty enumeration value.
func present(v reflect.Value) (reflect.Value, bool) {
	switch v.Kind() {
	case reflect.Pointer:
		return v.Elem(), !v.IsNil()
	case reflect.Slice, reflect.Map:
		return v, !v.IsNil()
	case reflect.String:
		return v, v.Len() > 0
	}
	return v, true
}
