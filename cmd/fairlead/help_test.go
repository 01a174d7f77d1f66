package main

import (
	"strings"
	"testing"

	"github.com/spf13/cobra"

	"fairlead/internal/lb"
	"fairlead/internal/lb/lbfile"
)

// TestExampleOfLB holds the example in the help text to the format.
func TestExampleOfLB(t *testing.T) {
	file, group, _ := strings.Cut(lbHelp, "A target group of the type lambda")
	for what, text := range map[string]string{
		"example": braces(file), "group": `{"listeners": [], "target_groups": [` + braces(group) + `]}`,
	} {
		f, err := lbfile.Parse([]byte(text))
		if err != nil {
			t.Fatalf("the %s in `fairlead lb --help` is refused: %v", what, err)
		}
		spec, err := f.Spec()
		if err == nil {
			_, err = lb.Compile(spec)
		}
		if err != nil {
			t.Errorf("the %s in `fairlead lb --help` is refused: %v", what, err)
		}
	}
}

// braces is the text from the first brace to the last.
func braces(s string) string {
	return s[strings.IndexByte(s, '{') : strings.LastIndexByte(s, '}')+1]
}

// TestEveryCommandTeaches holds every command and flag to an explanation.
func TestEveryCommandTeaches(t *testing.T) {
	var visit func(*cobra.Command)
	visit = func(c *cobra.Command) {
		if c.Short == "" {
			t.Errorf("%s has no short help", c.CommandPath())
		}
		for _, sub := range c.Commands() {
			visit(sub)
		}
	}
	visit(rootCommand())
}

func TestCheckListen(t *testing.T) {
	tests := []struct {
		address string
		keys    bool
		ok      bool
	}{
		{"127.0.0.1:4566", false, true},
		{"localhost:4566", false, true},
		{"[::1]:4566", false, true},
		{"0.0.0.0:4566", false, false},
		{":4566", false, false},
		{"10.1.2.3:4566", false, false},
		{"10.1.2.3:4566", true, true},
		{"127.0.0.1", true, false},
	}
	for _, tt := range tests {
		if err := checkListen(tt.address, tt.keys); (err == nil) != tt.ok {
			t.Errorf("checkListen(%q, keys %v) = %v, want ok %v", tt.address, tt.keys, err, tt.ok)
		}
	}
}

func TestParseKeys(t *testing.T) {
	keys, err := parseKeys([]string{"AKID:secret", "OTHER:s:210987654321"})
	if err != nil || keys["AKID"].Secret != "secret" || keys["OTHER"].Account != "210987654321" {
		t.Errorf("parsed to %v, %v", keys, err)
	}
	for _, bad := range []string{"", "AKID", "AKID:", ":secret", "A:b:12", "A:b:210987654321:x"} {
		if _, err := parseKeys([]string{bad}); err == nil {
			t.Errorf("%q was accepted", bad)
		} else if bad != "" && strings.Contains(err.Error(), "secret") {
			t.Errorf("the error shows the secret: %v", err)
		}
	}
}

func TestQuote(t *testing.T) {
	if got := quote("it's"); got != `'it'\''s'` {
		t.Errorf("quoted to %s", got)
	}
}

func TestParsePool(t *testing.T) {
	if pool, err := parsePool("127.9.3.0/16"); err != nil || pool.String() != "127.9.0.0/16" {
		t.Errorf("parsed to %v, %v", pool, err)
	}
	for _, bad := range []string{"", "127.0.0.0/8", "127.0.0.1/32", "fd00::/8", "10.0.0.0"} {
		if _, err := parsePool(bad); err == nil {
			t.Errorf("%q was accepted", bad)
		}
	}
}

func TestLambdaEndpoint(t *testing.T) {
	o := options{listen: "127.0.0.1:4566", logLevel: "info", dataDir: t.TempDir()}
	for endpoint, ok := range map[string]bool{
		"": true, "http://127.0.0.1:3001": true, "127.0.0.1:3001": false, "http://h?a=b": false,
	} {
		o.lambdaEndpoint = endpoint
		if _, err := o.config(); (err == nil) != ok ||
			err != nil && !strings.Contains(err.Error(), "--lambda-endpoint") {
			t.Errorf("%q: %v", endpoint, err)
		}
	}
}
