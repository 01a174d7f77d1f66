package wire

import (
	"encoding/base64"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"io"
	"math"
	"net/url"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"fairlead/internal/aws"
)

// AWS's vectors say what a client sends for given parameters and what it reads from a given answer.
// A server runs them backwards: a request must decode to the parameters, and what we encode for a
// result must be the answer, whitespace, order and equal spellings apart.

type vectorSuite struct {
	Description string
	Shapes      map[string]*vectorShape
	Cases       []vectorCase
}

type vectorCase struct {
	ID, Name, Shape, Wrapper string
	Params, Result, Error    map[string]any
	Body                     string
	Status                   int
	ErrorCode, ErrorMessage  string
}

type vectorShape struct {
	Type            string
	Members         map[string]*vectorRef
	Member          *vectorRef
	Key, Value      *vectorRef
	Flattened       bool
	TimestampFormat string
	LocationName    string
}

type vectorRef struct {
	Shape, LocationName, QueryName string
	Flattened                      bool
}

func readVectors(t *testing.T, file string) []vectorSuite {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join("testdata", "vectors", file))
	if err != nil {
		t.Fatal(err)
	}
	var suites []vectorSuite
	if err := json.Unmarshal(raw, &suites); err != nil {
		t.Fatal(err)
	}
	return suites
}

// typeBuilder makes Go types as cmd/genapi would, so that the codecs can run on a vector's shapes.
type typeBuilder struct {
	shapes   map[string]*vectorShape
	protocol aws.Protocol
	built    map[string]reflect.Type // by name and depth
}

func newTypeBuilder(shapes map[string]*vectorShape, p aws.Protocol) typeBuilder {
	return typeBuilder{shapes, p, map[string]reflect.Type{}}
}

// maxNesting is how far recursive shapes are unrolled: reflect cannot make recursive types.
const maxNesting = 5

func (b typeBuilder) structure(name string, depth int) reflect.Type {
	s := b.shapes[name]
	if s == nil {
		s = &vectorShape{}
	}
	var fields []reflect.StructField
	for member, ref := range s.Members {
		t := b.field(ref.Shape, depth)
		if t == nil {
			continue
		}
		fields = append(fields, reflect.StructField{
			Name: "X" + member, Type: t, Tag: reflect.StructTag(b.tag(member, ref)),
		})
	}
	slices.SortFunc(fields, func(a, c reflect.StructField) int {
		return strings.Compare(a.Name, c.Name)
	})
	return reflect.StructOf(fields)
}

func (b typeBuilder) field(name string, depth int) reflect.Type {
	t := b.element(name, depth)
	if t == nil {
		return nil
	}
	if k := t.Kind(); k == reflect.Slice || k == reflect.Map {
		return t
	}
	return reflect.PointerTo(t)
}

func (b typeBuilder) element(name string, depth int) reflect.Type {
	switch s := b.shapes[name]; s.Type {
	case "structure":
		if depth > maxNesting {
			return nil
		}
		key := name + strconv.Itoa(depth)
		if b.built[key] == nil {
			b.built[key] = b.structure(name, depth+1)
		}
		return b.built[key]
	case "list":
		if t := b.element(s.Member.Shape, depth); t != nil {
			return reflect.SliceOf(t)
		}
		return nil
	case "map":
		if t := b.element(s.Value.Shape, depth); t != nil {
			return reflect.MapOf(reflect.TypeFor[string](), t)
		}
		return nil
	default:
		return scalarTypes[s.Type]
	}
}

var scalarTypes = map[string]reflect.Type{
	"string":    reflect.TypeFor[string](),
	"character": reflect.TypeFor[string](),
	"integer":   reflect.TypeFor[int32](),
	"long":      reflect.TypeFor[int64](),
	"float":     reflect.TypeFor[float64](),
	"double":    reflect.TypeFor[float64](),
	"boolean":   reflect.TypeFor[bool](),
	"timestamp": timeType,
	"blob":      blobType,
}

