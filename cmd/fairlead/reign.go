package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sync/errgroup"

	"fairlead/internal/dns"
	"fairlead/internal/eni"
	"fairlead/internal/event"
	"fairlead/internal/lb/handover"
	"fairlead/internal/logstore"
	"fairlead/internal/node/metadata"
	"fairlead/internal/row"
	"fairlead/internal/service/ecs"
	"fairlead/internal/service/logs"
	"fairlead/internal/state"
	"fairlead/internal/vpc"
)

// reign is the time in which this process is the one that has the state, runs the controllers and
// answers the APIs. It ends with the process, or when a successor takes over.
type reign struct {
	i       *instance
	server  *http.Server
	stop    context.CancelFunc // ends the controllers
	running sync.WaitGroup
	failed  chan error
	heirs   chan *handover.Conn // a successor that is prepared
}

// run serves until ctx ends or a successor has taken over, then ends in order: clients, controllers,
// data plane, state.
func (i *instance) run(ctx context.Context) error {
	defer i.close()
	restarts := make(chan os.Signal, 1)
	signal.Notify(restarts, syscall.SIGUSR2) // until the end: unheard it would kill
	for {
		heir, err := i.reign(ctx, restarts)
		if heir == nil {
			if i.cfg.ephemeral {
				err = errors.Join(err, i.destroy())
			}
			return err
		}
		if err := errors.Join(i.closeReign(), i.yield(heir)); err == nil {
			return i.retire(ctx, heir)
		} else {
			i.cfg.logger.Error("the successor has failed; reigning again", "err", err)
		}
		if err := i.openReign(ctx); err != nil {
			return err
		}
	}
}

// openReign opens what only one process at a time can have, and what is only true as long as no
// other changes it: the state, and the devices as they are.
func (i *instance) openReign(ctx context.Context) error {
	var group errgroup.Group
	group.Go(func() error { return i.openState(ctx) })
	group.Go(i.openNetwork)
	if err := group.Wait(); err != nil {
		return err
	}
	return i.openDNS()
}

func (i *instance) openState(ctx context.Context) (err error) {
	history := event.Recorder{Now: time.Now, Show: ecs.ShowTask}
	cfg := state.Config{
		Endpoints: i.cfg.etcdEndpoints, Prefix: i.cfg.etcdPrefix, Logger: i.cfg.logger,
		Derive: history.Record,
	}
	if len(cfg.Endpoints) == 0 {
		cfg.Dir, cfg.NoSync = i.path("state"), i.cfg.ephemeral
	}
	i.store, err = state.Open(ctx, cfg, row.Tables()...)
	if err != nil {
		return fmt.Errorf("open the state: %w", err)
	}
	i.events, err = logstore.Open(i.path("logs"))
	if err != nil {
		return fmt.Errorf("open the log store: %w", err)
	}
	i.logs = logs.New(i.store, i.events)
	_, err = eni.EnsurePool(ctx, i.store, i.cfg.publicPool)
	return err
}

func (i *instance) openNetwork() (err error) {
	i.host, err = vpc.Open(vpc.Config{
		Dir: i.path("net"), Name: i.tag(4), Logger: i.cfg.logger,
		Local: []netip.Addr{netip.MustParseAddr(metadata.Address)},
	})
	if err != nil {
		return fmt.Errorf("open the virtual network: %w", err)
	}
	if before := i.networks.host.Swap(i.host); before != nil {
		return before.Close()
	}
	return nil
}

func (i *instance) openDNS() error {
	i.dns = nil
	if i.sockets.udp == nil {
		return nil
	}
	f, err := i.sockets.udp.File()
	if err != nil {
		return err
	}
	udp, err := packetConn(f)
	if err != nil {
		return err
	}
	tcp, err := again(i.sockets.tcp)
	if err != nil {
		return errors.Join(err, udp.Close())
	}
	i.dns = dns.New(udp, tcp, i.cfg.dnsSuffix, i.resolve, i.cfg.logger)
	return nil
}

