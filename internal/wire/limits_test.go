package wire

import (
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"fairlead/internal/aws"
)

// TestModelPatterns lists the patterns of the models that are not checked.
func TestModelPatterns(t *testing.T) {
	files, err := filepath.Glob("../../models/*.json")
	if err != nil || len(files) == 0 {
		t.Fatalf("no models: %v", err)
	}
	unchecked := map[string]bool{}
	for _, file := range files {
		raw, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var model struct {
			Shapes map[string]struct{ Pattern string }
		}
		if err := json.Unmarshal(raw, &model); err != nil {
			t.Fatal(err)
		}
		service := strings.TrimSuffix(filepath.Base(file), ".json")
		for name, shape := range model.Shapes {
			if shape.Pattern != "" && compilePattern(shape.Pattern) == nil {
				unchecked[service+"."+name] = true
			}
		}
	}
	want := []string{"acm.DomainNameString"} // a lookahead
	if got := slices.Sorted(maps.Keys(unchecked)); !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

func TestPatternsMatchAsInJava(t *testing.T) {
	for _, tt := range []struct {
		pattern, s string
		want       bool
	}{
		{`[\w+=,.@-]+`, "a.b@c", true},
		{`[\w+=,.@-]+`, "a b", false},
		{`(\u002F)|(\u002F[\u0021-\u007E]+\u002F)`, "/", true},
		{`(\u002F)|(\u002F[\u0021-\u007E]+\u002F)`, "/a/", true},
		{`(\u002F)|(\u002F[\u0021-\u007E]+\u002F)`, "/a", false},
		{`[\p{L}\p{Z}\p{N}_.:\/=+\-@]*`, "Größe 1/2", true},
		{`a|b`, "ab", false},
		{`a.`, "a\n", false},
	} {
		if got := compilePattern(tt.pattern).MatchString(tt.s); got != tt.want {
			t.Errorf("%s on %q: got %v", tt.pattern, tt.s, got)
		}
	}
}

// limited has a member of each kind that can be limited.
type limited struct {
	Name   *string           `json:"Name" min:"2" max:"3" pattern:"[a-z]*"`
	Port   *int32            `json:"Port" min:"1" max:"10"`
	Blob   []byte            `json:"Blob" max:"1"`
	Words  []string          `json:"Words" max:"2" emin:"2" epattern:"[a-z]*"`
	Items  []limitedItem     `json:"Items" min:"1"`
	Tags   map[string]string `json:"Tags" max:"2" kmax:"1" emax:"1"`
	Colour colour            `json:"Colour"`
	Must   *limitedItem      `json:"Must" required:"true"`
}

type limitedItem struct {
	Key *string `json:"Key" required:"true" max:"1"`
}

type colour string

func (colour) Values() []string { return []string{"RED", "BLUE"} }

func TestValidation(t *testing.T) {
	const must = `"Must":{"Key":"k"}`
	for name, tt := range map[string]struct{ in, want string }{
		"right": {`{` + must + `,"Name":"ab","Port":10,"Blob":"YQ==","Words":["ab"],` +
			`"Items":[{"Key":"k"}],"Tags":{"a":"b"},"Colour":"RED"}`, ""},
		"missing": {`{}`, `1 validation error detected: Value null at 'must' failed to satisfy ` +
			`constraint: Member must not be null`},
		"within": {`{"Must":{}}`, `1 validation error detected: Value null at 'must.key' failed to ` +
			`satisfy constraint: Member must not be null`},
		"several": {`{` + must + `,"Name":"ABCD","Port":0}`, `3 validation errors detected: ` +
			`Value 'ABCD' at 'name' failed to satisfy constraint: Member must have length less than ` +
			`or equal to 3; Value 'ABCD' at 'name' failed to satisfy constraint: Member must satisfy ` +
			`regular expression pattern: [a-z]*; Value '0' at 'port' failed to satisfy constraint: ` +
			`Member must have value greater than or equal to 1`},
		"characters": {`{` + must + `,"Name":"äöü"}`, `1 validation error detected: Value 'äöü' at ` +
			`'name' failed to satisfy constraint: Member must satisfy regular expression pattern: ` +
			`[a-z]*`},
		"words": {`{` + must + `,"Words":["ab","C"]}`, `1 validation error detected: Value '[ab, C]' ` +
			`at 'words' failed to satisfy constraint: Member must satisfy constraint: [Member must ` +
			`have length greater than or equal to 2, Member must satisfy regular expression pattern: ` +
			`[a-z]*]`},
		"structures": {`{` + must + `,"Items":[{"Key":"k"},{"Key":"kk"}]}`, `1 validation error ` +
			`detected: Value 'kk' at 'items.2.member.key' failed to satisfy constraint: Member must ` +
			`have length less than or equal to 1`},
		"empty list": {`{` + must + `,"Items":[]}`, `1 validation error detected: Value '[]' at ` +
			`'items' failed to satisfy constraint: Member must have length greater than or equal to 1`},
		"map keys": {`{` + must + `,"Tags":{"ab":""}}`, `1 validation error detected: Value '{ab=}' ` +
			`at 'tags' failed to satisfy constraint: Map keys must satisfy constraint: [Member must ` +
			`have length less than or equal to 1]`},
		"map values": {`{` + must + `,"Tags":{"a":"bc"}}`, `1 validation error detected: Value ` +
			`'{a=bc}' at 'tags' failed to satisfy constraint: Map value must satisfy constraint: ` +
			`[Member must have length less than or equal to 1]`},
		"blob": {`{` + must + `,"Blob":"YWI="}`, `1 validation error detected: Value ` +
			`'java.nio.HeapByteBuffer[pos=0 lim=2 cap=2]' at 'blob' failed to satisfy constraint: ` +
			`Member must have length less than or equal to 1`},
		"enumeration": {`{` + must + `,"Colour":"GREEN"}`, `1 validation error detected: Value ` +
			`'GREEN' at 'colour' failed to satisfy constraint: Member must satisfy enum value set: ` +
			`[RED, BLUE]`},
		"list of structures": {`{` + must + `,"Words":["ab","cd","ef"]}`, `1 validation error ` +
			`detected: Value '[ab, cd, ef]' at 'words' failed to satisfy constraint: Member must have ` +
			`length less than or equal to 2`},
	} {
		t.Run(name, func(t *testing.T) {
			v := reflect.ValueOf(new(limited)).Elem()
			sh := newShapes().of(v.Type())
			if err := decodeJSON([]byte(tt.in), sh, v); err != nil {
				t.Fatal(err)
			}
			got := ""
			if f := validate(&aws.API{InvalidCode: "Invalid"}, sh, v); f != nil {
				got = f.Message
			}
			if got != tt.want {
				t.Errorf("got  %s\nwant %s", got, tt.want)
			}
		})
	}
}

func TestManyViolationsAreCut(t *testing.T) {
	v := reflect.ValueOf(&limited{Items: make([]limitedItem, 1000)}).Elem()
	f := validate(&aws.API{InvalidCode: "Invalid"}, newShapes().of(v.Type()), v)
	if !strings.HasPrefix(f.Message, "20 validation errors detected: ") {
		t.Errorf("got %.60s", f.Message)
	}
}

func TestOwnLimits(t *testing.T) {
	v := reflect.ValueOf(&limited{
		Name: new("ABCDEF"), Must: &limitedItem{Key: new("long")}, Colour: "GREEN",
	}).Elem()
	f := validate(&aws.API{InvalidCode: "Invalid", OwnLimits: true}, newShapes().of(v.Type()), v)
	if f == nil || !strings.HasPrefix(f.Message, "1 validation error detected: Value 'GREEN'") {
		t.Errorf("got %v", f)
	}
}
