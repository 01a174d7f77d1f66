package wiretest

import (
	"encoding/json"
	"encoding/xml"
	"flag"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"fairlead/internal/aws"
)

var update = flag.Bool("update", false, "write what the scripts answer into them")

// Scripts runs the calls in testdata/*.txt and compares the answers. A line is
//
//	> Action PARAMETERS       a call; parameters are a JSON object, or a query service's form
//	> Action@ACCESSKEY …      the same by another caller, e.g. by another account
//	# …                       a comment
//
// and what follows a call is its answer: leaves as path=value, or "! status code: message". What
// hidden matches is written as its first group's name and a number, by order of first appearance,
// and may be used so in later calls. serve makes the router's handler, anew for each script.
func Scripts(
	t *testing.T, api *aws.API, hidden *regexp.Regexp, serve func(t *testing.T) http.Handler,
) {
	paths, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(paths) == 0 {
		t.Fatalf("no scripts: %v", err)
	}
	for _, path := range paths {
		t.Run(strings.TrimSuffix(filepath.Base(path), ".txt"), func(t *testing.T) {
			want, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			p := &player{api: api, handler: serve(t), hidden: hidden, names: map[string]string{}}
			got := p.play(t, string(want))
			if *update {
				err = os.WriteFile(path, []byte(got), 0o644)
			} else if got != string(want) {
				t.Errorf("answers differ; run with -update and look at the diff\n%s",
					firstDifference(string(want), got))
			}
			if err != nil {
				t.Fatal(err)
			}
		})
	}
}

func firstDifference(want, got string) string {
	w, g := strings.Split(want, "\n"), strings.Split(got, "\n")
	call := ""
	for i := range min(len(w), len(g)) {
		if strings.HasPrefix(w[i], "> ") {
			call = w[i]
		}
		if w[i] != g[i] {
			return fmt.Sprintf("%s\nline %d\nwant %s\ngot  %s", call, i+1, w[i], g[i])
		}
	}
	return "one ends before the other"
}

type player struct {
	api     *aws.API
	handler http.Handler
	hidden  *regexp.Regexp
	names   map[string]string // what is hidden -> its name
	count   map[string]int
}

func (p *player) play(t *testing.T, script string) string {
	t.Helper()
	p.count = map[string]int{}
	var out strings.Builder
	for line := range strings.Lines(script) {
		switch {
		case strings.HasPrefix(line, "> "):
			out.WriteString(line)
			out.WriteString(p.call(t, strings.TrimSpace(line[2:])))
		case strings.HasPrefix(line, "#"), strings.TrimSpace(line) == "":
			out.WriteString(line)
		}
	}
	return out.String()
}

// call makes one call and returns its answer as lines.
func (p *player) call(t *testing.T, line string) string {
	t.Helper()
	for value, name := range p.names {
		line = strings.ReplaceAll(line, name, value)
	}
	action, parameters, _ := strings.Cut(line, " ")
	action, key, _ := strings.Cut(action, "@")
	if key == "" {
		key = "AKID"
	}
	body := parameters
	if p.api.Protocol != aws.AWSJSON11 {
		body = "Action=" + action + "&Version=" + p.api.Version + "&" + parameters
	}
	req := httptest.NewRequest("POST", "/", strings.NewReader(body))
	if p.api.Protocol == aws.AWSJSON11 {
		req.Header.Set("X-Amz-Target", p.api.TargetPrefix+"."+action)
	}
	req.Header.Set("X-Amz-Date", "20260102T030405Z")
	req.Header.Set("Authorization", "AWS4-HMAC-SHA256 Credential="+key+"/20260102/eu-west-1/"+
		p.api.SigningName+"/aws4_request, SignedHeaders=host, Signature=00")
	w := httptest.NewRecorder()
	p.handler.ServeHTTP(w, req)
	return p.hide(p.render(t, w))
}

// hide names what differs from run to run.
func (p *player) hide(answer string) string {
	return p.hidden.ReplaceAllStringFunc(answer, func(value string) string {
		if name, ok := p.names[value]; ok {
			return name
		}
		groups := p.hidden.FindStringSubmatchIndex(value)
		for i, group := range p.hidden.SubexpNames() {
			if group != "" && groups[2*i] >= 0 {
				p.count[group]++
				p.names[value] = "<" + group + strconv.Itoa(p.count[group]) + ">"
			}
		}
		return p.names[value]
	})
}

func (p *player) render(t *testing.T, w *httptest.ResponseRecorder) string {
	t.Helper()
	var lines []string
	if p.api.Protocol == aws.AWSJSON11 {
		lines = jsonLeaves(t, w.Body.Bytes())
	} else {
		lines = xmlLeaves(t, w.Body.String())
	}
	if w.Code == http.StatusOK {
		return strings.Join(lines, "")
	}
	return fmt.Sprintf("! %d %s: %s\n", w.Code,
		leaf(lines, "__type=", "Error.Code="), leaf(lines, "message=", "Error.Message="))
}

func leaf(lines []string, prefixes ...string) string {
	for _, line := range lines {
		for _, prefix := range prefixes {
			if value, ok := strings.CutPrefix(line, prefix); ok {
				return strings.TrimSpace(value)
			}
		}
	}
	return ""
}

func jsonLeaves(t *testing.T, body []byte) []string {
	t.Helper()
	d := json.NewDecoder(strings.NewReader(string(body)))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil {
		t.Fatalf("%s: %v", body, err)
	}
	var lines []string
	jsonWalk("", v, &lines)
	slices.Sort(lines)
	return lines
}

func jsonWalk(path string, v any, lines *[]string) {
	switch v := v.(type) {
	case map[string]any:
		for name, value := range v {
			jsonWalk(path+"."+name, value, lines)
		}
		if len(v) == 0 && path != "" {
			*lines = append(*lines, path[1:]+"={}\n")
		}
	case []any:
		for i, value := range v {
			jsonWalk(fmt.Sprintf("%s.%03d", path, i+1), value, lines)
		}
		if len(v) == 0 {
			*lines = append(*lines, path[1:]+"=[]\n")
		}
	default:
		*lines = append(*lines, fmt.Sprintf("%s=%v\n", path[1:], v))
	}
}

// xmlLeaves leaves out the two outermost elements and the request's id.
func xmlLeaves(t *testing.T, body string) []string {
	t.Helper()
	d := xml.NewDecoder(strings.NewReader(body))
	type level struct {
		path, text string
		members    int
		parent     bool
	}
	stack := []*level{{}}
	var lines []string
	for depth := 0; ; {
		token, err := d.Token()
		if err == io.EOF {
			return lines
		}
		if err != nil {
			t.Fatalf("%s: %v", body, err)
		}
		top := stack[len(stack)-1]
		switch token := token.(type) {
		case xml.StartElement:
			depth++
			top.parent = true
			name := token.Name.Local
			if name == "member" {
				top.members++
				name = strconv.Itoa(top.members)
			}
			path := ""
			if depth > 2 || name == "Error" {
				path = strings.TrimPrefix(top.path+"."+name, ".")
			}
			stack = append(stack, &level{path: path})
		case xml.CharData:
			top.text += string(token)
		case xml.EndElement:
			depth--
			stack = stack[:len(stack)-1]
			if !top.parent && top.path != "" && top.path != "RequestId" {
				lines = append(lines, top.path+"="+top.text+"\n")
			}
		}
	}
}
