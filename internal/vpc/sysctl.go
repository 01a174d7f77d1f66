package vpc

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
)

// sysctl is a setting of the calling thread's network namespace.
type sysctl struct {
	name     string // with slashes: net/ipv4/ip_forward
	value    string
	optional bool // not every kernel has it
}

// set writes the value unless it is there already: a read-only /proc/sys with the right values will
// do.
func (s sysctl) set() error {
	old, err := readSysctl(s.name)
	if s.optional && errors.Is(err, fs.ErrNotExist) || err == nil && old == s.value {
		return nil
	}
	if err := os.WriteFile("/proc/sys/"+s.name, []byte(s.value), 0); err != nil {
		return fmt.Errorf("set sysctl %s to %s (is /proc/sys writable?): %w", s.name, s.value, err)
	}
	return nil
}

func readSysctl(name string) (string, error) {
	b, err := os.ReadFile("/proc/sys/" + name)
	if err != nil {
		return "", fmt.Errorf("read sysctl %s: %w", name, err)
	}
	return strings.TrimSpace(string(b)), nil
}
