package state

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"
)

const (
	// maxMessageBytes is the largest request that is sent; the server's own limit decides before.
	maxMessageBytes = 64 << 20
	// keepAlive is how often a silent connection to an external etcd is probed, and keepAliveTimeout
	// how long it may stay silent then.
	keepAlive        = 10 * time.Second
	keepAliveTimeout = 3 * time.Second

	// compactEvery is after how many revisions the embedded etcd forgets its history, and
	// compactKeep how many of them it keeps, for a watch that has to resume.
	compactEvery = 10_000
	compactKeep  = 1_000
)

// engine is the etcd under a store.
type engine struct {
	client *clientv3.Client
	// own says that the etcd is embedded: its history and its space are ours to manage.
	own bool
	// alive ends when the embedded etcd has failed; the cause says why.
	alive context.Context
	close func() error
	// reclaim frees all space that history takes up to the given revision; only of an own etcd.
	reclaim func(ctx context.Context, revision int64) error
}

func startEngine(ctx context.Context, cfg Config, log *slog.Logger) (*engine, error) {
	switch {
	case len(cfg.Endpoints) == 0 && cfg.Dir == "":
		return nil, errors.New("neither a directory nor endpoints of etcd are given")
	case len(cfg.Endpoints) == 0:
		return embed(ctx, cfg, log)
	case cfg.Dir != "" || cfg.NoSync:
		return nil, errors.New("an external etcd has its own directory: Dir and NoSync must be unset")
	default:
		return dial(cfg.Endpoints, log)
	}
}

// dial connects to an external etcd. It does not wait for an answer.
func dial(endpoints []string, log *slog.Logger) (*engine, error) {
	client, err := clientv3.New(clientv3.Config{
		Endpoints:            endpoints,
		DialKeepAliveTime:    keepAlive,
		DialKeepAliveTimeout: keepAliveTimeout,
		MaxCallSendMsgSize:   maxMessageBytes,
		Logger:               zap.New(zapCore{log: log}),
	})
	if err != nil {
		return nil, fmt.Errorf("dialling etcd at %v: %w", endpoints, err)
	}
	return &engine{client: client, alive: context.Background(), close: client.Close}, nil
}

// compact makes the embedded etcd forget old revisions as new ones come, until ctx ends.
func (s *Store) compact(ctx context.Context) {
	var last int64
	for {
		snapshot := s.View()
		if snapshot.revision-last > compactEvery {
			last = snapshot.revision
			// Waiting until it is done keeps Close from cutting it short.
			_, err := s.engine.client.Compact(ctx, last-compactKeep, clientv3.WithCompactPhysical())
			if err != nil && !errors.Is(err, rpctypes.ErrCompacted) && ctx.Err() == nil {
				s.log.WarnContext(ctx, "state: compacting etcd", "error", err)
			}
		}
		select {
		case <-snapshot.superseded:
		case <-ctx.Done():
			return
		}
	}
}
