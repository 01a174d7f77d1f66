package lbfile

import (
	"encoding/json"
	"reflect"
	"strings"
)

// Schema returns the JSON schema (draft 2020-12) of configuration files. It is made from the types
// that the files are decoded into, so that it cannot be wrong about them.
func Schema() ([]byte, error) {
	s := schemaOf(reflect.TypeFor[File]())
	s["$schema"] = "https://json-schema.org/draft/2020-12/schema"
	s["title"] = "Fairlead load balancer"
	return json.MarshalIndent(s, "", "  ")
}

func schemaOf(t reflect.Type) map[string]any {
	switch t.Kind() {
	case reflect.Pointer:
		return schemaOf(t.Elem())
	case reflect.Slice:
		return map[string]any{"type": "array", "items": schemaOf(t.Elem())}
	case reflect.Struct:
		return schemaOfStruct(t)
	case reflect.Bool:
		return map[string]any{"type": "boolean"}
	case reflect.String:
		return map[string]any{"type": "string"}
	}
	return map[string]any{"type": "integer"}
}

func schemaOfStruct(t reflect.Type) map[string]any {
	members := map[string]any{}
	required := []string{}
	for f := range t.Fields() {
		tag, isTagged := f.Tag.Lookup("json")
		name, options, _ := strings.Cut(tag, ",")
		if name == "" {
			name = f.Name
		}
		member := schemaOf(f.Type)
		if doc := f.Tag.Get("doc"); doc != "" {
			member["description"] = doc
		}
		members[name] = member
		if isTagged && !strings.Contains(options, "omit") {
			required = append(required, name)
		}
	}
	return map[string]any{"type": "object", "properties": members, "required": required,
		"additionalProperties": false}
}
