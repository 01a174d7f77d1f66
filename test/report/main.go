// Report reads the output of `go test -json` and prints what `go test` prints, and besides every
// skipped test with its reason:
//
//	go test -json ./... | go run ./test/report
//
// It fails when a test or a package failed.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"
)

func main() {
	failed, err := report(os.Stdin, os.Stdout)
	if err != nil {
		fmt.Fprintln(os.Stderr, "report:", err)
		os.Exit(2)
	}
	if failed {
		os.Exit(1)
	}
}

// event is one line of `go test -json`; see `go doc test2json`.
type event struct {
	Action  string
	Package string
	Test    string
	Output  string
}

// maxLine is the longest line of output in bytes.
const maxLine = 1 << 20

// report prints failures and skips as they come, then what go test says of each package. Lines that
// are not JSON, such as those of a failed build, are passed on.
func report(in io.Reader, out io.Writer) (failed bool, err error) {
	said := map[string]*strings.Builder{} // by package and test, until its end is known
	lines := bufio.NewScanner(in)
	lines.Buffer(nil, maxLine)
	for lines.Scan() {
		var e event
		if json.Unmarshal(lines.Bytes(), &e) != nil {
			fmt.Fprintln(out, lines.Text())
			continue
		}
		key := e.Package + " " + e.Test
		switch e.Action {
		case "output", "build-output":
			if said[key] == nil {
				said[key] = new(strings.Builder)
			}
			said[key].WriteString(e.Output)
		case "pass", "fail", "skip", "build-fail":
			failed = failed || strings.HasSuffix(e.Action, "fail")
			if text := said[key]; text != nil {
				fmt.Fprint(out, worth(e, text.String()))
			}
			delete(said, key)
		}
	}
	return failed, lines.Err()
}

// worth is what of a test's or a package's output is printed.
func worth(e event, text string) string {
	if e.Test != "" && e.Action == "pass" {
		return ""
	}
	var kept strings.Builder
	for line := range strings.Lines(text) {
		quiet := strings.HasPrefix(line, "=== ") || e.Action != "fail" && line == "PASS\n"
		if !quiet {
			kept.WriteString(line)
		}
	}
	return kept.String()
}
