package e2e

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"

	"fairlead/internal/lb/handover"
)

// takeOvers is how often a Fairlead takes over from another in a row.
const takeOvers = 3

// TestTakeOver has one Fairlead after another take over under load, which loses nothing: no request
// to the services, whatever it is doing then, and no call of the APIs.
func TestTakeOver(t *testing.T) {
	notes := listenNotes(t)
	s := start(t).bringUp(nil)
	s.launched = map[int]bool{s.cmd.Process.Pid: true}
	s.drainFor("30")
	s.endGrace()
	t.Run("in a row", s.takeOverInARow)
	t.Run("a deployment goes on", s.takeOverDeployment)
	t.Run("a successor fails", s.failingSuccessor)
	t.Run("unasked", s.secondServe)
	t.Run("SIGUSR2", func(t *testing.T) { s.in(t).restartBySignal(notes) })
}

func (s *stack) takeOverInARow(t *testing.T) {
	s = s.in(t)
	if err := s.write(t.Context()); err != nil {
		t.Fatal(err)
	}
	answers, pids, tasks := s.answers(t), s.pids(), s.taskIDs()
	l, calls, slow := s.site.begin(t), s.beginCalls(t), s.slowly(t)
	var old []*exec.Cmd
	for range takeOvers {
		old = append(old, s.takeOver())
	}
	for _, cmd := range old {
		if err := cmd.Wait(); err != nil {
			t.Errorf("a predecessor ended with %v", err)
		}
	}
	if err := <-slow; err != nil {
		t.Errorf("the request that lasted longer than all of it: %v", err)
	}
	calls.finish(t)
	l.finish(t)
	sameAnswers(t, s.answers(t), answers)
	if got := s.pids(); !maps.Equal(got, pids) {
		t.Errorf("the processes are %v, want, as before, %v", got, pids)
	}
	if got := s.taskIDs(); !maps.Equal(got, tasks) {
		t.Errorf("the tasks are %v, want, as before, %v", got, tasks)
	}
	s.probedTwice()
}

// takeOver starts a Fairlead that takes over and returns the process that it takes over from, which
// still lets its clients leave.
func (f *fairlead) takeOver() *exec.Cmd {
	f.t.Helper()
	old, ready := f.cmd, strings.Count(f.log.String(), "msg=ready")
	args := append([]string{"serve", "--data-dir", f.dir, "--allow-reset", "--takeover"}, f.args...)
	f.cmd = exec.Command(os.Getenv("FAIRLEAD_BIN"), args...)
	f.cmd.Stdout, f.cmd.Stderr = f.log, f.log
	if err := f.cmd.Start(); err != nil {
		f.cmd = old
		f.t.Fatal(err)
	}
	f.launched[f.cmd.Process.Pid] = true
	f.awaitReady(ready + 1)
	return old
}

func (f *fairlead) awaitReady(n int) {
	f.t.Helper()
	eventually(f.t, "the successor is ready", func() error {
		if got := strings.Count(f.log.String(), "msg=ready"); got < n {
			return fmt.Errorf("ready %d times, want %d:\n%s", got, n, f.log)
		}
		return nil
	})
}

// slowly makes a request whose answer takes longer than several take-overs.
func (s *stack) slowly(t *testing.T) <-chan error {
	client := s.site.client(t, false, true)
	client.Timeout = patience
	ended := make(chan error, 1)
	begun := make(chan struct{})
	go func() {
		close(begun)
		resp, err := client.Get("https://www.twtech.test/?sleep=8s")
		if err == nil {
			if resp.Body.Close(); resp.StatusCode != 200 {
				err = errors.New(resp.Status)
			}
		}
		ended <- err
	}()
	<-begun
	return ended
}

// beginCalls calls the API again and again, with the retries that the SDK makes by default.
func (s *stack) beginCalls(t *testing.T) *load {
	l := &load{failures: map[string]int{}}
	ctx, cancel := context.WithCancel(context.Background())
	var calling sync.WaitGroup
	calling.Go(func() {
		for n := 0; ctx.Err() == nil; n++ {
			l.note("DescribeServices", s.call(n))
			time.Sleep(10 * time.Millisecond) // a rate, not a wait
		}
	})
	l.stop = sync.OnceFunc(func() { cancel(); calling.Wait() })
	t.Cleanup(l.stop)
	return l
}

// call reads, and writes every now and then.
func (s *stack) call(n int) error {
	ctx := context.Background()
	if n%8 == 0 {
		return s.write(ctx)
	}
	out, err := s.ecs.DescribeServices(ctx, &ecs.DescribeServicesInput{
		Cluster: new(cluster), Services: []string{webService},
	})
	if err == nil && (len(out.Services) != 1 || out.Services[0].RunningCount < 2) {
		err = fmt.Errorf("DescribeServices returns %+v", out.Services)
	}
	return err
}

