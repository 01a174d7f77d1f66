package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// lab is a data plane with its targets.
type lab struct {
	apart          bool // the data plane has a core of its own
	targets, proxy *child
	at             addresses
}

// addresses are where a data plane listens.
type addresses struct{ HTTP, HTTPS, Admin string }

// child is this program in another role.
type child struct {
	cmd *exec.Cmd
	in  io.WriteCloser
	out *bufio.Reader
}

// Where the roles are when they are apart: the data plane has a core of its own, and what surrounds it
// another. There, good clients and targets go first as soon as they have something to do, for latencies
// are not to include the work of the abusers.
const (
	proxyCore = 0
	labCore   = 1
)

// place are the flags that say where a role is.
func (l *lab) place(role string) []string {
	if !l.apart {
		return nil
	}
	switch role {
	case "proxy":
		return []string{"-core", strconv.Itoa(proxyCore)}
	case "abuse":
		return []string{"-core", strconv.Itoa(labCore)}
	}
	return []string{"-core", strconv.Itoa(labCore), "-first"}
}

// settle puts this process on a core, unless it is negative, and before all usual ones there if it goes
// first, which takes privileges; without them it shares the core. Threads that exist are moved one by
// one; later ones follow those that start them.
func settle(core int, first bool) error {
	if core < 0 {
		return nil
	}
	threads, err := os.ReadDir("/proc/self/task")
	if err != nil {
		return err
	}
	var set unix.CPUSet
	set.Set(core)
	for _, t := range threads {
		id, err := strconv.Atoi(t.Name())
		if err != nil {
			return err
		}
		if err := unix.SchedSetaffinity(id, &set); err != nil {
			return fmt.Errorf("move thread to core %d: %w", core, err)
		}
		if !first {
			continue
		}
		attr := unix.SchedAttr{Size: unix.SizeofSchedAttr, Policy: unix.SCHED_RR, Priority: 1}
		if err := unix.SchedSetAttr(id, &attr, 0); err != nil && !errors.Is(err, unix.EPERM) {
			return fmt.Errorf("set priority of thread: %w", err)
		}
	}
	return nil
}

// spawn starts this program in a role.
func (l *lab) spawn(ctx context.Context, role string, args ...string) (*child, error) {
	flags := append([]string{"-role", role}, l.place(role)...)
	cmd := exec.CommandContext(ctx, "/proc/self/exe", append(append(flags, "--"), args...)...)
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start role %s: %w", role, err)
	}
	return &child{cmd, in, bufio.NewReader(out)}, nil
}

// read reads one line of JSON.
func (c *child) read(v any) error {
	line, err := c.out.ReadString('\n')
	if err != nil {
		return fmt.Errorf("read from %s: %w", strings.Join(c.cmd.Args, " "), err)
	}
	return json.Unmarshal([]byte(line), v)
}

// say writes a line.
func (c *child) say(line string) error {
	_, err := io.WriteString(c.in, line+"\n")
	return err
}

// end closes the child's input, which makes every role end, and waits for it.
func (c *child) end() error {
	if c == nil {
		return nil
	}
	return errors.Join(c.in.Close(), c.cmd.Wait())
}

func newLab(ctx context.Context, idle time.Duration, apart bool) (*lab, error) {
	l := &lab{apart: apart && runtime.NumCPU() > 1}
	var err error
	if l.targets, err = l.spawn(ctx, "targets"); err != nil {
		return nil, err
	}
	var where map[string]string
	if err := l.targets.read(&where); err != nil {
		return nil, errors.Join(err, l.close())
	}
	if l.proxy, err = l.spawn(ctx, "proxy", idle.String()); err != nil {
		return nil, errors.Join(err, l.close())
	}
	text, err := json.Marshal(where)
	if err == nil {
		err = l.proxy.say(string(text))
	}
	if err == nil {
		err = l.proxy.read(&l.at)
	}
	if err != nil {
		return nil, errors.Join(err, l.close())
	}
	return l, nil
}

func (l *lab) close() error { return errors.Join(l.proxy.end(), l.targets.end()) }

// vitals are what a data plane shows of itself.
type vitals struct {
	Heap       int64 // bytes in use after a collection
	Resident   int64 // bytes
	Goroutines int
	Files      int
	Clients    int            // connections
	Statuses   map[string]int // of finished requests, since the last look
}

func (l *lab) vitals() (v vitals, err error) {
	resp, err := http.Get("http://" + l.at.Admin + "/vitals")
	if err != nil {
		return v, err
	}
	defer resp.Body.Close()
	return v, json.NewDecoder(resp.Body).Decode(&v)
}

// reload has the data plane swap its table.
func (l *lab) reload() error {
	resp, err := http.Post("http://"+l.at.Admin+"/reload", "", nil)
	if err != nil {
		return err
	}
	return resp.Body.Close()
}
