package lb

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
)

// The transforms of a rule come after the validation, also when that had to wait, and the log shows
// what was executed.
func TestTransformBehindValidation(t *testing.T) {
	addr := startTarget(t, func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, r.URL.Path) })
	for _, c := range []struct {
		replace, authorization, body, actions string
		status                                int
	}{
		{"/new", bearer(""), "/new", "jwt-validation,rewrite,forward", 200},
		{"no path", bearer(""), "", "jwt-validation", 500},
		{"/new", "", "", "jwt-validation", 401},
	} {
		i := newIssuer(t, nil)
		f := guarded(t, Config{RootCAs: i.roots()}, addr, i.guard(), func(l *Listener) {
			l.Rules = []Rule{{Priority: 1, Actions: l.Default, Conditions: []Condition{{
				Field: PathPattern, Values: []string{"/*"}}}, Transforms: []Transform{{
				Type: URLRewrite, Regex: "^/.*", Replace: c.replace}}}}
		})
		status, body := f.answer(false, c.authorization)
		if status != c.status || c.body != "" && body != c.body {
			t.Errorf("%d %q, want %d %q", status, body, c.status, c.body)
		}
		if rs := f.allRecords(); len(rs) != 1 || rs[0].Actions != c.actions {
			t.Errorf("records %+v, want actions %s", rs, c.actions)
		}
	}
}

// A function gets the whole body of a request that had to wait for its keys.
func TestFunctionBehindValidation(t *testing.T) {
	g := startFunction(t, func(w http.ResponseWriter, e *lambdaEvent) {
		fmt.Fprintf(w, `{"statusCode": 200, "body": %q}`, e.Body)
	})
	for _, h2 := range []bool{false, true} {
		i, release := heldIssuer(t)
		f := guardedGroup(t, Config{RootCAs: i.roots()}, g, i.guard())
		req, err := http.NewRequest("POST", "https://"+f.addr()+"/", strings.NewReader("body"))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Authorization", bearer(""))
		req.Header.Set("Content-Type", "text/plain")
		go func() {
			waitFor(t, func() bool { return i.asked.Load() == 1 })
			release()
		}()
		resp, err := httpsClient(t, h2).Do(req)
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if err != nil || resp.StatusCode != 200 || string(got) != "body" {
			t.Errorf("HTTP/2 %v: %d %q %v", h2, resp.StatusCode, got, err)
		}
		if rs := f.allRecords(); len(rs) != 1 || rs[0].Actions != "jwt-validation,forward" {
			t.Errorf("records %+v", rs)
		}
	}
}
