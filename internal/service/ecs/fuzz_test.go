package ecs

import (
	"strconv"
	"testing"
)

// FuzzToken: no page token makes a list panic, and every token of ours leads on.
func FuzzToken(f *testing.F) {
	for _, seed := range []string{"", "!", pageToken(1, "a"), pageToken(99, "z"), "LTEgYQ"} {
		f.Add(seed)
	}
	items := []string{"a", "b", "c"}
	f.Fuzz(func(t *testing.T, token string) {
		start, err := resume(items, itself, token)
		if err == nil && (start < 0 || start > len(items)) {
			t.Errorf("token %q begins at %d", token, start)
		}
		for i, item := range items {
			if at, err := resume(items, itself, pageToken(i+1, item)); err != nil || at != i+1 {
				t.Errorf("our token for %s begins at %d, %v", item, at, err)
			}
		}
	})
}

// FuzzSize: whatever is taken for a size is a positive number that reads as itself again.
func FuzzSize(f *testing.F) {
	for _, seed := range []string{"256", "1 vCPU", ".5vcpu", "1e9 vcpu", "NaN vcpu", "-1", "0"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, s string) {
		n, ok := parseSize(s, "vcpu")
		if !ok {
			return
		}
		if again, ok := parseSize(strconv.Itoa(n), "vcpu"); n <= 0 || !ok || again != n {
			t.Errorf("%q is %d, which reads as %d", s, n, again)
		}
	})
}
