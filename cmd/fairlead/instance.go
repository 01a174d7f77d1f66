package main

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"
	"golang.org/x/sys/unix"

	"fairlead/internal/dns"
	"fairlead/internal/lb"
	"fairlead/internal/lb/handover"
	"fairlead/internal/logstore"
	"fairlead/internal/metric"
	"fairlead/internal/runtime/containerd"
	"fairlead/internal/runtime/daemon"
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
// is in control.go, what serves clients in api.go, when they do so in reign.go.
type instance struct {
	cfg       config
	started   time.Time
	lock      *os.File
	sockets   sockets
	daemon    *daemon.Daemon // nil with --containerd-address
	runtime   *containerd.Engine
	networks  networks
	lb        *lb.Engine
	endpoints *endpoints
	metrics   *metric.Store

	// Of a reign: see openReign.
	store  *state.Store
	events *logstore.Store
	logs   *logs.Service
	host   *vpc.Host
	dns    *dns.Server // nil with --dns ""

	// Of a predecessor: see takeover.go.
	predecessor *handover.Conn // nil if there is none
	announced   bool
	inherited   []lb.Inherited
	heirlooms   heirlooms
}

// startInstance opens everything that an instance stands on, side by side. What was opened is closed
// again when something fails.
func startInstance(ctx context.Context, cfg config) (*instance, error) {
	i := &instance{cfg: cfg, started: time.Now(), metrics: metric.New()}
	i.endpoints = &endpoints{i: i, vpcs: map[string]*endpoint{}}
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
	if err := i.inherit(); err != nil {
		return err
	}
	if i.lock = i.heirlooms.take("lock"); i.lock == nil {
		var err error
		if i.lock, err = lockDir(i.cfg.dataDir); err != nil {
			return err
		}
	}
	if err := i.sockets.open(i.cfg, &i.heirlooms); err != nil {
		return err
	}
	var group errgroup.Group
	group.Go(func() error { return i.openReign(ctx) })
	group.Go(func() error { return i.openRuntime(ctx) })
	group.Go(i.openDataPlane)
	return group.Wait()
}

// lockDir keeps a second instance out of the directory.
func lockDir(dir string) (*os.File, error) {
	f, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("lock the data directory: %w", err)
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		f.Close()
		return nil, fmt.Errorf("another fairlead runs on %s; end it, take over from it with --takeover, "+
			"or choose another --data-dir", dir)
	}
	return f, nil
}

func (i *instance) path(name string) string { return filepath.Join(i.cfg.dataDir, name) }

// tag names the instance among others on the machine: n hex digits of its directory's hash.
func (i *instance) tag(n int) string {
	return fmt.Sprintf("%x", sha256.Sum256([]byte(i.cfg.dataDir)))[:n]
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

func (i *instance) openDataPlane() error {
	key, err := keptKey(i.path("cookie.key"))
	if err != nil {
		return fmt.Errorf("open the load balancers: %w", err)
	}
	roots, err := i.trusted()
	if err != nil {
		return fmt.Errorf("open the load balancers: %w", err)
	}
	i.lb, err = lb.New(lb.Config{
		Network: &i.networks, Logger: i.cfg.logger, Inherited: i.inherited, CookieKey: key,
		RootCAs: roots,
	})
	return err
}

// trusted are the authorities that load balancers believe: those of the system and our own.
func (i *instance) trusted() (*x509.CertPool, error) {
	a, err := authority(i.cfg.dataDir)
	if err != nil {
		return nil, err
	}
	return lb.Roots(a.Root())
}

// keptKey reads the key of sticky sessions, which outlive this process; the first start makes it.
func keptKey(path string) ([]byte, error) {
	key, err := os.ReadFile(path)
	if err == nil && len(key) == lb.CookieKeySize || err != nil && !errors.Is(err, fs.ErrNotExist) {
		return key, err
	}
	key = make([]byte, lb.CookieKeySize)
	rand.Read(key)
	return key, os.WriteFile(path, key, 0o600)
}

// networks are the networks that load balancers live in: the host's and those of interfaces.
type networks struct{ host atomic.Pointer[vpc.Host] }

// Socket implements lb.Network.
func (n *networks) Socket(node string, domain, typ, proto int) (int, error) {
	if node == "" {
		return unix.Socket(domain, typ|unix.SOCK_CLOEXEC, proto)
	}
	return n.host.Load().Socket(node, domain, typ, proto)
}

// close gives everything back that open took; containers and devices stay.
func (i *instance) close() {
	closers := []func() error{i.sockets.close, i.closeReign}
	if i.lb != nil {
		closers = append(closers, i.lb.Close)
	}
	if i.runtime != nil {
		closers = append(closers, i.runtime.Close)
	}
	if i.host != nil {
		closers = append(closers, i.host.Close)
	}
	for _, c := range closers {
		if err := c(); err != nil && !errors.Is(err, net.ErrClosed) {
			i.cfg.logger.Warn("close", "err", err)
		}
	}
	i.heirlooms.drop()
	if i.lock != nil {
		i.lock.Close()
	}
}
