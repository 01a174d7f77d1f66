package daemon

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// How long Start and Stop wait, and how Run paces itself.
const (
	readyTimeout = 20 * time.Second
	stopTimeout  = 10 * time.Second
	minBackoff   = 50 * time.Millisecond
	maxBackoff   = 10 * time.Second
	// steadyAfter is how long a containerd must have lived for the next restart to be at once.
	steadyAfter = 10 * time.Second
	// maxLogSize in bytes, above which the log file is put aside at the next start.
	maxLogSize = 10 << 20
)

// Config says which containerd to keep running. Exec and Data are required.
type Config struct {
	// Exec is the command that ends in ServeContainerd; Options.Args are appended.
	Exec []string
	// Data is the absolute path of the directory that keeps images and snapshots.
	Data string
	// Run is the absolute path of the directory of sockets and running containers, which a
	// restart of the machine may empty. It is at most 40 bytes long, for sockets below it
	// have limits. Empty is one in /run/fairlead, by the hash of Data.
	Run string
	// Log receives what happens to the process; nil is slog.Default.
	Log *slog.Logger
}

// defaultRun is where the Run directories are unless Config says otherwise.
const defaultRun = "/run/fairlead"

// maxRunLength in bytes keeps Run/s within containerd's limit for its shim sockets.
const maxRunLength = 40

// Daemon is one running containerd process, not necessarily a child of ours.
type Daemon struct {
	config   Config
	options  Options
	children sync.WaitGroup
}

// Start returns when the containerd of config answers: the one that runs, or a new one.
func Start(ctx context.Context, config Config) (*Daemon, error) {
	d, err := newDaemon(config)
	if err != nil {
		return nil, err
	}
	if err := d.ensure(ctx); err != nil {
		return nil, err
	}
	return d, nil
}

func newDaemon(config Config) (*Daemon, error) {
	if config.Run == "" {
		config.Run = filepath.Join(defaultRun, hash(config.Data))
	}
	if config.Log == nil {
		config.Log = slog.Default()
	}
	switch {
	case len(config.Exec) == 0:
		return nil, errors.New("start containerd: no command")
	case !filepath.IsAbs(config.Data) || !filepath.IsAbs(config.Run):
		return nil, fmt.Errorf("start containerd: %q and %q must be absolute", config.Data, config.Run)
	case len(config.Run) > maxRunLength:
		return nil, fmt.Errorf("start containerd: %q is longer than %d bytes", config.Run, maxRunLength)
	}
	return &Daemon{config: config, options: Options{
		Root:    config.Data,
		State:   config.Run,
		Address: filepath.Join(config.Run, "containerd.sock"),
		Notify:  true,
	}}, nil
}

func hash(path string) string {
	return fmt.Sprintf("%x", sha256.Sum256([]byte(path)))[:12]
}

// Address is the unix socket that containerd serves.
func (d *Daemon) Address() string { return d.options.Address }

// RunDir is the directory of what a restart of the machine ends; OCI runtimes keep theirs in it.
func (d *Daemon) RunDir() string { return d.options.State }

// Pid is the process that serves now; 0 is none.
func (d *Daemon) Pid() int {
	file, err := os.Open(pidFile(d.options.State))
	if err != nil {
		return 0
	}
	defer file.Close()
	if err := unix.Flock(int(file.Fd()), unix.LOCK_SH|unix.LOCK_NB); err == nil {
		return 0
	}
	var pid int
	if _, err := fmt.Fscan(file, &pid); err != nil {
		return 0
	}
	return pid
}

// Run keeps containerd running until ctx is done, and leaves it running then.
func (d *Daemon) Run(ctx context.Context) error {
	backoff := minBackoff
	for ctx.Err() == nil {
		since := time.Now()
		if pid := d.Pid(); pid != 0 {
			waitProcess(ctx, pid)
		}
		if time.Since(since) > steadyAfter {
			backoff = minBackoff
		}
		if ctx.Err() != nil {
			break
		}
		d.config.Log.Warn("containerd ended, starting it again", "after", backoff)
		if !sleep(ctx, backoff) {
			break
		}
		backoff = min(2*backoff, maxBackoff)
		// Not ended by ctx: one that has been started again stays, and tasks may be counting on it.
		if err := d.ensure(context.WithoutCancel(ctx)); err != nil {
			d.config.Log.Error("start containerd again", "error", err)
		}
	}
	return nil
}

// Stop ends the process, gracefully at first. Containers go on. Run must have returned before.
func (d *Daemon) Stop(ctx context.Context) error {
	for _, signal := range []syscall.Signal{syscall.SIGTERM, syscall.SIGKILL} {
		pid := d.Pid()
		if pid == 0 {
			break
		}
		if err := syscall.Kill(pid, signal); err != nil && !errors.Is(err, syscall.ESRCH) {
			return fmt.Errorf("stop containerd %d: %w", pid, err)
		}
		patience, cancel := context.WithTimeout(ctx, stopTimeout)
		waitProcess(patience, pid)
		cancel()
	}
	d.children.Wait()
	return ctx.Err()
}

