package main

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
	"golang.org/x/sys/unix"

	"fairlead/internal/dns"
	"fairlead/internal/eni"
	"fairlead/internal/event"
	"fairlead/internal/lb"
	"fairlead/internal/logstore"
	"fairlead/internal/node/metadata"
	"fairlead/internal/row"
	"fairlead/internal/runtime/containerd"
	"fairlead/internal/runtime/daemon"
	"fairlead/internal/service/ecs"
	"fairlead/internal/service/logs"
	"fairlead/internal/state"
	"fairlead/internal/vpc"
)

const (
	// drainTimeout is how long requests in flight may go on when Fairlead ends.
	drainTimeout = 10 * time.Second
	// removeTimeout limits the removal of everything by --ephemeral, reset and destroy.
	removeTimeout = time.Minute
)

// instance is one running Fairlead: the parts that hold something of the machine. What drives them
// is in control.go, what serves clients in api.go.
type instance struct {
	cfg     config
	started time.Time
	lock    *os.File
	store   *state.Store
	events  *logstore.Store
	logs    *logs.Service
	daemon  *daemon.Daemon // nil with --containerd-address
	runtime *containerd.Engine
	host    *vpc.Host
	lb      *lb.Engine
	dns     *dns.Server // nil with --dns ""
	listen  net.Listener
}

// startInstance opens everything that an instance stands on, side by side. What was opened is closed
// again when something fails.
func startInstance(ctx context.Context, cfg config) (*instance, error) {
	i := &instance{cfg: cfg, started: time.Now()}
	if err := i.open(ctx); err != nil {
		i.close()
		return nil, err
	}
	return i, nil
}

func (i *instance) open(ctx context.Context) error {
	if err := os.MkdirAll(i.cfg.dataDir, 0o700); err != nil {
		return fmt.Errorf("make the data directory: %w", err)
	}
	var err error
	if i.lock, err = lockDir(i.cfg.dataDir); err != nil {
		return err
	}
	if i.listen, err = net.Listen("tcp", i.cfg.listen); err != nil {
		return fmt.Errorf("open the API's port: %w (choose another with --listen)", err)
	}
	var group errgroup.Group
	group.Go(func() error { return i.openState(ctx) })
	group.Go(func() error { return i.openRuntime(ctx) })
	group.Go(i.openNetwork)
	if err := group.Wait(); err != nil {
		return err
	}
	return i.openDNS()
}

// lockDir keeps a second instance out of the directory.
func lockDir(dir string) (*os.File, error) {
	f, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("lock the data directory: %w", err)
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		f.Close()
		return nil, fmt.Errorf("another fairlead runs on %s; end it or choose another --data-dir", dir)
	}
	return f, nil
}

func (i *instance) path(name string) string { return filepath.Join(i.cfg.dataDir, name) }

