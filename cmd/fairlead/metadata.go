package main

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"time"

	"fairlead/internal/lb/handover"
	"fairlead/internal/node/metadata"
	"fairlead/internal/row"
)

// metadataHeaderTimeout bounds how long a container may take to send a request's headers.
const metadataHeaderTimeout = 5 * time.Second

// endpoints serve 169.254.170.2 to the tasks of every VPC. The address lives in the VPC's namespace,
// which routes for its interfaces, so that every port of a task's own namespace stays free; a task is
// told by the address that asks.
type endpoints struct {
	i *instance

	mu   sync.Mutex // guards what follows
	vpcs map[string]*endpoint
}

// endpoint is the listener of one VPC, there as long as it has tasks.
type endpoint struct {
	listener *net.TCPListener
	server   *http.Server
	tasks    map[string]http.Handler // by private address
}

// Serve answers the task with handler until stop is called. It implements node.Endpoints.
func (e *endpoints) Serve(task row.Task, handler http.Handler) (stop func(), err error) {
	nic, ok := row.NetworkInterfaces.Get(e.i.store.View(), task.Scope.Key(task.ENI))
	if !ok {
		return nil, fmt.Errorf("interface %s is gone", task.ENI)
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	at := e.vpcs[nic.VPC]
	if at == nil {
		if at, err = e.listen(nic.VPC); err != nil {
			return nil, err
		}
		e.vpcs[nic.VPC] = at
	}
	at.tasks[nic.Address] = handler
	return func() { e.stop(nic) }, nil
}

func (e *endpoints) stop(nic row.NetworkInterface) {
	e.mu.Lock()
	defer e.mu.Unlock()
	at := e.vpcs[nic.VPC]
	if at == nil {
		return
	}
	delete(at.tasks, nic.Address)
	if len(at.tasks) == 0 {
		at.server.Close()
		delete(e.vpcs, nic.VPC)
	}
}

func (e *endpoints) listen(vpc string) (*endpoint, error) {
	listener, err := e.open(vpc)
	if err != nil {
		return nil, fmt.Errorf("open the metadata endpoint of %s: %w", vpc, err)
	}
	at := &endpoint{listener: listener, tasks: map[string]http.Handler{}}
	at.server = &http.Server{
		Handler: e.handler(at), ReadHeaderTimeout: metadataHeaderTimeout,
	}
	go func() { // ends with at.server.Close
		if err := at.server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			e.i.cfg.logger.Warn("serve task metadata", "vpc", vpc, "err", err)
		}
	}()
	return at, nil
}

// open takes over the listener of a predecessor, or opens one.
func (e *endpoints) open(vpc string) (l *net.TCPListener, err error) {
	if f := e.i.heirlooms.take("metadata " + vpc); f != nil {
		return listener(f)
	}
	err = e.i.host.DoVPC(vpc, func() error {
		at := net.TCPAddrFromAddrPort(netip.MustParseAddrPort(metadata.Address + ":80"))
		l, err = net.ListenTCP("tcp", at)
		return err
	})
	return l, err
}

// named lists duplicates of the listeners for a successor.
func (e *endpoints) named() (all []handover.Socket, err error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for vpc, at := range e.vpcs {
		f, err := at.listener.File()
		if err != nil {
			return all, fmt.Errorf("duplicate the metadata endpoint of %s: %w", vpc, err)
		}
		all = append(all, named("metadata "+vpc, f))
	}
	return all, nil
}

// handler gives a request to the task that asks.
func (e *endpoints) handler(at *endpoint) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		host, _, err := net.SplitHostPort(r.RemoteAddr)
		e.mu.Lock()
		task := at.tasks[host]
		e.mu.Unlock()
		if err != nil || task == nil {
			http.Error(w, "only tasks are answered here", http.StatusForbidden)
			return
		}
		task.ServeHTTP(w, r)
	})
}
