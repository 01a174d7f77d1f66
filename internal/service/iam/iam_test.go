package iam

import (
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	api "fairlead/internal/api/iam"
	"fairlead/internal/row"
	"fairlead/internal/state/statetest"
	"fairlead/internal/wire"
	"fairlead/internal/wire/wiretest"
)

func TestScripts(t *testing.T) {
	hidden := regexp.MustCompile(`(?P<role>\bAROA[A-Z2-7]{17}\b)|(?P<policy>\bANPA[A-Z2-7]{17}\b)` +
		`|(?P<uuid>\b[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\b)`)
	wiretest.Scripts(t, &api.API, hidden, func(t *testing.T) http.Handler {
		s := New(statetest.Open(t, row.Tables()...))
		s.now = func() time.Time { return time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC) }
		r := wire.NewRouter(wire.Config{})
		s.Register(r)
		return r
	})
}

func TestManagedPoliciesAreWellFormed(t *testing.T) {
	all := managedPolicies()
	if len(all) != len(managed()) {
		t.Errorf("%d of %d have an ARN that is found again", len(all), len(managed()))
	}
	for _, p := range all {
		if p.Name == "" {
			t.Errorf("a policy without a name: %+v", p)
		}
		if d := p.Versions[0].Document; d != "" && checkPolicy(d) != nil {
			t.Errorf("%s: %v", p.Name, checkPolicy(d))
		}
	}
}

func TestPages(t *testing.T) {
	all := strings.Split("abcdefg", "")
	var got []string
	var marker *string
	for {
		list, next, truncated, err := page(all, itself, marker, new(int32(3)))
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, strings.Join(list, ""))
		if *truncated != (next != nil) {
			t.Errorf("truncated %v, marker %v", *truncated, next)
		}
		if marker = next; marker == nil {
			break
		}
	}
	if s := strings.Join(got, "|"); s != "abc|def|g" {
		t.Errorf("got %s", s)
	}
	if _, _, _, err := page(all, itself, new("?"), nil); err == nil {
		t.Error("any marker is accepted")
	}
}

func FuzzDocument(f *testing.F) {
	for _, seed := range []string{
		`{"Statement":{"Effect":"Allow","Action":"*","Resource":"*"}}`,
		`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["sts:AssumeRole"],` +
			`"Principal":{"Service":"ecs-tasks.amazonaws.com"}}]}`, `[]`, `{"Statement":[]}`, ``,
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, document string) {
		if checkTrust(document) == nil && checkPolicy(document) == nil {
			t.Errorf("both a trust policy and an identity's: %s", document)
		}
	})
}
