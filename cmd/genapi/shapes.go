package main

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode"
)

func (g *generator) shape(name string, s *shape) {
	switch {
	case s.Exception || s.Error != nil:
		g.fault(name, s)
	case s.Type == "structure":
		g.structure(name, s)
	case s.Type == "string" && len(s.Enum) > 0:
		g.enum(name, s)
	}
}

// fault writes a constructor that carries the error's code and status.
func (g *generator) fault(name string, s *shape) {
	code, status := name, 400
	if s.Fault {
		status = 500
	}
	if s.Error != nil {
		if s.Error.Code != "" {
			code = s.Error.Code
		}
		if s.Error.HTTPStatusCode != 0 {
			status = s.Error.HTTPStatusCode
		}
	}
	fn := upper(name)
	g.printf("// %s returns the fault %s (HTTP %d).\n", fn, code, status)
	g.printf("func %s(format string, args ...any) *aws.Fault {\n", fn)
	g.printf("return aws.NewFaultStatus(%q, %d, format, args...)\n}\n\n", code, status)
}

func (g *generator) structure(name string, s *shape) {
	typ := g.names[name]
	g.printf("// %s is a wire shape.\ntype %s struct {\n", typ, typ)
	for _, member := range sorted(s.Members) {
		ref := s.Members[member]
		tag := g.tag(member, ref, slices.Contains(s.Required, member))
		g.printf("%s %s `%s`\n", upper(member), g.goType(ref.Shape), tag)
	}
	g.printf("}\n\n")
}

// goType is the Go type of a member: pointers where absent and zero differ.
func (g *generator) goType(name string) string {
	s := g.m.Shapes[name]
	switch s.Type {
	case "structure":
		return "*" + g.names[name]
	case "list":
		return "[]" + g.elemType(s.Member.Shape)
	case "map":
		return "map[" + g.elemType(s.Key.Shape) + "]" + g.elemType(s.Value.Shape)
	case "blob":
		return "[]byte"
	case "string":
		if len(s.Enum) > 0 {
			return g.names[name]
		}
	}
	return "*" + scalar(s.Type)
}

func (g *generator) elemType(name string) string {
	t := g.goType(name)
	if strings.HasPrefix(t, "*") {
		return t[1:]
	}
	return t
}

func scalar(typ string) string {
	switch typ {
	case "string", "character":
		return "string"
	case "integer":
		return "int32"
	case "long":
		return "int64"
	case "float", "double":
		return "float64"
	case "boolean":
		return "bool"
	case "timestamp":
		return "time.Time"
	}
	panic("genapi: no Go type for " + typ)
}

// tag carries everything the codecs and the validator need; package wire documents the keys.
func (g *generator) tag(member string, ref *shapeRef, required bool) string {
	s := g.m.Shapes[ref.Shape]
	name := ref.LocationName
	if name == "" {
		name = member
	}
	t := []string{fmt.Sprintf(`json:"%s,omitempty"`, name)}
	add := func(key, value string) { t = append(t, key+":"+strconv.Quote(value)) }
	if g.m.Metadata.Protocol == "ec2" {
		add("query", ec2Name(member, ref))
	}
	if required {
		add("required", "true")
	}
	if ref.Flattened || s.Flattened {
		add("flat", "true")
	}
	if s.Type == "list" {
		if s.Member.LocationName != "" {
			add("item", s.Member.LocationName)
		}
		g.constraints(add, "e", g.m.Shapes[s.Member.Shape])
	}
	if s.Type == "map" {
		if s.Key.LocationName != "" {
			add("key", s.Key.LocationName)
		}
		if s.Value.LocationName != "" {
			add("value", s.Value.LocationName)
		}
		g.constraints(add, "k", g.m.Shapes[s.Key.Shape])
		g.constraints(add, "e", g.m.Shapes[s.Value.Shape])
	}
	g.constraints(add, "", s)
	if s.Timestamp != "" {
		add("time", s.Timestamp)
	}
	return strings.Join(t, " ")
}

func (g *generator) constraints(add func(k, v string), prefix string, s *shape) {
	if s.Min != nil {
		add(prefix+"min", strconv.FormatFloat(*s.Min, 'f', -1, 64))
	}
	if s.Max != nil {
		add(prefix+"max", strconv.FormatFloat(*s.Max, 'f', -1, 64))
	}
	if s.Pattern != "" && !strings.Contains(s.Pattern, "`") {
		add(prefix+"pattern", s.Pattern)
	}
}

// ec2Name is the parameter's name in an ec2Query request: queryName, else the location name with
// its first letter in upper case.
func ec2Name(member string, ref *shapeRef) string {
	switch {
	case ref.QueryName != "":
		return ref.QueryName
	case ref.LocationName != "":
		return upper(ref.LocationName)
	}
	return upper(member)
}

func (g *generator) enum(name string, s *shape) {
	typ := g.names[name]
	g.printf("// %s is an enumeration.\ntype %s string\n\n", typ, typ)
	g.printf("// The values of %s.\nconst (\n", typ)
	seen := map[string]bool{}
	var consts []string
	for _, v := range s.Enum {
		c := typ + camel(v)
		for seen[c] {
			c += "_"
		}
		seen[c] = true
		consts = append(consts, c)
		g.printf("%s %s = %q\n", c, typ, v)
	}
	g.printf(")\n\n// Values lists the model's values.\n")
	g.printf("func (%s) Values() []string {\nreturn []string{", typ)
	for _, c := range consts {
		g.printf("string(%s),", c)
	}
	g.printf("}\n}\n\n")
}

func upper(s string) string {
	r := []rune(s)
	r[0] = unicode.ToUpper(r[0])
	return string(r)
}

// camel turns an enumeration's value into the tail of a Go name: "instance-id" -> "InstanceId".
func camel(v string) string {
	var b strings.Builder
	up := true
	for _, r := range v {
		if !unicode.IsLetter(r) && !unicode.IsDigit(r) {
			up = true
			continue
		}
		if up {
			r = unicode.ToUpper(r)
		}
		up = false
		b.WriteRune(r)
	}
	return b.String()
}
