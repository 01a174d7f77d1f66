package elbv2_test

import (
	"encoding/xml"
	"flag"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	api "fairlead/internal/api/elbv2"
	"fairlead/internal/row"
	"fairlead/internal/service/elbv2"
	"fairlead/internal/state"
	"fairlead/internal/state/statetest"
)

// updating tells whether to rewrite the answers in testdata. Package wiretest defines the flag.
func updating() bool { return flag.Lookup("update").Value.String() == "true" }

// TestScripts runs testdata/*.txt, each in a world of its own; functions can be invoked in that of
// lambda.txt only. A script is a list of steps:
//
//	CreateTargetGroup Name=web Port=80 … -> Port Matcher    a call, and which members to show
//	let tg TargetGroups.1.TargetGroupArn                    a name for a member of the last answer
//	health $tg 10.0.1.7 80 healthy [reason]                 what the balancer controller would write
//	rows                                                    how many rows there are, by table
//
// The answer stands under the step as lines that begin with two spaces: PATH: VALUE, or !CODE:
// MESSAGE. Values that have a name are shown as $name. A -> * shows everything. In a step, $$ is a
// dollar sign.
func TestScripts(t *testing.T) {
	scripts, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(scripts) == 0 {
		t.Fatalf("no scripts: %v", err)
	}
	for _, path := range scripts {
		t.Run(strings.TrimSuffix(filepath.Base(path), ".txt"), func(t *testing.T) {
			want, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			name := filepath.Base(path)
			got := newScript(t, elbv2.Config{Lambda: name == "lambda.txt"}).run(string(want))
			if updating() {
				if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			} else if got != string(want) {
				t.Error(firstDifference(string(want), got))
			}
		})
	}
}

// script is a run of one script.
type script struct {
	t      *testing.T
	store  *state.Store
	router http.Handler
	vars   map[string]string // by name
	answer []member          // of the last call
}

// member is a leaf of an XML answer; lists are numbered from 1, without the element "member".
type member struct{ path, value string }

func newScript(t *testing.T, cfg elbv2.Config) *script {
	store, router := worldOf(t, cfg)
	return &script{t: t, store: store, router: router, vars: map[string]string{}}
}

func (s *script) run(text string) string {
	var out strings.Builder
	for line := range strings.Lines(text) {
		if strings.HasPrefix(line, "  ") {
			continue // an expected answer
		}
		out.WriteString(line)
		if step := strings.TrimSpace(line); step != "" && !strings.HasPrefix(step, "#") {
			for _, l := range s.step(step) {
				out.WriteString("  " + l + "\n")
			}
		}
	}
	return out.String()
}

func (s *script) step(line string) []string {
	command, show, _ := strings.Cut(line, " -> ")
	args := s.words(command)
	switch args[0] {
	case "let":
		s.vars[args[1]] = s.member(args[2])
		return nil
	case "health":
		return s.health(args[1:])
	case "rows":
		return s.rows()
	}
	return s.call(args[0], args[1:], strings.Fields(show))
}

var word = regexp.MustCompile(`(?:[^\s']+|'[^']*')+`)

// words splits a step at blanks outside of quotes and puts in the values of variables.
func (s *script) words(line string) []string {
	var words []string
	for _, w := range word.FindAllString(line, -1) {
		w = os.Expand(strings.ReplaceAll(w, "'", ""), func(name string) string {
			if name == "$" {
				return name
			}
			value, ok := s.vars[name]
			if !ok {
				s.t.Fatalf("%s: no variable %s", line, name)
			}
			return value
		})
		words = append(words, w)
	}
	return words
}

func (s *script) member(path string) string {
	for _, m := range s.answer {
		if m.path == path {
			return m.value
		}
	}
	s.t.Fatalf("the last answer has no member %s: %v", path, s.answer)
	return ""
}

// call makes a call. Arguments are as in the AWS CLI's shorthand of query parameters: A.1.B=value
// stands for A.member.1.B.
func (s *script) call(op string, args, show []string) []string {
	form := url.Values{"Action": {op}, "Version": {api.API.Version}}
	for _, a := range args {
		key, value, ok := strings.Cut(a, "=")
		if !ok {
			s.t.Fatalf("%s: argument %q has no value", op, a)
		}
		form.Set(numbered.ReplaceAllString(key, ".member.$1"), value)
	}
	body, err := send(s.router, form)
	if err != nil {
		s.t.Fatal(err)
	}
	s.answer = flatten(s.t, body)
	if len(s.answer) > 0 && strings.HasPrefix(s.answer[0].path, "Error.") {
		return []string{"!" + s.member("Error.Code") + ": " + s.hide(s.member("Error.Message"))}
	}
	var lines []string
	for _, m := range s.answer {
		if slices.ContainsFunc(show, func(want string) bool { return shown(m.path, want) }) {
			lines = append(lines, m.path+": "+s.hide(m.value))
		}
	}
	return joinAttributes(lines)
}