// tag names the instance among others on the machine: n hex digits of its directory's hash.
func (i *instance) tag(n int) string {
	return fmt.Sprintf("%x", sha256.Sum256([]byte(i.cfg.dataDir)))[:n]
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

func (i *instance) openRuntime(ctx context.Context) error {
	address, run := i.cfg.containerd, ""
	if address == "" {
		var err error
		if i.daemon, err = i.startDaemon(ctx); err != nil {
			return fmt.Errorf("start the private containerd: %w", err)
		}
		address, run = i.daemon.Address(), i.daemon.RunDir()
	}
	var err error
	i.runtime, err = containerd.Open(ctx, containerd.Config{
		Address: address, Instance: i.tag(8), Data: i.path("containerd"), Run: run,
	})
	if err != nil {
		return fmt.Errorf("open containerd: %w", err)
	}
	return nil
}

func (i *instance) startDaemon(ctx context.Context) (*daemon.Daemon, error) {
	// Not the file's name: the binary may be replaced while it runs.
	const self = "/proc/self/exe"
	return daemon.Start(ctx, daemon.Config{
		Exec: []string{self, daemon.Command}, Data: i.path("containerd"), Log: i.cfg.logger,
	})
}

func (i *instance) openNetwork() (err error) {
	i.host, err = vpc.Open(vpc.Config{
		Dir: i.path("net"), Name: i.tag(4), Logger: i.cfg.logger,
		Local: []netip.Addr{netip.MustParseAddr(metadata.Address)},
	})
	if err != nil {
		return fmt.Errorf("open the virtual network: %w", err)
	}
	i.lb, err = lb.New(lb.Config{Network: networks{i.host}, Logger: i.cfg.logger})
	return err
}

// networks are the networks that load balancers live in: the host's and those of interfaces.
type networks struct{ host *vpc.Host }

// Socket implements lb.Network.
func (n networks) Socket(node string, domain, typ, proto int) (int, error) {
	if node == "" {
		return unix.Socket(domain, typ|unix.SOCK_CLOEXEC, proto)
	}
	return n.host.Socket(node, domain, typ, proto)
}

func (i *instance) openDNS() (err error) {
	if i.cfg.dnsListen == "" {
		return nil
	}
	i.dns, err = dns.Listen(i.cfg.dnsListen, i.cfg.dnsSuffix, i.resolve, i.cfg.logger)
	return err
}

// run serves until ctx ends, then ends in order: clients, controllers, data plane, state.
func (i *instance) run(ctx context.Context) error {
	defer i.close()
	control, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	balancer := i.balancer()
	loops := i.loops(balancer)
	failed := make(chan error, len(loops)+1)
	var running sync.WaitGroup
	for name, loop := range loops {
		running.Go(func() {
			if err := loop(control); err != nil && control.Err() == nil {
				failed <- fmt.Errorf("%s: %w", name, err)
			}
		})
	}
	ending := make(chan struct{})
	server := &http.Server{Handler: i.handler(ending), ReadHeaderTimeout: readHeaderTimeout}
	server.RegisterOnShutdown(func() { close(ending) })
	running.Go(func() {
		// Ready is ready: the load balancers that there were accept connections first.
		select {
		case <-balancer.Started():
		case <-control.Done():
			return
		}
		i.logReady()
		if err := server.Serve(i.listen); !errors.Is(err, http.ErrServerClosed) {
			failed <- fmt.Errorf("serve the API: %w", err)
		}
	})
	var err error
	select {
	case <-ctx.Done():
	case err = <-failed:
	}
	i.cfg.logger.Info("ending", "removing", i.cfg.ephemeral)
	i.drain(server)
	stop()
	running.Wait()
	if i.cfg.ephemeral {
		err = errors.Join(err, i.destroy())
	}
	return err
}

// drain lets requests in flight end, those of the APIs and those of the load balancers.
func (i *instance) drain(server *http.Server) {
	ctx, cancel := context.WithTimeout(context.Background(), drainTimeout)
	defer cancel()
	server.Shutdown(ctx)
	i.lb.Shutdown(ctx)
}

func (i *instance) logReady() {
	attrs := []any{"api", "http://" + i.listen.Addr().String(), "data", i.cfg.dataDir,
		"after", time.Since(i.started).Round(time.Millisecond).String()}
	if i.dns != nil {
		attrs = append(attrs, "dns", i.dns.Addr())
	}
	i.cfg.logger.Info("ready", attrs...)
}

// close gives everything back that open took; containers and devices stay.
func (i *instance) close() {
	closers := []func() error{}
	if i.lb != nil {
		closers = append(closers, i.lb.Close)
	}
	if i.runtime != nil {
		closers = append(closers, i.runtime.Close)
	}
	if i.host != nil {
		closers = append(closers, i.host.Close)
	}
	if i.events != nil {
		closers = append(closers, i.events.Close)
	}
	if i.store != nil {
		closers = append(closers, i.store.Close)
	}
	if i.listen != nil {
		closers = append(closers, i.listen.Close)
	}
	for _, c := range closers {
		if err := c(); err != nil && !errors.Is(err, net.ErrClosed) {
			i.cfg.logger.Warn("close", "err", err)
		}
	}
	if i.lock != nil {
		i.lock.Close()
	}
}
