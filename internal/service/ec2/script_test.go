package ec2_test

import (
	"encoding/xml"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"

	"fairlead/internal/eni"
	"fairlead/internal/row"
	"fairlead/internal/service/ec2"
	"fairlead/internal/state"
	"fairlead/internal/wire"
)

var update = flag.Bool("update", false, "write what the scripts answer into them")

// TestScripts runs the calls in testdata over HTTP and compares the answers. A line "> Action
// Name=value …" is a call; a value with spaces stands in double quotes. The lines after it are the
// answer: its leaves as path=value, or "! status code: message". Ids are counted by kind in the
// order of their first appearance, so vpc-1 in a script is the first VPC that it has seen.
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
			got := play(t, string(want), 0)
			if *update {
				if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			} else if got != string(want) {
				t.Errorf("answers differ; run with -update and look at the diff\n%s",
					firstDifference(string(want), got))
			}
		})
	}
}

// TestScriptsWithRestarts sees that the answers are the same when the store is closed and opened
// between calls.
func TestScriptsWithRestarts(t *testing.T) {
	for _, name := range []string{"default", "group", "interface", "route"} {
		t.Run(name, func(t *testing.T) {
			want, err := os.ReadFile("testdata/" + name + ".txt")
			if err != nil {
				t.Fatal(err)
			}
			if got := play(t, string(want), 9); got != string(want) {
				t.Error(firstDifference(string(want), got))
			}
		})
	}
}

// play runs a script and returns it with the answers that it got. It restarts the service after so
// many calls, never for 0.
func play(t *testing.T, script string, restartAfter int) string {
	c := newClient(t)
	var out strings.Builder
	answered := false
	calls := 0
	for line := range strings.Lines(script) {
		switch {
		case strings.HasPrefix(line, "> "):
			out.WriteString(line)
			out.WriteString(c.call(t, strings.TrimSpace(line[2:])))
			answered = true
			if calls++; restartAfter > 0 && calls%restartAfter == 0 {
				c.restart(t)
			}
		case strings.HasPrefix(line, "#") || strings.TrimSpace(line) == "":
			out.WriteString(line)
			answered = false
		case !answered:
			t.Fatalf("line %q is neither call nor answer nor comment", line)
		}
	}
	return out.String()
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

// client speaks EC2's protocol to a router with nothing but the service in it.
type client struct {
	url   string
	dir   string
	serve atomic.Pointer[wire.Router]
	store *state.Store
	names map[string]string // real id -> counted id
	ids   map[string]string // counted id -> real id
	count map[string]int    // by kind
}

func newClient(t *testing.T) *client {
	t.Helper()
	c := &client{
		dir: t.TempDir(), names: map[string]string{}, ids: map[string]string{},
		count: map[string]int{},
	}
	c.open(t)
	t.Cleanup(func() { c.store.Close() })
	pool := netip.MustParsePrefix("127.9.9.8/31")
	if _, err := eni.EnsurePool(t.Context(), c.store, pool); err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c.serve.Load().ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	c.url = server.URL
	return c
}

func (c *client) open(t *testing.T) {
	t.Helper()
	store, err := state.Open(t.Context(), state.Config{Dir: c.dir, NoSync: true}, row.Tables()...)
	if err != nil {
		t.Fatal(err)
	}
	router := wire.NewRouter(wire.Config{})
	ec2.New(store).Register(router)
	c.store = store
	c.serve.Store(router)
}

func (c *client) restart(t *testing.T) {
	t.Helper()
	if err := c.store.Close(); err != nil {
		t.Fatal(err)
	}
	c.open(t)
}

var (
	realID    = regexp.MustCompile(`\b(vpc-cidr-assoc|eni-attach|[a-z]+)-[0-9a-f]{17}\b`)
	countedID = regexp.MustCompile(`\b(vpc-cidr-assoc|eni-attach|[a-z]+)-[0-9]{1,2}\b`)
	varying   = regexp.MustCompile(`\b06(:[0-9a-f]{2}){5}\b|\b127\.9\.9\.\d`)
	word      = regexp.MustCompile(`[^ "]*"[^"]*"|[^ ]+`)
)

// call makes one call and returns its answer as lines.
func (c *client) call(t *testing.T, line string) string {
	t.Helper()
	form := url.Values{"Version": {"2016-11-15"}}
	region := "eu-west-1"
	for i, w := range word.FindAllString(line, -1) {
		if i == 0 {
			form.Set("Action", w)
			continue
		}
		name, value, _ := strings.Cut(w, "=")
		value = countedID.ReplaceAllStringFunc(strings.Trim(value, `"`), func(id string) string {
			if real, ok := c.ids[id]; ok {
				return real
			}
			return id
		})
		if name == "@region" {
			region = value
			continue
		}
		form.Set(name, value)
	}
	return c.tidy(c.post(t, form, region))
}

func (c *client) post(t *testing.T, form url.Values, region string) string {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), "POST", c.url,
		strings.NewReader(form.Encode()))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Header.Set("Authorization", "AWS4-HMAC-SHA256 Credential=test/20260101/"+region+
		"/ec2/aws4_request, SignedHeaders=host, Signature="+strings.Repeat("0", 64))
	req.Header.Set("X-Amz-Date", "20260101T000000Z")
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	leaves, err := leavesOf(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	if res.StatusCode == http.StatusOK {
		return strings.Join(leaves, "")
	}
	var code, message string
	for _, leaf := range leaves {
		path, value, _ := strings.Cut(strings.TrimSuffix(leaf, "\n"), "=")
		switch {
		case strings.HasSuffix(path, "Code"):
			code = value
		case strings.HasSuffix(path, "Message"):
			message = value
		}
	}
	return fmt.Sprintf("! %d %s: %s\n", res.StatusCode, code, message)
}

// tidy counts the ids and hides what is different in every run.
func (c *client) tidy(answer string) string {
	answer = varying.ReplaceAllString(answer, "-")
	return realID.ReplaceAllStringFunc(answer, func(id string) string {
		if name, ok := c.names[id]; ok {
			return name
		}
		kind := id[:strings.LastIndexByte(id, '-')]
		c.count[kind]++
		name := fmt.Sprintf("%s-%d", kind, c.count[kind])
		c.names[id], c.ids[name] = name, id
		return name
	})
}

// leavesOf flattens a document to lines path=value, without the root and the request's id. Items of
// a list are told apart by their number.
func leavesOf(r io.Reader) (leaves []string, err error) {
	var path []string
	var text string
	items := map[string]int{}
	leaf := false
	for d := xml.NewDecoder(r); ; {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			return leaves, nil
		}
		if err != nil {
			return nil, err
		}
		switch token := token.(type) {
		case xml.StartElement:
			name := token.Name.Local
			if name == "item" {
				list := strings.Join(path, ".")
				items[list]++
				name = fmt.Sprint(items[list])
			}
			path, text, leaf = append(path, name), "", true
			delete(items, strings.Join(path, "."))
		case xml.CharData:
			text += string(token)
		case xml.EndElement:
			if leaf && len(path) > 1 && !strings.EqualFold(path[1], "requestId") {
				leaves = append(leaves, strings.Join(path[1:], ".")+"="+text+"\n")
			}
			path, leaf = path[:len(path)-1], false
		}
	}
}
