package wire

import (
	"cmp"
	"errors"
	"fmt"
	"net/url"
	"reflect"
	"slices"
	"strconv"
	"strings"
)

// Bounds of a form. AWS bounds its forms by the size of the body alone; these keep a hostile body
// from costing much more memory than its own size.
const (
	maxFormDepth = 32     // dots in a parameter's name
	maxFormIndex = 100000 // N in Name.member.N
)

// node is one step of a parameter's dotted name: Name.member.1 is a node of a node of a node.
type node struct {
	value    string // of the parameter that ends here
	children map[string]*node
}

// newForm arranges parameters by the steps of their names.
func newForm(values url.Values) (*node, error) {
	root := &node{}
	for name, v := range values {
		if strings.Count(name, ".") > maxFormDepth {
			return nil, fmt.Errorf("parameter name is nested too deeply")
		}
		at := root
		for step := range strings.SplitSeq(name, ".") {
			at = at.child(step)
		}
		at.value = v[0]
	}
	return root, nil
}

func (n *node) child(step string) *node {
	if n.children == nil {
		n.children = map[string]*node{}
	}
	if n.children[step] == nil {
		n.children[step] = &node{}
	}
	return n.children[step]
}

// formError is a value that does not fit the parameter's type.
type formError struct {
	name, value string
	cause       error
}

func (e *formError) Error() string {
	return fmt.Sprintf("Value (%s) for parameter %s is invalid. %s", e.value, e.name, e.cause)
}

// formDecoder reads forms of awsQuery or, when flat, of ec2Query, which writes every list as if the
// model said flattened.
type formDecoder struct{ flat bool }

func (d formDecoder) structure(n *node, sh *shape, path string, v reflect.Value) error {
	for name, child := range n.children {
		m := sh.byQuery[name]
		if m == nil {
			continue
		}
		if err := d.value(child, m.shape, m.form, path+name, v.Field(m.index)); err != nil {
			return err
		}
	}
	return nil
}

func (d formDecoder) value(n *node, sh *shape, f form, path string, v reflect.Value) error {
	switch sh.kind {
	case structure:
		return d.structure(n, sh, path+".", target(v))
	case list:
		return d.list(n, sh, f, path, v)
	case mapping:
		return d.mapping(n, sh, f, path, v)
	}
	if err := formScalar(n.value, sh, f, target(v)); err != nil {
		return &formError{path, n.value, err}
	}
	return nil
}

// list reads Name.member.N, or Name.N when flat. The numbers order the elements and may have gaps;
// "Name=" is the empty list.
func (d formDecoder) list(n *node, sh *shape, f form, path string, v reflect.Value) error {
	items, err := d.items(n, f, f.item)
	if err != nil {
		return &formError{path, n.value, err}
	}
	all := reflect.MakeSlice(sh.typ, len(items), len(items))
	for i, item := range items {
		at := path + "." + strconv.Itoa(i+1)
		if err := d.value(item, sh.elem, plain, at, all.Index(i)); err != nil {
			return err
		}
	}
	v.Set(all)
	return nil
}

func (d formDecoder) mapping(n *node, sh *shape, f form, path string, v reflect.Value) error {
	entries, err := d.items(n, f, "entry")
	if err != nil {
		return &formError{path, n.value, err}
	}
	all := reflect.MakeMap(sh.typ)
	for _, entry := range entries {
		key, value := entry.children[f.keyName], entry.children[f.valueName]
		if key == nil || value == nil {
			return &formError{path, "", errors.New("An entry needs a key and a value.")}
		}
		elem := reflect.New(sh.typ.Elem()).Elem()
		if err := d.value(value, sh.elem, plain, path+"."+key.value, elem); err != nil {
			return err
		}
		all.SetMapIndex(reflect.ValueOf(key.value).Convert(sh.typ.Key()), elem)
	}
	v.Set(all)
	return nil
}

// items returns the numbered children of n, or of its child step when the form has that step.
func (d formDecoder) items(n *node, f form, step string) ([]*node, error) {
	if !d.flat && !f.flat {
		if n = n.children[step]; n == nil {
			return nil, nil
		}
	}
	type numbered struct {
		n    int
		node *node
	}
	var all []numbered
	for name, child := range n.children {
		i, err := strconv.Atoi(name)
		if err != nil || i < 0 || i > maxFormIndex {
			return nil, fmt.Errorf("%.20q is not an index.", name)
		}
		all = append(all, numbered{i, child})
	}
	slices.SortFunc(all, func(a, b numbered) int { return cmp.Compare(a.n, b.n) })
	nodes := make([]*node, len(all))
	for i, item := range all {
		nodes[i] = item.node
	}
	return nodes, nil
}

func formScalar(s string, sh *shape, f form, v reflect.Value) error {
	switch sh.kind {
	case integer:
		return setInteger(s, v)
	case float:
		if n, ok := named[s]; ok {
			v.SetFloat(n)
			return nil
		}
		return setFloat(s, v)
	case boolean:
		return setBoolean(s, v)
	case blob:
		return setBlob(s, v)
	case timestamp:
		return setTime(s, cmp.Or(f.timeFormat, "iso8601"), v)
	}
	v.SetString(s)
	return nil
}

func setBoolean(s string, v reflect.Value) error {
	switch strings.ToLower(s) {
	case "true":
		v.SetBool(true)
	case "false":
		v.SetBool(false)
	default:
		return errors.New("Expected true or false.")
	}
	return nil
}
