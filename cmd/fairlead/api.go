package main

import (
	"context"
	"fmt"
	"net/http"
	"net/netip"
	"strings"
	"time"

	"fairlead/internal/admin"
	"fairlead/internal/eni"
	"fairlead/internal/node/session"
	"fairlead/internal/row"
	"fairlead/internal/service/acm"
	"fairlead/internal/service/cloudwatch"
	"fairlead/internal/service/ec2"
	"fairlead/internal/service/ecs"
	"fairlead/internal/service/elbv2"
	"fairlead/internal/service/iam"
	"fairlead/internal/service/sts"
	"fairlead/internal/wire"
)

// readHeaderTimeout limits how long a client may take to send a request's headers.
const readHeaderTimeout = 10 * time.Second

// handler serves the AWS APIs, and Fairlead's own endpoints below /_fairlead/. What streams without
// end does so until ending is closed.
func (i *instance) handler(ending <-chan struct{}) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("/_fairlead/", i.adminHandler(ending))
	mux.Handle(session.Path, i.sessions(ending))
	mux.Handle("/", i.router())
	return mux
}

func (i *instance) router() *wire.Router {
	tokens := sts.New(i.store)
	r := wire.NewRouter(wire.Config{Keys: i.cfg.keys, Lookup: tokens.Lookup, Logger: i.cfg.logger})
	tokens.Register(r)
	iam.New(i.store).Register(r)
	ec2.New(i.store).Register(r)
	acm.New(i.store).Register(r)
	elbv2.New(i.store, elbv2.Config{
		DNSSuffix: i.cfg.dnsSuffix, Lambda: i.cfg.lambdaEndpoint != "",
	}).Register(r)
	i.logs.Register(r)
	ecs.New(i.store, time.Now).Register(r)
	cloudwatch.New(i.store, i.metrics, time.Now).Register(r)
	return r
}

func (i *instance) adminHandler(ending <-chan struct{}) http.Handler {
	cfg := admin.Config{
		Store: i.store, Images: i.runtime, Version: versionString(), Logger: i.cfg.logger,
		Ending: ending,
		Info:   map[string]string{"api": "http://" + i.sockets.api.Addr().String(), "dataDir": i.cfg.dataDir},
	}
	if i.dns != nil {
		cfg.Info["dns"] = i.dns.Addr()
	}
	if i.cfg.allowReset {
		cfg.Reset = i.reset
	}
	return admin.Handler(cfg)
}

// resetPoll is the pause between two looks at whether everything is gone.
const resetPoll = 20 * time.Millisecond

// reset removes every row and waits until the controllers have removed what the rows stood for.
func (i *instance) reset(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, removeTimeout)
	defer cancel()
	if err := i.store.Reset(ctx); err != nil {
		return err
	}
	i.metrics.Reset()
	if _, err := eni.EnsurePool(ctx, i.store, i.cfg.publicPool); err != nil {
		return err
	}
	ticker := time.NewTicker(resetPoll)
	defer ticker.Stop()
	for {
		left, err := i.left(ctx)
		if err != nil || left == "" {
			return err
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("still there after %v: %s", removeTimeout, left)
		case <-ticker.C:
		}
	}
}

// left names what is on the machine.
func (i *instance) left(ctx context.Context) (string, error) {
	containers, err := i.runtime.List(ctx)
	if err != nil || len(containers) > 0 {
		return fmt.Sprint(len(containers), " containers"), err
	}
	inventory, err := i.host.List(ctx)
	if err != nil || len(inventory.VPCs)+len(inventory.ENIs) > 0 {
		return fmt.Sprint(len(inventory.VPCs), " networks, ", len(inventory.ENIs), " interfaces"), err
	}
	return "", nil
}

// resolve tells the addresses of a load balancer's name: public ones of an internet-facing load
// balancer, private ones of an internal one.
func (i *instance) resolve(name string) ([]netip.Addr, bool) {
	view := i.store.View()
	balancer, ok := row.First(row.LoadBalancers.By(view, "dns", strings.ToLower(name)))
	if !ok {
		return nil, false
	}
	var addresses []netip.Addr
	for _, n := range balancer.Nodes {
		nic, _ := row.NetworkInterfaces.Get(view, balancer.Scope.Key(n.ENI))
		text := nic.PublicAddress
		if balancer.Internal() {
			text = nic.Address
		}
		if a, err := netip.ParseAddr(text); err == nil && nic.Ready {
			addresses = append(addresses, a)
		}
	}
	return addresses, true
}
