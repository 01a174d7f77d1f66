package wire

import (
	"bytes"
	"encoding/xml"
	"reflect"
	"time"
)

// xmlWriter writes elements. Bytes.Buffer never fails, so nothing here does.
type xmlWriter struct{ bytes.Buffer }

func (w *xmlWriter) open(name string)  { w.WriteString("<" + name + ">") }
func (w *xmlWriter) close(name string) { w.WriteString("</" + name + ">") }

// root opens the outermost element.
func (w *xmlWriter) root(name, namespace string) {
	w.WriteString("<" + name)
	if namespace != "" {
		w.WriteString(` xmlns="`)
		xml.EscapeText(w, []byte(namespace))
		w.WriteString(`"`)
	}
	w.WriteString(">")
}

// text writes an element that holds nothing but text.
func (w *xmlWriter) text(name, content string) {
	w.open(name)
	xml.EscapeText(w, []byte(content))
	w.close(name)
}

// result writes the members of an operation's output. Its own lists are always there, empty or not,
// as AWS writes them; deeper down a nil list is absent.
func (w *xmlWriter) result(sh *shape, v reflect.Value) {
	for _, m := range sh.members {
		value, ok := present(v.Field(m.index))
		if ok || m.shape.kind == list {
			w.member(m, value)
		}
	}
}

func (w *xmlWriter) structure(sh *shape, v reflect.Value) {
	for _, m := range sh.members {
		if value, ok := present(v.Field(m.index)); ok {
			w.member(m, value)
		}
	}
}

func (w *xmlWriter) member(m *member, v reflect.Value) {
	if m.form.flat && m.shape.kind == list {
		w.items(m.shape, m.name, v)
		return
	}
	if m.form.flat && m.shape.kind == mapping {
		w.entries(m.shape, m.form, m.name, v)
		return
	}
	w.value(m.name, m.shape, m.form, v)
}

// value writes one element with the value in it.
func (w *xmlWriter) value(name string, sh *shape, f form, v reflect.Value) {
	switch sh.kind {
	case timestamp:
		w.text(name, timeText(f.timeFormat, v.Interface().(time.Time)))
		return
	case structure, list, mapping:
		w.open(name)
		w.inside(sh, f, v)
		w.close(name)
		return
	}
	w.text(name, scalarText(sh, v))
}

func (w *xmlWriter) inside(sh *shape, f form, v reflect.Value) {
	switch sh.kind {
	case structure:
		w.structure(sh, v)
	case list:
		w.items(sh, f.item, v)
	case mapping:
		w.entries(sh, f, "entry", v)
	}
}

func (w *xmlWriter) items(sh *shape, name string, v reflect.Value) {
	for i := range v.Len() {
		w.value(name, sh.elem, plain, v.Index(i))
	}
}

func (w *xmlWriter) entries(sh *shape, f form, name string, v reflect.Value) {
	for _, key := range sortedKeys(v) {
		w.open(name)
		w.value(f.keyName, sh.key, plain, key)
		w.value(f.valueName, sh.elem, plain, v.MapIndex(key))
		w.close(name)
	}
}
