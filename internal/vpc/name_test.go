package vpc

import (
	"encoding/json"
	"net/netip"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

func TestNamesFit(t *testing.T) {
	h := &Host{cfg: Config{Name: "abcd"}}
	long := strings.Repeat("x", maxID)
	for _, name := range []string{bridgeName(long), portName(long), h.uplinkName(long)} {
		if len(name) >= unix.IFNAMSIZ {
			t.Errorf("%s has %d characters", name, len(name))
		}
	}
}

// TestNotesFit writes the longest notes: they must fit into an alias.
func TestNotesFit(t *testing.T) {
	long := strings.Repeat("x", maxID)
	a := addr("255.255.255.255")
	for _, note := range []any{
		subnetNote{long, prefix("255.255.255.240/28"), true},
		uplinkNote{long, a},
		eniNote{a, a, a, []netip.Addr{a, a, a, a}, true},
	} {
		b, err := json.Marshal(note)
		must(t, err)
		if len(b) > maxAlias {
			t.Errorf("%s has %d bytes", b, len(b))
		}
	}
}

func TestOffset(t *testing.T) {
	for _, c := range []struct {
		net  string
		n    uint32
		want string
	}{
		{"10.0.0.0/16", 2, "10.0.0.2"},
		{"10.0.1.77/24", 1, "10.0.1.1"},
		{"198.18.0.0/15", 31 << 12, "198.19.240.0"},
	} {
		if got := offset(netip.MustParsePrefix(c.net), c.n); got != addr(c.want) {
			t.Errorf("offset(%s, %d) = %s, want %s", c.net, c.n, got, c.want)
		}
	}
}

func FuzzReadNote(f *testing.F) {
	f.Add(`{"subnet":"subnet-1","cidr":"10.0.1.0/24","public":true}`)
	f.Add(`{"addr":"10.0.1.5","public":"127.9.8.7","transit":"198.18.0.3","check":true}`)
	f.Add(`{"vpc":"vpc-1","transit":"198.18.0.2"}`)
	f.Add(`{"addr":"::1"}`)
	f.Add(``)
	f.Fuzz(func(t *testing.T, alias string) {
		if n, err := readNote[subnetNote](alias); err == nil {
			again(t, n)
		}
		if n, err := readNote[eniNote](alias); err == nil {
			again(t, n)
		}
		if n, err := readNote[uplinkNote](alias); err == nil {
			again(t, n)
		}
	})
}

// again writes an accepted note, which must be accepted and written the same way again.
func again[T interface{ check() error }](t *testing.T, note T) {
	first, err := json.Marshal(note)
	must(t, err)
	second, err := readNote[T](string(first))
	must(t, err)
	b, err := json.Marshal(second)
	must(t, err)
	if string(b) != string(first) {
		t.Errorf("%s became %s", first, b)
	}
}
