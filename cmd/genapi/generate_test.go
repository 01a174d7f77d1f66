package main

import (
	"os"
	"path/filepath"
	"slices"
	"testing"
)

// TestGeneratedCodeIsCurrent generates everything anew and compares it with what is checked in.
func TestGeneratedCodeIsCurrent(t *testing.T) {
	dir := t.TempDir()
	if err := generateAll("../../models", dir); err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob(filepath.Join(dir, "*", "*.go"))
	if err != nil || len(files) == 0 {
		t.Fatalf("nothing was generated: %v", err)
	}
	for _, file := range files {
		name, err := filepath.Rel(dir, file)
		if err != nil {
			t.Fatal(err)
		}
		want, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		got, err := os.ReadFile(filepath.Join("../../internal/api", name))
		if err != nil {
			t.Fatal(err)
		}
		if string(got) != string(want) {
			t.Errorf("%s is not current: run go generate ./internal/api", name)
		}
	}
}

func TestTags(t *testing.T) {
	g := newGenerator(&model{
		Metadata: metadata{Protocol: "ec2"},
		Shapes: map[string]*shape{
			"Name":  {Type: "string", Min: new(1.0), Max: new(2.5), Pattern: `\d"`},
			"Names": {Type: "list", Member: &shapeRef{Shape: "Name", LocationName: "item"}},
			"Map": {
				Type: "map", Key: &shapeRef{Shape: "Name", LocationName: "K"},
				Value: &shapeRef{Shape: "Time"}, Flattened: true,
			},
			"Time": {Type: "timestamp", Timestamp: "iso8601"},
		},
	}, "x")
	for _, tt := range []struct {
		member   string
		ref      shapeRef
		required bool
		want     string
	}{
		{"Name", shapeRef{Shape: "Name", LocationName: "name"}, true, `json:"name,omitempty" ` +
			`query:"Name" required:"true" min:"1" max:"2.5" pattern:"\\d\""`},
		{"Names", shapeRef{Shape: "Names", QueryName: "N"}, false, `json:"Names,omitempty" ` +
			`query:"N" item:"item" emin:"1" emax:"2.5" epattern:"\\d\""`},
		{"map", shapeRef{Shape: "Map"}, false, `json:"map,omitempty" query:"Map" flat:"true" ` +
			`key:"K" kmin:"1" kmax:"2.5" kpattern:"\\d\""`},
		{"time", shapeRef{Shape: "Time"}, false,
			`json:"time,omitempty" query:"Time" time:"iso8601"`},
	} {
		if got := g.tag(tt.member, &tt.ref, tt.required); got != tt.want {
			t.Errorf("got  %s\nwant %s", got, tt.want)
		}
	}
}

func TestNames(t *testing.T) {
	for in, want := range map[string]string{
		"instance-id": "InstanceId", "a.b_c": "ABC", "ELBSecurityPolicy-2016-08": "ELBSecurityPolicy201608",
	} {
		if got := camel(in); got != want {
			t.Errorf("%s: got %s, want %s", in, got, want)
		}
	}
}

// TestUnreachableShapesAreCut keeps one operation of two.
func TestUnreachableShapesAreCut(t *testing.T) {
	m := &model{
		Operations: map[string]*operation{
			"Keep": {Input: &shapeRef{Shape: "A"}, Errors: []shapeRef{{Shape: "E"}}},
			"Drop": {Input: &shapeRef{Shape: "C"}},
		},
		Shapes: map[string]*shape{
			"A": {Type: "list", Member: &shapeRef{Shape: "B"}}, "B": {Type: "string"},
			"C": {Type: "string"}, "E": {Type: "structure"},
		},
	}
	if err := keepOperations(m, []string{"Keep"}); err != nil {
		t.Fatal(err)
	}
	dropUnreachable(m)
	if len(m.Shapes) != 3 || m.Shapes["C"] != nil || len(m.OtherOperations) != 1 {
		t.Errorf("got %v, %v", m.Shapes, m.OtherOperations)
	}
	if keepOperations(m, []string{"None"}) == nil {
		t.Error("an operation that is not in the model can be kept")
	}
}

// TestOverlay adds a shape and a member, and refuses what the model has by now.
func TestOverlay(t *testing.T) {
	text := &shape{Type: "string"}
	with := func(members ...string) *shape {
		s := &shape{Type: "structure", Members: map[string]*shapeRef{}}
		for _, member := range members {
			s.Members[member] = &shapeRef{Shape: "Text"}
		}
		return s
	}
	m := &model{Shapes: map[string]*shape{"A": with("old")}}
	added, err := m.lay(&model{Shapes: map[string]*shape{"A": with("y", "x"), "Text": text}})
	if err != nil || !slices.Equal(added, []string{"x", "y"}) || len(m.Shapes["A"].Members) != 3 ||
		m.Shapes["Text"] != text {
		t.Errorf("added %v, %v: %+v", added, err, m.Shapes)
	}
	for _, late := range []map[string]*shape{{"A": with("old")}, {"Text": text}} {
		if _, err := m.lay(&model{Shapes: late}); err == nil {
			t.Errorf("an overlay of what is there is laid: %v", late)
		}
	}
}
