package lb

import (
	"os/exec"
	"testing"

	"golang.org/x/sys/unix"
)

// The limit is raised for this process and not for those that it starts.
func TestRaiseFileLimit(t *testing.T) {
	ofChild := func() string {
		out, err := exec.Command("sh", "-c", "ulimit -Sn; ulimit -Hn").Output()
		if err != nil {
			t.Fatal(err)
		}
		return string(out)
	}
	before := ofChild()
	got := RaiseFileLimit()
	var lim unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &lim); err != nil {
		t.Fatal(err)
	}
	if got != lim.Cur || lim.Cur != lim.Max {
		t.Errorf("raised to %d; the limits are %d and %d", got, lim.Cur, lim.Max)
	}
	if after := ofChild(); after != before {
		t.Errorf("a child has the limits %q, before %q", after, before)
	}
}
