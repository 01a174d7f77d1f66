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
	"strings"
	"time"
)

// lab is a data plane with its targets.
type lab struct {
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

// spawn starts this program in a role.
func spawn(ctx context.Context, role string, args ...string) (*child, error) {
	cmd := exec.CommandContext(ctx, "/proc/self/exe", append([]string{"-role", role, "--"}, args...)...)
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

func newLab(ctx context.Context, idle time.Duration) (*lab, error) {
	l := &lab{}
	var err error
	if l.targets, err = spawn(ctx, "targets"); err != nil {
		return nil, err
	}
	var where map[string]string
	if err := l.targets.read(&where); err != nil {
		return nil, errors.Join(err, l.close())
	}
	if l.proxy, err = spawn(ctx, "proxy", idle.String()); err != nil {
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