// write writes the same again and again.
func (s *stack) write(ctx context.Context) error {
	_, err := s.ecs.TagResource(ctx, &ecs.TagResourceInput{
		ResourceArn: new("arn:aws:ecs:us-east-1:123456789012:cluster/" + cluster),
		Tags:        []types.Tag{{Key: new("written"), Value: new("meanwhile")}},
	})
	return err
}

// takeOverDeployment takes over in the middle of a rolling deployment: targets drain while requests
// to them are in flight in the process that ends.
func (s *stack) takeOverDeployment(t *testing.T) {
	s = s.in(t)
	l, before := s.site.begin(t), s.taskIDs()
	s.update(func(in *ecs.UpdateServiceInput) { in.ForceNewDeployment = true })
	var old []*exec.Cmd
	for range takeOvers {
		old = append(old, s.takeOver())
	}
	s.replaced(before)
	for _, cmd := range old {
		if err := cmd.Wait(); err != nil {
			t.Errorf("a predecessor ended with %v", err)
		}
	}
	l.finish(t)
}

// failingSuccessor takes everything and dies before it serves: the predecessor goes on.
func (s *stack) failingSuccessor(t *testing.T) {
	s = s.in(t)
	l, calls, ready := s.site.begin(t), s.beginCalls(t), strings.Count(s.log.String(), "msg=ready")
	conn, err := handover.Dial(filepath.Join(s.fairlead.dir, "takeover"))
	if err != nil || conn == nil {
		t.Fatalf("nobody listens: %v", err)
	}
	sockets, err := conn.Receive()
	if err == nil {
		err = conn.Tell("prepared")
	}
	if err == nil {
		err = conn.Await("released", patience)
	}
	if err != nil {
		t.Fatal(err)
	}
	for _, socket := range sockets {
		for _, f := range socket.Files {
			f.Close()
		}
	}
	conn.Close()
	s.awaitReady(ready + 1)
	s.probedTwice()
	calls.finish(t)
	l.finish(t)
}

// secondServe is refused, for it does not ask to take over.
func (s *stack) secondServe(t *testing.T) {
	out, err := exec.Command(os.Getenv("FAIRLEAD_BIN"), "serve", "--data-dir", s.fairlead.dir).CombinedOutput()
	if err == nil || !strings.Contains(string(out), "another fairlead runs") ||
		!strings.Contains(string(out), "--takeover") {
		t.Errorf("a second serve: %v\n%s", err, out)
	}
}

// restartBySignal has Fairlead start its successor itself, and looks what systemd is told.
func (s *stack) restartBySignal(notes *net.UnixConn) {
	l, old, pids := s.site.begin(s.t), s.cmd, s.pids()
	if err := old.Process.Signal(syscall.SIGUSR2); err != nil {
		s.t.Fatal(err)
	}
	pid := 0
	for note := ""; note == "" || s.launched[pid]; {
		note = readNote(s.t, notes)
		if _, err := fmt.Sscanf(note, "READY=1\nMAINPID=%d", &pid); err != nil {
			s.t.Fatalf("%q: %v", note, err)
		}
	}
	// Not Wait of the command: the successor has its output.
	if state, err := old.Process.Wait(); err != nil || !state.Success() {
		s.t.Errorf("the predecessor ended with %v, %v", state, err)
	}
	s.cmd = nil
	l.finish(s.t)
	if got := s.pids(); !maps.Equal(got, pids) {
		s.t.Errorf("the processes are %v, want, as before, %v", got, pids)
	}
	if err := syscall.Kill(pid, syscall.SIGTERM); err != nil {
		s.t.Fatal(err)
	}
	eventually(s.t, "the successor has ended", func() error {
		if syscall.Kill(pid, 0) == nil {
			return errors.New("it runs")
		}
		return nil
	})
}

// listenNotes plays systemd: it sets NOTIFY_SOCKET for the instances of this test.
func listenNotes(t *testing.T) *net.UnixConn {
	t.Helper()
	path := filepath.Join(t.TempDir(), "notify")
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	t.Setenv("NOTIFY_SOCKET", path)
	return conn
}

func readNote(t *testing.T, notes *net.UnixConn) string {
	t.Helper()
	b := make([]byte, 1<<10)
	notes.SetReadDeadline(time.Now().Add(patience))
	n, err := notes.Read(b)
	if err != nil {
		t.Fatal(err)
	}
	return string(b[:n])
}
