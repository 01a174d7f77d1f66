package wire

import (
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"fairlead/internal/aws"
)

// validate checks an input against the model and words what it finds as the API does.
func validate(api *aws.API, sh *shape, v reflect.Value) *aws.Fault {
	c := &checker{api: api}
	c.structure("", sh, v)
	if len(c.found) == 0 {
		return nil
	}
	if api.Protocol == aws.EC2Query {
		return c.found[0].ec2()
	}
	return invalid(api.InvalidCode, c.found)
}

// violation is one constraint that one value does not satisfy.
type violation struct {
	path       string // in lower camel case with 1-based indexes: targets.1.member.port
	value      string
	null       bool
	constraint string
}

func (v violation) String() string {
	value := "'" + v.value + "'"
	if v.null {
		value = "null"
	}
	return fmt.Sprintf("Value %s at '%s' failed to satisfy constraint: %s",
		value, v.path, v.constraint)
}

// invalid is how every AWS service but EC2 reports violations.
func invalid(code string, all []violation) *aws.Fault {
	texts := make([]string, len(all))
	for i, v := range all {
		texts[i] = v.String()
	}
	plural := ""
	if len(all) > 1 {
		plural = "s"
	}
	return aws.NewFault(code, "%d validation error%s detected: %s",
		len(all), plural, strings.Join(texts, "; "))
}

// ec2 is how EC2 reports the first violation.
func (v violation) ec2() *aws.Fault {
	if v.null {
		return aws.NewFault("MissingParameter", "The request must contain the parameter %s", v.path)
	}
	return aws.NewFault("InvalidParameterValue",
		"Value (%s) for parameter %s is invalid. %s", v.value, v.path, v.constraint)
}

// maxViolations bounds the answer to a call that is wrong in many places.
const maxViolations = 20

type checker struct {
	api   *aws.API
	found []violation
}

func (c *checker) add(path string, v violation) {
	if len(c.found) < maxViolations {
		v.path = path
		c.found = append(c.found, v)
	}
}

func (c *checker) structure(path string, sh *shape, v reflect.Value) {
	for _, m := range sh.members {
		at := path + lowerFirst(m.name)
		value, ok := present(v.Field(m.index))
		switch {
		case ok:
			c.member(at, m, value)
		case m.required:
			c.add(at, violation{null: true, constraint: "Member must not be null"})
		}
	}
}

func (c *checker) member(at string, m *member, v reflect.Value) {
	c.scalar(at, m.shape, m.own, v)
	switch m.shape.kind {
	case structure:
		c.structure(at+".", m.shape, v)
	case list:
		c.list(at, m, v)
	case mapping:
		c.mapping(at, m, v)
	}
}

func (c *checker) scalar(at string, sh *shape, l limits, v reflect.Value) {
	for _, constraint := range c.violated(sh, l, v) {
		c.add(at, violation{value: display(sh, v), constraint: constraint})
	}
}

// list checks the elements. Those that are no structures are reported together, as AWS does.
func (c *checker) list(at string, m *member, v reflect.Value) {
	if m.shape.elem.kind == structure {
		for i := range v.Len() {
			c.structure(at+"."+strconv.Itoa(i+1)+".member.", m.shape.elem, v.Index(i))
		}
		return
	}
	for i := range v.Len() {
		if bad := c.violated(m.shape.elem, m.elem, v.Index(i)); len(bad) > 0 {
			c.add(at, violation{value: display(m.shape, v), constraint: within("Member", bad)})
			return
		}
	}
}

func (c *checker) mapping(at string, m *member, v reflect.Value) {
	for _, key := range sortedKeys(v) {
		if bad := c.violated(m.shape.key, m.key, key); len(bad) > 0 {
			c.add(at, violation{value: display(m.shape, v), constraint: within("Map keys", bad)})
			return
		}
		if bad := c.violated(m.shape.elem, m.elem, v.MapIndex(key)); len(bad) > 0 {
			c.add(at, violation{value: display(m.shape, v), constraint: within("Map value", bad)})
			return
		}
	}
}

func within(what string, constraints []string) string {
	return what + " must satisfy constraint: [" + strings.Join(constraints, ", ") + "]"
}

// violated lists the constraints that v does not satisfy. An API whose services word their limits
// themselves is held to its enumerations only.
func (c *checker) violated(sh *shape, l limits, v reflect.Value) []string {
	var bad []string
	if sh.values != nil && !slices.Contains(sh.values, v.String()) {
		bad = append(bad, "Member must satisfy enum value set: ["+strings.Join(sh.values, ", ")+"]")
	}
	if c.api.OwnLimits {
		return bad
	}
	size, noun := measure(sh, v)
	if l.max != nil && size > *l.max {
		bad = append(bad, bounded(noun, "less", *l.max))
	}
	if l.min != nil && size < *l.min {
		bad = append(bad, bounded(noun, "greater", *l.min))
	}
	if l.pattern != nil && sh.kind == text && !l.pattern.MatchString(v.String()) {
		bad = append(bad, "Member must satisfy regular expression pattern: "+l.source)
	}
	return bad
}

func bounded(noun, than string, limit float64) string {
	return fmt.Sprintf("Member must have %s %s than or equal to %s", noun, than, floatText(limit))
}

// measure is what a minimum and a maximum apply to.
func measure(sh *shape, v reflect.Value) (size float64, noun string) {
	switch sh.kind {
	case text:
		return float64(utf8.RuneCountInString(v.String())), "length"
	case list, mapping, blob:
		return float64(v.Len()), "length"
	case integer:
		return float64(v.Int()), "value"
	case float:
		return v.Float(), "value"
	}
	return 0, "value"
}

// maxDisplay bounds, in bytes, how much of a wrong value is echoed.
const maxDisplay = 1024

// display is a value as Java would print it.
func display(sh *shape, v reflect.Value) string {
	s := displayWhole(sh, v)
	return strings.ToValidUTF8(s[:min(len(s), maxDisplay)], "")
}

func displayWhole(sh *shape, v reflect.Value) string {
	var parts []string
	switch sh.kind {
	case list:
		for i := range v.Len() {
			parts = append(parts, display(sh.elem, v.Index(i)))
		}
		return "[" + strings.Join(parts, ", ") + "]"
	case mapping:
		for _, key := range sortedKeys(v) {
			parts = append(parts, key.String()+"="+display(sh.elem, v.MapIndex(key)))
		}
		return "{" + strings.Join(parts, ", ") + "}"
	case structure:
		for _, m := range sh.members {
			if value, ok := present(v.Field(m.index)); ok {
				parts = append(parts, lowerFirst(m.name)+"="+display(m.shape, value))
			}
		}
		return sh.typ.Name() + "(" + strings.Join(parts, ", ") + ")"
	case blob: // never its content: it may be a private key
		return fmt.Sprintf("java.nio.HeapByteBuffer[pos=0 lim=%d cap=%d]", v.Len(), v.Len())
	case timestamp:
		return timeText("", v.Interface().(time.Time))
	}
	return scalarText(sh, v)
}

func lowerFirst(s string) string { return strings.ToLower(s[:1]) + s[1:] }
