package node

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// maxEvent is the size of the longest log event in bytes; longer lines are split.
	// https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/cloudwatch_limits_cwl.html
	maxEvent = 256 << 10
	// tailFast and tailSlow bound the pause between two looks at a log: the pause doubles while
	// nothing is written.
	tailFast = 50 * time.Millisecond
	tailSlow = time.Second
	// punchEvery is how many shipped bytes are given back to the file system at a time.
	punchEvery = 1 << 20
)

// tail ships what a container appends to its log file. What was shipped is remembered in a file
// beside the log and punched out of it, so that the log takes no space and nothing is shipped twice
// after a restart, but for what was shipped in the instant before a crash.
type tail struct {
	path   string
	ship   func(ctx context.Context, events []LogEvent) error
	now    func() time.Time
	logger *slog.Logger
	finish chan struct{} // closed: read to the end, then return
	done   chan struct{}

	offset, punched int64
}

func (t *tail) run(ctx context.Context) {
	defer close(t.done)
	if err := t.load(); err != nil {
		t.logger.Error("read the position in a container's log", "path", t.path, "err", err)
	}
	pause, said := tailFast, ""
	for finishing := false; ; {
		n, err := t.read(ctx, finishing)
		if err != nil && ctx.Err() == nil && err.Error() != said {
			said = err.Error() // the same trouble, once a second, is said once
			t.logger.Warn("ship a container's log", "path", t.path, "err", err)
		}
		switch {
		case n > 0 && err == nil:
			pause = tailFast
			continue
		case finishing:
			return
		}
		select {
		case <-ctx.Done():
			return
		case <-t.finish:
			finishing = true
		case <-time.After(pause):
			pause = min(2*pause, tailSlow)
		}
	}
}

// read ships what stands behind the offset, at most maxEvent bytes, and returns how many it took.
func (t *tail) read(ctx context.Context, last bool) (int, error) {
	f, err := os.OpenFile(t.path, os.O_RDWR, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	defer f.Close()
	buf := make([]byte, maxEvent)
	n, err := f.ReadAt(buf, t.offset)
	if err != nil && err != io.EOF {
		return 0, err
	}
	used, events := t.split(buf[:n], last)
	if len(events) > 0 {
		if err := t.ship(ctx, events); err != nil {
			return 0, fmt.Errorf("append %d events: %w", len(events), err)
		}
	}
	if used == 0 {
		return 0, nil
	}
	t.offset += int64(used)
	t.punch(f)
	return used, t.save()
}

// split cuts buf into events at line ends and returns how many bytes they take. A line without an
// end is left for later unless it fills the buffer or is the last.
func (t *tail) split(buf []byte, last bool) (used int, events []LogEvent) {
	now := t.now()
	for used < len(buf) {
		rest := buf[used:]
		i := bytes.IndexByte(rest, '\n')
		switch {
		case i >= 0:
			used += i + 1
		case last || len(rest) == maxEvent:
			i = len(rest)
			used += i
		default:
			return used, events
		}
		line := strings.TrimSuffix(strings.ToValidUTF8(string(rest[:i]), "\uFFFD"), "\r")
		if line != "" { // CloudWatch Logs has no empty events
			events = append(events, LogEvent{Time: now, Message: line})
		}
	}
	return used, events
}

// punch gives the space of shipped bytes back; a file system that cannot do it keeps them.
func (t *tail) punch(f *os.File) {
	if t.offset-t.punched < punchEvery {
		return
	}
	const mode = unix.FALLOC_FL_PUNCH_HOLE | unix.FALLOC_FL_KEEP_SIZE
	unix.Fallocate(int(f.Fd()), mode, 0, t.offset)
	t.punched = t.offset
}

func (t *tail) offsetPath() string { return t.path + ".offset" }

func (t *tail) load() error {
	raw, err := os.ReadFile(t.offsetPath())
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	t.offset, err = strconv.ParseInt(string(raw), 10, 64)
	return err
}

func (t *tail) save() error {
	return os.WriteFile(t.offsetPath(), strconv.AppendInt(nil, t.offset, 10), 0o644)
}