// closeReign gives back the state; it may be called again. The network stays open: the data plane
// uses it.
func (i *instance) closeReign() error {
	var errs []error
	if i.events != nil {
		errs = append(errs, i.events.Close())
	}
	if i.store != nil {
		errs = append(errs, i.store.Close())
	}
	return errors.Join(errs...)
}

// reign controls until ctx ends, something fails, or a successor is prepared, which is returned.
func (i *instance) reign(
	ctx context.Context, restarts <-chan os.Signal,
) (heir *handover.Conn, err error) {
	r, err := i.beginReign(ctx)
	if err != nil {
		return nil, err
	}
	heir, err = r.wait(ctx, restarts)
	r.end(heir)
	return heir, err
}

func (r *reign) wait(
	ctx context.Context, restarts <-chan os.Signal,
) (heir *handover.Conn, err error) {
	for {
		select {
		case <-ctx.Done():
			return nil, nil
		case err := <-r.failed:
			return nil, err
		case heir := <-r.heirs:
			return heir, nil
		case <-restarts:
			r.i.restart()
		}
	}
}

func (i *instance) beginReign(ctx context.Context) (*reign, error) {
	listener, err := again(i.sockets.api)
	if err != nil {
		return nil, fmt.Errorf("duplicate the API's socket: %w", err)
	}
	control, stop := context.WithCancel(context.WithoutCancel(ctx))
	ending := make(chan struct{})
	r := &reign{i: i, stop: stop, heirs: make(chan *handover.Conn, 1),
		server: &http.Server{Handler: i.handler(ending), ReadHeaderTimeout: readHeaderTimeout}}
	r.server.RegisterOnShutdown(func() { close(ending) })
	balancer := i.balancer(i.dataPlane(control))
	loops := i.loops(balancer)
	r.failed = make(chan error, len(loops)+1)
	for name, loop := range loops {
		r.running.Go(func() {
			if err := loop(control); err != nil && control.Err() == nil {
				r.failed <- fmt.Errorf("%s: %w", name, err)
			}
		})
	}
	r.running.Go(func() {
		// Ready is ready: the load balancers that there were accept connections first.
		select {
		case <-balancer.Started():
			r.serve(control, listener)
		case <-control.Done():
			listener.Close()
		}
	})
	return r, nil
}

// serve answers the APIs, and successors.
func (r *reign) serve(ctx context.Context, listener net.Listener) {
	r.i.announce()
	r.running.Go(func() { r.i.admit(ctx, r.heirs) })
	r.i.logReady()
	if err := r.server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
		r.failed <- fmt.Errorf("serve the API: %w", err)
	}
}

// end lets calls in flight end, then the controllers. Without an heir the requests in flight of load
// balancers have to end too.
func (r *reign) end(heir *handover.Conn) {
	log := r.i.cfg.logger
	ctx, cancel := context.WithTimeout(context.Background(), drainTimeout)
	defer cancel()
	if heir == nil {
		log.Info("ending", "removing", r.i.cfg.ephemeral)
	}
	if err := r.server.Shutdown(ctx); err != nil {
		log.Warn("some calls did not end in time", "err", errors.Join(err, r.server.Close()))
	}
	if heir == nil {
		r.i.lb.Shutdown(ctx)
	}
	r.stop()
	r.running.Wait()
}

func (i *instance) logReady() {
	attrs := []any{"api", "http://" + i.sockets.api.Addr().String(), "data", i.cfg.dataDir,
		"after", time.Since(i.started).Round(time.Millisecond).String()}
	if i.dns != nil {
		attrs = append(attrs, "dns", i.dns.Addr())
	}
	i.cfg.logger.Info("ready", attrs...)
	if err := tellSystemd(fmt.Sprintf("READY=1\nMAINPID=%d", os.Getpid())); err != nil {
		i.cfg.logger.Warn("ready", "err", err)
	}
}
