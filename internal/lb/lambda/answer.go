package lambda

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"fairlead/internal/lb/http1"
)

// MaxAnswer is the limit of the JSON that a function returns, in bytes (ALB guide, troubleshooting,
// HTTP 502: "the response body exceeds 1 MB").
const MaxAnswer = 1 << 20

// Answer is what a function has returned, as a response. It can be sent as it is: its fields are
// none about the connection or the length, and no text in it can end a line.
type Answer struct {
	Status int
	Reason []byte // nil if the function has said nothing
	Fields []http1.Field
	Body   []byte
}

// The lowest and the highest status that a function may return.
const (
	minStatus = 200
	maxStatus = 599
)

// ParseAnswer reads what a function has returned. AWS is strict, and so is this: what is there must
// be of the right type, also where null would do as well as nothing (aws/aws-lambda-go#438,
// awslabs/aws-lambda-go-api-proxy#79). Of headers and multiValueHeaders the one that fits the mode
// counts; the other is not looked at.
func ParseAnswer(b []byte, multiValue bool) (*Answer, *Fault) {
	var members map[string]json.RawMessage // by exact name, other than with a struct
	if err := json.Unmarshal(b, &members); err != nil {
		return nil, malformed("answer is not a JSON object: %v", err)
	}
	a := &Answer{}
	for _, read := range []func(map[string]json.RawMessage) error{
		a.readStatus, a.readReason, a.readBody,
		func(m map[string]json.RawMessage) error { return a.readHeaders(m, multiValue) },
	} {
		if err := read(members); err != nil {
			return nil, malformed("%v", err)
		}
	}
	return a, nil
}

func malformed(format string, args ...any) *Fault {
	return &Fault{502, InvalidResponse, "function: " + fmt.Sprintf(format, args...)}
}

// member decodes a member into v, if it is there. null is of no type.
func member(m map[string]json.RawMessage, name string, v any) error {
	raw, ok := m[name]
	if !ok {
		return nil
	}
	if string(raw) == "null" {
		return fmt.Errorf("%s is null", name)
	}
	if err := json.Unmarshal(raw, v); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	return nil
}

func (a *Answer) readStatus(m map[string]json.RawMessage) error {
	if err := member(m, "statusCode", &a.Status); err != nil {
		return err
	}
	if a.Status < minStatus || a.Status > maxStatus {
		return fmt.Errorf("no statusCode within %d and %d, but %d", minStatus, maxStatus, a.Status)
	}
	return nil
}

// readReason takes the phrase out of a description such as "200 OK".
func (a *Answer) readReason(m map[string]json.RawMessage) error {
	var s string
	if err := member(m, "statusDescription", &s); err != nil {
		return err
	}
	s = strings.TrimPrefix(s, strconv.Itoa(a.Status))
	if s = strings.TrimSpace(s); s != "" {
		a.Reason = []byte(s)
	}
	if !isText(a.Reason) {
		return fmt.Errorf("statusDescription %q has control characters", s)
	}
	return nil
}

func (a *Answer) readBody(m map[string]json.RawMessage) (err error) {
	var s string
	var encoded bool
	if err := member(m, "body", &s); err != nil {
		return err
	}
	if err := member(m, "isBase64Encoded", &encoded); err != nil {
		return err
	}
	a.Body = []byte(s)
	if encoded {
		if a.Body, err = base64.StdEncoding.DecodeString(s); err != nil {
			return fmt.Errorf("body: %w", err)
		}
	}
	return nil
}

// headOverhead is what a head has besides its headers and phrase, in bytes, rounded up.
const headOverhead = 64

// readHeaders takes the headers in the order of their names: JSON has none.
func (a *Answer) readHeaders(m map[string]json.RawMessage, multiValue bool) error {
	headers, err := headersOf(m, multiValue)
	if err != nil {
		return err
	}
	size := headOverhead + len(a.Reason)
	for _, name := range slices.Sorted(maps.Keys(headers)) {
		for _, value := range headers[name] {
			if err := a.addField(name, value); err != nil {
				return err
			}
			size += len(name) + len(value) + len(": \r\n")
		}
	}
	if size > http1.MaxResponseHead || len(a.Fields) > http1.MaxFields {
		return fmt.Errorf("%d headers of %d bytes, limits are %d and %d", len(a.Fields), size,
			http1.MaxFields, http1.MaxResponseHead)
	}
	return nil
}

// headersOf decodes the member that fits the mode: names with a string each, or with lists of
// strings.
func headersOf(m map[string]json.RawMessage, multiValue bool) (map[string][]string, error) {
	which := "headers"
	if multiValue {
		which = "multiValueHeaders"
	}
	var raw map[string]json.RawMessage
	if err := member(m, which, &raw); err != nil {
		return nil, err
	}
	headers := map[string][]string{}
	for name, value := range raw {
		values := []json.RawMessage{value}
		if multiValue {
			if err := member(raw, name, &values); err != nil {
				return nil, err
			}
		}
		for _, v := range values {
			var s string
			if err := member(map[string]json.RawMessage{name: v}, name, &s); err != nil {
				return nil, err
			}
			headers[name] = append(headers[name], s)
		}
	}
	return headers, nil
}

// addField checks a header and adds it, unless it is about the connection or the length, which are
// the load balancer's to say.
func (a *Answer) addField(name, value string) error {
	f := http1.Field{Name: []byte(name), Value: bytes.Trim([]byte(value), " \t")}
	if !http1.IsToken(f.Name) {
		return fmt.Errorf("header name %q", name)
	}
	if !isText(f.Value) {
		return fmt.Errorf("value of header %s has control characters", name)
	}
	f.Kind = http1.KindOf(f.Name)
	if !f.Kind.HopByHop() && f.Kind != http1.ContentLength {
		a.Fields = append(a.Fields, f)
	}
	return nil
}

// isText says whether no character of b can end a line or a field.
func isText(b []byte) bool {
	return !slices.ContainsFunc(b, func(c byte) bool { return c < ' ' && c != '\t' || c == 0x7f })
}