func (b typeBuilder) tag(member string, ref *vectorRef) string {
	s := b.shapes[ref.Shape]
	name := ref.LocationName
	if name == "" {
		name = member
	}
	tag := fmt.Sprintf("json:%q", name)
	add := func(key, value string) {
		if value != "" {
			tag += fmt.Sprintf(" %s:%q", key, value)
		}
	}
	if b.protocol == aws.EC2Query {
		query := ref.QueryName
		if query == "" {
			query = strings.ToUpper(name[:1]) + name[1:]
		}
		add("query", query)
	}
	if ref.Flattened || s.Flattened {
		add("flat", "true")
	}
	switch s.Type {
	case "list":
		add("item", s.Member.LocationName)
	case "map":
		add("key", s.Key.LocationName)
		add("value", s.Value.LocationName)
	}
	add("time", s.TimestampFormat)
	return tag
}

// assign stores a vector's JSON value in v.
func assign(t *testing.T, v reflect.Value, value any) {
	t.Helper()
	if value == nil {
		return
	}
	v = target(v)
	switch {
	case v.Type() == timeType:
		sec, frac := math.Modf(value.(float64))
		v.Set(reflect.ValueOf(time.Unix(int64(sec), int64(math.Round(frac*1e3))*1e6).UTC()))
	case v.Type() == blobType:
		v.SetBytes([]byte(value.(string)))
	case v.Kind() == reflect.Struct:
		for name, member := range value.(map[string]any) {
			assign(t, v.FieldByName("X"+name), member)
		}
	case v.Kind() == reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 0, 0))
		for _, item := range value.([]any) {
			elem := reflect.New(v.Type().Elem()).Elem()
			assign(t, elem, item)
			v.Set(reflect.Append(v, elem))
		}
	case v.Kind() == reflect.Map:
		v.Set(reflect.MakeMap(v.Type()))
		for key, item := range value.(map[string]any) {
			elem := reflect.New(v.Type().Elem()).Elem()
			assign(t, elem, item)
			v.SetMapIndex(reflect.ValueOf(key), elem)
		}
	case v.Kind() == reflect.Float64:
		if s, ok := value.(string); ok {
			value = named[s]
		}
		v.SetFloat(value.(float64))
	default:
		v.Set(reflect.ValueOf(value).Convert(v.Type()))
	}
}

// dump renders a value so that NaN equals NaN and pointers equal what they point at.
func dump(v reflect.Value) string {
	sh := newShapes().of(v.Type())
	return string(appendJSON(nil, sh, plain, v))
}

// protocols are those that there are vectors for.
var protocols = []aws.Protocol{aws.AWSJSON11, aws.AWSQuery, aws.EC2Query, aws.RPCv2CBOR}

func TestVectorRequests(t *testing.T) {
	for _, p := range protocols {
		for _, suite := range readVectors(t, "input-"+string(p)+".json") {
			for _, tt := range suite.Cases {
				if notOurs[tt.ID] != "" {
					continue
				}
				t.Run(string(p)+"/"+tt.ID, func(t *testing.T) { runRequest(t, p, suite, tt) })
			}
		}
	}
}

func runRequest(t *testing.T, p aws.Protocol, suite vectorSuite, tt vectorCase) {
	typ := newTypeBuilder(suite.Shapes, p).structure(tt.Shape, 0)
	got, want := reflect.New(typ).Elem(), reflect.New(typ).Elem()
	form, _ := url.ParseQuery(tt.Body)
	c := &call{protocol: p, body: document(t, p, tt.Body), form: form}
	if fault := codecFor(p).decode(c, newShapes().of(typ), got); fault != nil {
		t.Fatal(fault)
	}
	for name, param := range tt.Params {
		if unsayable(p, param) {
			continue
		}
		assign(t, want.FieldByName("X"+name), param)
	}
	if dump(got) != dump(want) {
		t.Errorf("%s\ngot  %s\nwant %s", tt.Body, dump(got), dump(want))
	}
}