// Remove stops containerd and deletes everything of it: images, snapshots, mounts, sockets.
// The containers must have been deleted before.
func (d *Daemon) Remove(ctx context.Context) error {
	if err := d.Stop(ctx); err != nil {
		return err
	}
	dirs := []string{d.options.State, d.options.Root}
	if err := unmountBelow(dirs); err != nil {
		return err
	}
	var errs []error
	for _, dir := range dirs {
		errs = append(errs, os.RemoveAll(dir))
	}
	_ = os.Remove(defaultRun) // if it is empty
	return errors.Join(errs...)
}

// ensure returns when containerd answers.
func (d *Daemon) ensure(ctx context.Context) error {
	if d.Pid() != 0 {
		return d.waitSocket(ctx)
	}
	if _, err := exec.LookPath("runc"); err != nil {
		d.config.Log.Warn("runc is not installed: no container will start", "error", err)
	}
	return d.spawn(ctx)
}

// waitSocket waits for a containerd that is not our child, and may have just begun.
func (d *Daemon) waitSocket(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, readyTimeout)
	defer cancel()
	for {
		conn, err := new(net.Dialer).DialContext(ctx, "unix", d.options.Address)
		if err == nil {
			return conn.Close()
		}
		if !sleep(ctx, 5*time.Millisecond) {
			return fmt.Errorf("connect to containerd %d: %w", d.Pid(), err)
		}
	}
}

// spawn starts containerd in a session of its own, so that nothing sent to Fairlead's process
// group reaches it, and waits until it says that it is ready.
func (d *Daemon) spawn(ctx context.Context) error {
	for _, dir := range []string{d.options.Root, d.options.State} {
		if err := os.MkdirAll(dir, 0o711); err != nil {
			return fmt.Errorf("start containerd: %w", err)
		}
	}
	output, err := d.openLog()
	if err != nil {
		return err
	}
	defer output.Close()
	ready, tell, err := os.Pipe()
	if err != nil {
		return fmt.Errorf("start containerd: %w", err)
	}
	defer ready.Close()
	cmd := d.command(output, tell)
	err = cmd.Start()
	tell.Close()
	if err != nil {
		return fmt.Errorf("start containerd: %w", err)
	}
	d.children.Go(func() { _ = cmd.Wait() })
	return d.waitReady(ctx, ready, cmd.Process)
}

func (d *Daemon) command(output, tell *os.File) *exec.Cmd {
	args := append(d.config.Exec[1:len(d.config.Exec):len(d.config.Exec)], d.options.Args()...)
	cmd := exec.Command(d.config.Exec[0], args...)
	cmd.Args[0] = "fairlead" // what ps shows for /proc/self/exe
	cmd.Dir = "/"
	// Not our environment: it may hold secrets, and every shim would inherit them.
	cmd.Env = []string{"PATH=" + searchPath(os.Getenv("PATH"))}
	cmd.Stdout, cmd.Stderr = output, output
	cmd.ExtraFiles = []*os.File{tell}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	return cmd
}

// searchPath adds where runc, iptables and mount live to a PATH that may lack the system's.
func searchPath(path string) string {
	system := "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
	return strings.TrimPrefix(path+":"+system, ":")
}

// waitReady reads the one byte that the child writes when its sockets answer.
func (d *Daemon) waitReady(ctx context.Context, ready *os.File, child *os.Process) error {
	stop := context.AfterFunc(ctx, func() { _ = ready.SetReadDeadline(time.Now()) })
	defer stop()
	if err := ready.SetReadDeadline(time.Now().Add(readyTimeout)); err != nil {
		return fmt.Errorf("wait for containerd: %w", err)
	}
	_, err := io.ReadFull(ready, make([]byte, 1))
	if err == nil {
		return nil
	}
	_ = child.Kill()
	d.children.Wait()
	return fmt.Errorf("containerd did not get ready (%w): %s", err, lastLine(d.logFile()))
}

func (d *Daemon) logFile() string { return filepath.Join(d.options.Root, "containerd.log") }

func (d *Daemon) openLog() (*os.File, error) {
	path := d.logFile()
	if info, err := os.Stat(path); err == nil && info.Size() > maxLogSize {
		if err := os.Rename(path, path+".1"); err != nil {
			return nil, fmt.Errorf("put containerd's log aside: %w", err)
		}
	}
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open containerd's log: %w", err)
	}
	return file, nil
}

// lastLine of a log is what a process said before it died.
func lastLine(path string) string {
	text, err := os.ReadFile(path)
	if err != nil {
		return err.Error()
	}
	lines := strings.Split(strings.TrimSpace(string(text)), "\n")
	return lines[len(lines)-1]
}

func sleep(ctx context.Context, d time.Duration) bool {
	select {
	case <-ctx.Done():
		return false
	case <-time.After(d):
		return true
	}
}
