package network

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

func TestFailuresBackOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fs := failures{}
		var pauses []time.Duration
		for range 12 {
			if !fs.due("eni-1") {
				t.Fatal("not due after its pause")
			}
			fs.add("eni-1", errors.New("no room"))
			next, ok := fs.next()
			if !ok || fs.due("eni-1") {
				t.Fatal("due at once after a failure")
			}
			pauses = append(pauses, time.Until(next))
			time.Sleep(time.Until(next))
		}
		if pauses[0] != firstPause || pauses[1] != 2*firstPause || pauses[11] != lastPause {
			t.Errorf("pauses %v", pauses)
		}
	})
}

func TestFailuresAreNewsOnce(t *testing.T) {
	fs := failures{}
	for i, step := range []struct {
		text string
		news bool
	}{{"no room", true}, {"no room", false}, {"no light", true}, {"no light", false}} {
		if got := fs.add("eni-1", errors.New(step.text)); got != step.news {
			t.Errorf("step %d: news %v, want %v", i, got, step.news)
		}
	}
	if !fs.forget("eni-1") || fs.forget("eni-1") {
		t.Error("forget does not tell whether there was a failure")
	}
	if _, ok := fs.next(); ok {
		t.Error("a retry is due with no failures")
	}
}

func TestNextIsTheEarliest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fs := failures{}
		fs.add("eni-1", errors.New("x"))
		fs.add("eni-1", errors.New("x"))
		fs.add("eni-2", errors.New("x"))
		if next, _ := fs.next(); time.Until(next) != firstPause {
			t.Errorf("next retry in %v, want %v", time.Until(next), firstPause)
		}
	})
}