// document is the body of a vector, which has CBOR in base64.
func document(t *testing.T, p aws.Protocol, body string) []byte {
	t.Helper()
	if p != aws.RPCv2CBOR {
		return []byte(body)
	}
	raw, err := base64.StdEncoding.DecodeString(body)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

// unsayable reports what a form has no words for: an empty map and, in ec2Query, an empty list.
func unsayable(p aws.Protocol, param any) bool {
	switch param := param.(type) {
	case map[string]any:
		return len(param) == 0 && (p == aws.AWSQuery || p == aws.EC2Query)
	case []any:
		return len(param) == 0 && p == aws.EC2Query
	}
	return false
}

// notOurs are vectors that do not apply to a server of our models, with the reason.
var notOurs = map[string]string{
	"QueryFlattenedListArgWithXmlName":          "our models, botocore's, name such lists otherwise",
	"handles_unexpected_json_output":            "an answer that does not fit its own shape",
	"json_1_1_service_responds_with_no_payload": "an empty answer is {} here",
	"AwsJson11DeserializeIgnoreType":            "an answer with a member outside of its shape",

	"AwsJson11StructuresDontDeserializeNullValues": "we leave out what others send as null",

	"NoOutputClientAllowsEmptyCbor":                         "we send nothing",
	"RpcV2CborDeserializesDenseSetMapAndSkipsNull":          "an answer that does not fit its shape",
	"RpcV2CborClientDoesntDeserializeNullStructureValues":   "we leave out what others send as null",
	"RpcV2CborExtraFieldsInTheBodyShouldBeSkippedByClients": "an answer with members outside of its shape",
	"RpcV2CborPayloadWithUnsetUnion":                        "an answer with members outside of its shape",

	"QueryXmlNamespaces": "no served model declares inner namespaces or attributes",
	"Ec2XmlNamespaces":   "no served model declares inner namespaces or attributes",
}

func TestVectorAnswers(t *testing.T) {
	for _, p := range protocols {
		for _, suite := range readVectors(t, "output-"+string(p)+".json") {
			for _, tt := range suite.Cases {
				if notOurs[tt.ID] != "" {
					continue
				}
				t.Run(string(p)+"/"+tt.ID, func(t *testing.T) {
					if tt.ErrorCode != "" {
						runFault(t, p, tt)
						return
					}
					runAnswer(t, p, suite, tt)
				})
			}
		}
	}
}

func runAnswer(t *testing.T, p aws.Protocol, suite vectorSuite, tt vectorCase) {
	v := reflect.New(newTypeBuilder(suite.Shapes, p).structure(tt.Shape, 0)).Elem()
	assign(t, v, tt.Result)
	c := &call{
		protocol: p,
		api:      &aws.API{Protocol: p, XMLNamespace: "https://example.com/"},
		op:       &endpoint{name: tt.Name, wrapper: tt.Wrapper},
		caller:   aws.Caller{RequestID: requestID(tt.Body)},
	}
	if p == aws.RPCv2CBOR {
		c.op.wrapper = tt.Shape // which is empty where there is no output
	}
	if c.op.wrapper == "" && strings.Contains(tt.Body, tt.Name+"Result") {
		c.op.wrapper = tt.Name + "Result"
	}
	got := codecFor(p).encode(c, newShapes().of(v.Type()), v)
	compare(t, p, string(got), string(document(t, p, tt.Body)))
}

func requestID(body string) string {
	for _, name := range []string{"RequestId", "requestId", "RequestID"} {
		if _, rest, ok := strings.Cut(body, "<"+name+">"); ok {
			id, _, _ := strings.Cut(rest, "<")
			return id
		}
	}
	return ""
}

func runFault(t *testing.T, p aws.Protocol, tt vectorCase) {
	if _, rest, ok := strings.Cut(tt.Body, "<Message>"); ok {
		tt.ErrorMessage, _, _ = strings.Cut(rest, "<")
	}
	f := aws.NewFaultStatus(tt.ErrorCode, tt.Status, "%s", tt.ErrorMessage)
	for name, value := range tt.Error {
		if name != "Message" {
			f.With(name, value)
		}
	}
	c := &call{protocol: p, caller: aws.Caller{RequestID: requestID(tt.Body)}}
	got := string(codecFor(p).encodeFault(c, f))
	switch p {
	case aws.AWSJSON11:
		compareFault(t, json.Unmarshal, got, tt)
	case aws.RPCv2CBOR:
		compareFault(t, cborReader.Unmarshal, got, tt)
	default:
		compare(t, p, got, tt.Body)
	}
}

// compareFault allows the spellings of an error's code that a client must understand.
func compareFault(
	t *testing.T, unmarshal func([]byte, any) error, got string, tt vectorCase,
) {
	var fault map[string]any
	if err := unmarshal([]byte(got), &fault); err != nil {
		t.Fatal(err)
	}
	if fault["__type"] != tt.ErrorCode || fault["message"] != tt.ErrorMessage {
		t.Errorf("got %s", got)
	}
	for name, want := range tt.Error {
		if name != "Message" && !reflect.DeepEqual(fault[name], want) {
			t.Errorf("%s: got %v, want %v", name, fault[name], want)
		}
	}
}

func compare(t *testing.T, p aws.Protocol, got, want string) {
	t.Helper()
	parse := parseXML
	switch p {
	case aws.AWSJSON11:
		parse = parseJSON
	case aws.RPCv2CBOR:
		parse = parseCBOR
	}
	if g, w := parse(t, got), parse(t, want); g != w && strings.TrimSpace(want) != "" {
		t.Errorf("got  %s\n     %s\nwant %s\n     %s", got, g, want, w)
	}
}

func parseJSON(t *testing.T, s string) string {
	var v any
	if json.Unmarshal([]byte(s), &v) != nil {
		return s
	}
	return canonicalValue(v)
}

func parseCBOR(t *testing.T, s string) string {
	if s == "" {
		return s
	}
	var v any
	if err := cborReader.Unmarshal([]byte(s), &v); err != nil {
		t.Fatalf("%x: %v", s, err)
	}
	return canonicalValue(v)
}

func canonicalValue(v any) string {
	switch v := v.(type) {
	case map[string]any:
		var parts []string
		for name, value := range v {
			parts = append(parts, name+":"+canonicalValue(value))
		}
		slices.Sort(parts)
		return "{" + strings.Join(parts, ",") + "}"
	case []any:
		var parts []string
		for _, value := range v {
			parts = append(parts, canonicalValue(value))
		}
		return "[" + strings.Join(parts, ",") + "]"
	}
	return canonicalText(fmt.Sprint(v))
}

// canonicalText makes equal what means the same: 1 and 1.0, and the ways to write a time.
func canonicalText(s string) string {
	s = strings.TrimSpace(s)
	if f, err := strconv.ParseFloat(s, 64); err == nil {
		return strconv.FormatFloat(f, 'g', -1, 64)
	}
	if at, ok := parseTime(s); ok {
		return strconv.FormatFloat(float64(at.UnixMilli())/1000, 'g', -1, 64)
	}
	return s
}

// parseXML renders a document as its elements, those of a structure or map in order, without
// namespaces, whitespace, empty elements, and what EC2 says when there is nothing to say.
func parseXML(t *testing.T, s string) string {
	t.Helper()
	d := xml.NewDecoder(strings.NewReader(s))
	stack := []*element{{}}
	for {
		token, err := d.Token()
		if err == io.EOF {
			return strings.Join(stack[0].children, "")
		}
		if err != nil {
			t.Fatalf("%s: %v", s, err)
		}
		top := stack[len(stack)-1]
		switch token := token.(type) {
		case xml.StartElement:
			stack = append(stack, &element{name: token.Name.Local})
		case xml.CharData:
			top.text += strings.TrimSpace(string(token))
		case xml.EndElement:
			stack = stack[:len(stack)-1]
			if top.means() {
				parent := stack[len(stack)-1]
				parent.children = append(parent.children, top.String())
			}
		}
	}
}

type element struct {
	name, text string
	children   []string
}

func (e *element) means() bool {
	return e.name != "return" && (e.text != "" || len(e.children) > 0)
}

func (e *element) String() string {
	list := len(e.children) > 1
	for _, child := range e.children {
		name, _, _ := strings.Cut(child, "(")
		first, _, _ := strings.Cut(e.children[0], "(")
		list = list && name == first && name != "entry" && name != "myMap"
	}
	if !list {
		slices.Sort(e.children)
	}
	return e.name + "(" + canonicalText(e.text) + strings.Join(e.children, "") + ")"
}
