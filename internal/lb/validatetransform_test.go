package lb

import (
	"io"
	"net/http"
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
