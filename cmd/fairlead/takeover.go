package main

import (
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"syscall"
	"time"

	"fairlead/internal/lb"
	"fairlead/internal/lb/handover"
)

// How a process takes over from another on the same data directory. Only one of them has the state
// and runs controllers at any time; the listening sockets are open throughout, and the data plane of
// the old process goes on with its last table until that of the new one accepts.
//
//	predecessor                               successor (--takeover)
//	  reigns, listens at takeover  <──────────  connects
//	  sends sockets and the lock  ───────────>
//	                               <──────────  prepared
//	  ends API, controllers, state
//	  released  ─────────────────────────────>
//	                                            opens state, controllers; first table
//	                               <──────────  serving
//	  lets its clients leave, ends  ─────────>  gone
//
// When the successor dies before it serves, the predecessor reigns again.
const (
	prepared = "prepared"
	released = "released"
	serving  = "serving"
)

const (
	// releaseTimeout is how long the successor waits for the state: as long as calls and controllers
	// may take to end.
	releaseTimeout = drainTimeout + 20*time.Second
	// serveTimeout is how long the predecessor waits for the successor's first table.
	serveTimeout = time.Minute
	// retireTimeout is how long requests in flight may go on in the predecessor: as long as AWS's
	// default deregistration delay. Idle connections stay for their idle timeout, if that is shorter.
	retireTimeout = 5 * time.Minute
	// heirloomTime is how long files that nobody has taken are kept.
	heirloomTime = time.Minute
)

// inherit takes over from the process that runs on the data directory, if there is one, up to the
// point where the state is ours to open.
func (i *instance) inherit() error {
	if !i.cfg.takeover {
		return nil
	}
	var err error
	if i.predecessor, err = handover.Dial(i.path(doorName)); i.predecessor == nil || err != nil {
		return err
	}
	all, err := i.predecessor.Receive()
	if err != nil {
		return err
	}
	for _, s := range all {
		if s.Name == "" {
			i.inherited = append(i.inherited, s.Inherited)
			continue
		}
		for _, f := range s.Files {
			i.heirlooms.put(s.Name, f)
		}
	}
	time.AfterFunc(heirloomTime, i.heirlooms.drop)
	if err := i.predecessor.Tell(prepared); err != nil {
		return err
	}
	err = i.predecessor.Await(released, releaseTimeout)
	if errors.Is(err, io.EOF) || errors.Is(err, syscall.ECONNRESET) {
		i.cfg.logger.Warn("the predecessor has died; starting without it")
		return nil
	}
	return err
}

// doorName is the socket in the data directory at which successors knock.
const doorName = "takeover"

// admit waits for successors until ctx ends, and puts the first that is prepared into heirs.
func (i *instance) admit(ctx context.Context, heirs chan<- *handover.Conn) {
	door, err := handover.Open(i.path(doorName))
	if err != nil {
		i.cfg.logger.Error("no successor will be able to take over", "err", err)
		return
	}
	for {
		heir, err := door.Accept(ctx)
		if err != nil {
			if ctx.Err() == nil {
				i.cfg.logger.Error("no successor will be able to take over", "err", err)
			}
			door.Remove()
			return
		}
		if err = i.give(heir); err == nil {
			door.Close()
			heirs <- heir
			return
		}
		i.cfg.logger.Error("a successor has failed", "err", errors.Join(err, heir.Close()))
	}
}

// give sends a successor everything that listens, and the lock of the directory.
func (i *instance) give(heir *handover.Conn) error {
	all, err := i.belongings()
	defer func() {
		for _, s := range all {
			for _, f := range s.Files {
				f.Close()
			}
		}
	}()
	if err != nil {
		return err
	}
	if err := heir.Send(all); err != nil {
		return err
	}
	return heir.Await(prepared, drainTimeout)
}

func (i *instance) belongings() ([]handover.Socket, error) {
	lock, err := dupFile(i.lock)
	if err != nil {
		return nil, err
	}
	all, err := i.sockets.named(i.cfg)
	if all = append(all, named("lock", lock)); err != nil {
		return all, err
	}
	more, err := i.endpoints.named()
	if all = append(all, more...); err != nil {
		return all, err
	}
	plane, err := i.lb.Listeners()
	return append(all, handover.Sockets(plane)...), err
}

// yield gives the state to the successor and waits until it serves.
func (i *instance) yield(heir *handover.Conn) error {
	err := heir.Tell(released)
	if err == nil {
		err = heir.Await(serving, serveTimeout)
	}
	if err != nil {
		return errors.Join(err, heir.Close())
	}
	return nil
}

// retire lets the clients of the data plane leave. The end of ctx shortens that.
func (i *instance) retire(ctx context.Context, heir *handover.Conn) error {
	i.cfg.logger.Info("a successor has taken over; letting clients leave")
	defer heir.Close()
	i.lock.Close()
	if err := i.sockets.close(); err != nil {
		i.cfg.logger.Warn("close", "err", err)
	}
	patience, cancel := context.WithTimeout(ctx, retireTimeout)
	defer cancel()
	if err := i.lb.Retire(patience); err != nil && ctx.Err() == nil {
		i.cfg.logger.Warn("ending what the successor did not get", "err", err)
	}
	ending, cancel := context.WithTimeout(context.WithoutCancel(ctx), drainTimeout)
	defer cancel()
	if err := i.lb.Shutdown(ending); err != nil {
		i.cfg.logger.Warn("some requests did not end in time", "err", err)
	}
	if i.predecessor != nil {
		i.predecessor.Gone(patience) // our successor takes our end for that of both
	}
	return nil
}

// announce tells the predecessor, if there is one, that requests are served here.
func (i *instance) announce() {
	if i.predecessor == nil || i.announced {
		return
	}
	i.announced = true
	if err := i.predecessor.Tell(serving); err != nil {
		i.cfg.logger.Warn("tell the predecessor that it can end", "err", err)
	}
}

// dataPlane is the engine as the balancer controller sees it. While a predecessor lets its clients
// leave, nobody here knows how many requests a target still has there: none is taken for idle.
type dataPlane struct {
	*lb.Engine
	alone <-chan struct{} // closed when there is no predecessor any more
}

// Outstanding implements balancer.Engine.
func (p dataPlane) Outstanding(k lb.TargetKey) int {
	n := p.Engine.Outstanding(k)
	select {
	case <-p.alone:
		return n
	default:
		return max(n, 1)
	}
}

// dataPlane returns the engine for a reign that lasts as long as ctx.
func (i *instance) dataPlane(ctx context.Context) dataPlane {
	alone := make(chan struct{})
	go func() { // ends with the predecessor, or with the reign
		if i.predecessor != nil {
			i.predecessor.Gone(ctx)
		}
		close(alone)
	}()
	return dataPlane{i.lb, alone}
}

// restart starts the binary that is now where ours was, to take over from us. It reports its end,
// which is a failure: a successor outlives us.
func (i *instance) restart() {
	exe, err := os.Executable()
	if err != nil {
		i.cfg.logger.Error("start a successor", "err", err)
		return
	}
	cmd := exec.Command(exe, append(os.Args[1:], "--takeover", "--data-dir", i.cfg.dataDir)...)
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	if err := cmd.Start(); err != nil {
		i.cfg.logger.Error("start a successor", "err", err)
		return
	}
	i.cfg.logger.Info("starting a successor", "pid", cmd.Process.Pid, "binary", exe)
	go func() { // ends with the successor or with us
		if err := cmd.Wait(); err != nil {
			i.cfg.logger.Error("the successor has ended", "err", err)
		}
	}()
}