// joinAttributes puts the key and the value of an attribute on one line.
func joinAttributes(lines []string) (joined []string) {
	for _, l := range lines {
		path, value, _ := strings.Cut(l, ": ")
		if strings.HasPrefix(path, "Attributes.") && strings.HasSuffix(path, ".Value") {
			joined[len(joined)-1] += " = " + value
			continue
		}
		if strings.HasPrefix(path, "Attributes.") {
			l = value
		}
		joined = append(joined, l)
	}
	return joined
}

var numbered = regexp.MustCompile(`\.(\d+)`)

// shown tells whether a member is among those asked for: by the end of its path without numbers, or
// by a part that it is in.
func shown(path, want string) bool {
	bare := "." + numbered.ReplaceAllString(path, "") + "."
	return want == "*" || strings.Contains(bare, "."+want+".")
}

var (
	timestamp = regexp.MustCompile(`\d{4}-\d\d-\d\dT[\d:.]+Z`)
	randomID  = regexp.MustCompile(`\b([0-9a-f]{16,17})\b|-\d{10}\.`)
)

// hide replaces what differs from run to run: values of variables, times, ids.
func (s *script) hide(value string) string {
	names := slices.SortedFunc(maps.Keys(s.vars), func(a, b string) int { // longest value first
		return len(s.vars[b]) - len(s.vars[a])
	})
	for _, n := range names {
		value = strings.ReplaceAll(value, s.vars[n], "$"+n)
	}
	value = timestamp.ReplaceAllString(value, "<time>")
	return randomID.ReplaceAllStringFunc(value, func(id string) string {
		if id[0] == '-' {
			return "-<digits>."
		}
		return "<id>"
	})
}

func (s *script) health(args []string) []string {
	port, err := strconv.Atoi(args[2])
	if err != nil {
		s.t.Fatal(err)
	}
	h := row.TargetHealth{TargetGroup: args[0], ID: args[1], Port: port, State: args[3]}
	if len(args) > 4 {
		h.Reason, h.Description = args[4], "seen by a probe"
	}
	statetest.Update(s.t, s.store, func(tx *state.Tx) { row.TargetHealths.Put(tx, h) })
	return nil
}

func (s *script) rows() []string {
	v := s.store.View()
	return []string{fmt.Sprintf("%d load balancers, %d listeners, %d rules, %d groups, %d targets, "+
		"%d interfaces", row.LoadBalancers.Len(v), row.Listeners.Len(v), row.Rules.Len(v),
		row.TargetGroups.Len(v), row.Targets.Len(v), row.NetworkInterfaces.Len(v))}
}

// send makes a call of the query protocol.
func send(router http.Handler, form url.Values) (string, error) {
	req := httptest.NewRequest("POST", "http://localhost/", strings.NewReader(form.Encode()))
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Header.Set("X-Amz-Date", "20260102T030405Z")
	req.Header.Set("Authorization", "AWS4-HMAC-SHA256 Credential=123456789012/20260102/eu-west-1/"+
		"elasticloadbalancing/aws4_request, SignedHeaders=host;x-amz-date, Signature=00")
	w := httptest.NewRecorder()
	router.ServeHTTP(w, req)
	body, err := io.ReadAll(w.Result().Body)
	return string(body), err
}

// flatten lists the leaves of an answer, without the elements around the result.
func flatten(t *testing.T, body string) []member {
	decoder := xml.NewDecoder(strings.NewReader(body))
	var out []member
	var path []string
	counts := map[string]int{}
	text, leaf := "", false
	for {
		token, err := decoder.Token()
		if err == io.EOF {
			return out
		}
		if err != nil {
			t.Fatalf("%v in %s", err, body)
		}
		switch token := token.(type) {
		case xml.StartElement:
			name := token.Name.Local
			if name == "member" {
				at := strings.Join(path, ".")
				counts[at]++
				name = strconv.Itoa(counts[at])
			}
			path, text, leaf = append(path, name), "", true
		case xml.CharData:
			text += string(token)
		case xml.EndElement:
			if leaf && len(path) > 2 && path[1] != "ResponseMetadata" || path[0] == "ErrorResponse" && leaf {
				from := 2
				if path[0] == "ErrorResponse" {
					from = 1
				}
				out = append(out, member{strings.Join(path[from:], "."), text})
			}
			path, leaf = path[:len(path)-1], false
		}
	}
}

func firstDifference(want, got string) string {
	w, g := strings.Split(want, "\n"), strings.Split(got, "\n")
	for i := range max(len(w), len(g)) {
		a, b := "(end)", "(end)"
		if i < len(w) {
			a = w[i]
		}
		if i < len(g) {
			b = g[i]
		}
		if a != b {
			context := strings.Join(g[max(0, i-6):min(i, len(g))], "\n")
			return fmt.Sprintf("line %d, after\n%s\nwant %s\ngot  %s\n(-update rewrites)", i+1, context, a, b)
		}
	}
	return ""
}
