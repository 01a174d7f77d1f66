// Package wiretest lets botocore, the library under the AWS CLI and boto3, judge our codecs: for
// every operation of a service botocore writes a request with every member set and reads an answer
// with every member set. Both sides make the same sample of a shape by the same rule, so that
// neither trusts what the other understood.
package wiretest

import (
	"cmp"
	"context"
	_ "embed"
	"encoding/json"
	"fmt"
	"net/http/httptest"
	"os/exec"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"fairlead/internal/aws"
	"fairlead/internal/wire"
)

//go:embed boto.py
var script string

// Echo is a service whose operations compare their input with the sample and answer with the
// sample of their output.
type Echo struct {
	api    aws.API
	router *wire.Router
	skip   []string
}

// NewEcho returns the service of an API without operations. Its inputs are not held to the model's
// limits, which a sample does not know. The members called as skip says are left out of every
// sample: botocore may be older than they are.
func NewEcho(api *aws.API, skip ...string) *Echo {
	e := &Echo{api: *api, router: wire.NewRouter(wire.Config{}), skip: append(skip, "DryRun")}
	e.api.OwnLimits = true
	return e
}

// Serve adds an operation.
func Serve[In, Out any](e *Echo, op aws.Operation[In, Out]) {
	op.API = &e.api
	wire.Handle(e.router, op, func(_ context.Context, in *In) (*Out, error) {
		want, out := new(In), new(Out)
		e.fill(reflect.ValueOf(want).Elem(), "", nil)
		e.fill(reflect.ValueOf(out).Elem(), "", nil)
		if !reflect.DeepEqual(in, want) {
			got, _ := json.Marshal(in)
			wanted, _ := json.Marshal(want)
			return nil, aws.NewFault("Mismatch", "got  %s\nwant %s", got, wanted)
		}
		return out, nil
	})
}

// Run lets botocore call every operation. It skips where there is no python3 with botocore.
func (e *Echo) Run(t *testing.T) {
	python, err := exec.LookPath("python3")
	if err != nil {
		t.Skip("there is no python3")
	}
	if out, err := exec.Command(python, "-c", "import botocore").CombinedOutput(); err != nil {
		t.Skipf("python3 has no botocore: %s", out)
	}
	server := httptest.NewServer(e.router)
	defer server.Close()
	for _, protocol := range append(e.api.Also, e.api.Protocol) {
		t.Run(string(protocol), func(t *testing.T) { e.run(t, python, server.URL, protocol) })
	}
}

// botoNames are the services that botocore does not call by their signing name.
var botoNames = map[string]string{"elbv2": "elbv2", "cloudwatch": "cloudwatch"}

func (e *Echo) run(t *testing.T, python, url string, protocol aws.Protocol) {
	service := cmp.Or(botoNames[e.api.Name], e.api.SigningName)
	cmd := exec.CommandContext(t.Context(), python, "-", string(protocol), service, e.api.Version, url,
		strings.Join(e.skip, ","))
	cmd.Args = append(cmd.Args, e.api.Operations...)
	cmd.Stdin = strings.NewReader(script)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	want := fmt.Sprintf("%d operations", len(e.api.Operations))
	if !strings.Contains(string(out), want) {
		t.Errorf("got %s, want %s", out, want)
	}
}

var sampleTime = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

// fill makes v the sample of its type: a string is the name of its member, an enumeration its first
// value, a list or map has one element, and a structure within itself is left out.
func (e *Echo) fill(v reflect.Value, name string, within []reflect.Type) {
	switch {
	case v.Type() == reflect.TypeFor[time.Time]():
		v.Set(reflect.ValueOf(sampleTime))
	case v.Type() == reflect.TypeFor[[]byte]():
		v.SetBytes([]byte(name))
	case v.Kind() == reflect.Struct:
		for i := range v.NumField() {
			f := v.Type().Field(i)
			member, _, _ := strings.Cut(f.Tag.Get("json"), ",")
			if !recursive(f.Type, append(within, v.Type())) && !e.skips(f.Name, member) {
				e.fill(v.Field(i), member, append(within, v.Type()))
			}
		}
	case v.Kind() == reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		e.fill(v.Elem(), name, within)
	case v.Kind() == reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 1, 1))
		e.fill(v.Index(0), name, within)
	case v.Kind() == reflect.Map:
		elem, key := reflect.New(v.Type().Elem()).Elem(), reflect.New(v.Type().Key()).Elem()
		e.fill(elem, name, within)
		e.fill(key, "key", within)
		v.Set(reflect.MakeMap(v.Type()))
		v.SetMapIndex(key, elem)
	default:
		fillScalar(v, name)
	}
}

// skips tells whether a member is left out, by its name in the model or on the wire.
func (e *Echo) skips(name, wire string) bool {
	return slices.Contains(e.skip, name) || slices.Contains(e.skip, wire)
}

func fillScalar(v reflect.Value, name string) {
	switch v.Kind() {
	case reflect.String:
		if enum, ok := v.Interface().(interface{ Values() []string }); ok {
			name = enum.Values()[0]
		}
		v.SetString(name)
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Float64:
		v.SetFloat(1.5)
	default:
		v.SetInt(int64(len(name)))
	}
}

// recursive reports whether a member of type t leads straight back into what it is in.
func recursive(t reflect.Type, within []reflect.Type) bool {
	for t.Kind() == reflect.Pointer || t.Kind() == reflect.Slice || t.Kind() == reflect.Map {
		t = t.Elem()
	}
	for _, outer := range within {
		if t == outer {
			return true
		}
	}
	return false
}
