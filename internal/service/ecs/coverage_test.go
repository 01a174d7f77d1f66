package ecs_test

import (
	"os"
	"strings"
	"testing"

	api "fairlead/internal/api/ecs"
)

// TestCoverageTable holds the README to what the router answers: every operation of the model is in
// the table, and those that are said not to be served are exactly those without a handler.
func TestCoverageTable(t *testing.T) {
	text, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	said := map[string]string{} // state by operation
	for line := range strings.Lines(string(text)) {
		cells := strings.Split(line, "|")
		if len(cells) != 5 {
			continue
		}
		for name := range strings.SplitSeq(cells[1], ",") {
			said[strings.TrimSpace(name)] = strings.TrimSpace(cells[2])
		}
	}
	w := newWorld(t)
	for _, op := range api.API.Operations {
		state, ok := said[op]
		if !ok {
			t.Errorf("%s is not in the table", op)
			continue
		}
		_, out := w.call(op, `{}`)
		unknown := out["__type"] == "UnknownOperationException"
		if unknown != (state == "not served") {
			t.Errorf("%s is said to be %s, and the router answers %v", op, state, out)
		}
	}
}
