package state

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	bolt "go.etcd.io/bbolt"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	"go.etcd.io/etcd/client/pkg/v3/types"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/server/v3/config"
	"go.etcd.io/etcd/server/v3/etcdserver"
	"go.etcd.io/etcd/server/v3/etcdserver/api/v3client"
	"go.etcd.io/etcd/server/v3/features"
	"go.etcd.io/etcd/server/v3/storage/wal"
	"go.uber.org/zap"
)

// The embedded etcd is a cluster of one member that listens nowhere: no port, no socket. Its only
// client calls it within the process. The name and the address below are never dialled; etcd wants
// some, and wants the same at every start.
const (
	memberName    = "fairlead"
	memberAddress = "http://127.0.0.1:1"
)

// How the embedded etcd is set up. One member has nobody to wait for, so elections are short; rows
// are few and small, so little is kept in memory.
const (
	tickMillis    = 10
	electionTicks = 5
	// snapshotCount and catchUpEntries bound the raft log kept in memory, in entries. No follower
	// ever has to catch up.
	snapshotCount  = 1_000
	catchUpEntries = 100
	// segmentBytes is the size of a file of the write-ahead log. Two are allocated in advance, and a
	// start reads the last one whole: etcd's own 64 MB would make a start take half a second.
	segmentBytes = 4 << 20
	// batchLimit and batchInterval bound what waits in memory for the next commit of the database.
	// What waits is safe: it is in the write-ahead log.
	batchLimit    = 1_000
	batchInterval = 100 * time.Millisecond
	// maxTxnOps is how many rows one transaction may write; etcd's own default is 128.
	maxTxnOps = 10_000
	// maxRequestBytes is how large one transaction may be; etcd's own default is 1.5 MiB.
	maxRequestBytes = 10 << 20
	// quotaBytes is the size of the database at which etcd refuses writes (its own default).
	quotaBytes = 2 << 30
	// defragMegabytes is how much unused space is given back to the file system at the next start.
	defragMegabytes = 64
	// bcryptCost is etcd's own default. There are no users, but it warns without.
	bcryptCost = 10
	// slowApply is from when on etcd warns that applying a request took long.
	slowApply = time.Second
	// stopTimeout bounds the stop of an etcd that has lost its disk.
	stopTimeout = 5 * time.Second
)

// shrinkSegments sets segmentBytes. A variable of its package is the only way that etcd offers.
var shrinkSegments = sync.OnceFunc(func() { wal.SegmentSizeBytes = segmentBytes })

// member is an etcd inside this process.
type member struct {
	dir  *directory
	log  *slog.Logger
	fail context.CancelCauseFunc

	ready chan struct{} // closed when the server serves
	ended chan struct{} // closed when run has ended
	// server is set by run before it closes ready. An error of the start ends the member's life.
	server *etcdserver.EtcdServer
}

// embed starts an etcd in cfg.Dir and waits until it serves.
func embed(ctx context.Context, cfg Config, log *slog.Logger) (*engine, error) {
	shrinkSegments()
	dir, err := claim(cfg.Dir)
	if err != nil {
		return nil, err
	}
	alive, fail := context.WithCancelCause(context.Background())
	m := &member{
		dir: dir, log: log, fail: fail,
		ready: make(chan struct{}), ended: make(chan struct{}),
	}
	if err := m.start(ctx, alive, cfg); err != nil {
		return nil, fmt.Errorf("starting etcd in %s: %w", cfg.Dir, errors.Join(err, m.stop()))
	}
	client := v3client.New(m.server)
	return &engine{
		client:  client,
		own:     true,
		alive:   alive,
		close:   func() error { return m.closeWith(client) },
		reclaim: func(ctx context.Context, rev int64) error { return m.reclaim(ctx, client, rev) },
	}, nil
}

func (m *member) start(ctx, alive context.Context, cfg Config) error {
	words := lastWords(func(message string) { m.fail(fmt.Errorf("%w: %s", ErrStopped, message)) })
	setup, err := serverConfig(cfg, zap.New(zapCore{m.log, alive.Done()},
		zap.WithFatalHook(words), zap.WithPanicHook(words)))
	if err != nil {
		close(m.ended)
		return err
	}
	go m.run(alive, setup)
	select {
	case <-m.ready:
		return m.dir.finished()
	case <-alive.Done():
		return context.Cause(alive)
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// run is the life of the server. It has a goroutine of its own, because etcd ends the goroutine
// instead of returning an error when it finds its files damaged.
func (m *member) run(alive context.Context, setup config.ServerConfig) {
	defer close(m.ended)
	server, err := etcdserver.NewServer(setup)
	if err != nil {
		m.fail(err)
		return
	}
	server.Start()
	defer server.Stop()
	select {
	case <-server.ReadyNotify():
		m.server = server
		close(m.ready)
	case <-alive.Done():
		return
	}
	select {
	case <-server.StopNotify():
		m.fail(fmt.Errorf("%w by itself", ErrStopped))
	case <-alive.Done():
	}
}

// serverConfig is what etcd's own embed package would make of a configuration without listeners.
func serverConfig(cfg Config, log *zap.Logger) (config.ServerConfig, error) {
	address, err := types.NewURLs([]string{memberAddress})
	if err != nil {
		return config.ServerConfig{}, err
	}
	if cfg.quota == 0 {
		cfg.quota = quotaBytes
	}
	return config.ServerConfig{
		Name:                memberName,
		ClientURLs:          address,
		PeerURLs:            address,
		InitialPeerURLsMap:  types.URLsMap{memberName: address},
		InitialClusterToken: memberName,
		NewCluster:          true,
		DataDir:             dataDir(cfg.Dir),
		UnsafeNoFsync:       cfg.NoSync,
		Logger:              log,
		ServerFeatureGate:   features.NewDefaultServerFeatureGate(memberName, log),

		TickMs:                     tickMillis,
		ElectionTicks:              electionTicks,
		InitialElectionTickAdvance: true,

		SnapshotCount:          snapshotCount,
		SnapshotCatchUpEntries: catchUpEntries,
		MaxSnapFiles:           1,
		MaxWALFiles:            1,

		BackendBatchLimit:                 batchLimit,
		BackendBatchInterval:              batchInterval,
		BackendFreelistType:               bolt.FreelistMapType,
		BootstrapDefragThresholdMegabytes: defragMegabytes,
		QuotaBackendBytes:                 cfg.quota,

		BcryptCost:           bcryptCost,
		MaxTxnOps:            maxTxnOps,
		MaxRequestBytes:      maxRequestBytes,
		WarningApplyDuration: slowApply,
	}, nil
}

// reclaim frees the space that history takes, and lifts the alarm that forbids writes.
func (m *member) reclaim(ctx context.Context, client *clientv3.Client, revision int64) error {
	_, err := client.Compact(ctx, revision, clientv3.WithCompactPhysical())
	if err != nil && !errors.Is(err, rpctypes.ErrCompacted) {
		return fmt.Errorf("compacting etcd: %w", err)
	}
	if err := m.server.Backend().Defrag(); err != nil {
		return fmt.Errorf("defragmenting etcd: %w", err)
	}
	if _, err := client.AlarmDisarm(ctx, &clientv3.AlarmMember{}); err != nil {
		return fmt.Errorf("lifting etcd's space alarm: %w", err)
	}
	return nil
}

func (m *member) closeWith(client *clientv3.Client) error {
	err := client.Close()
	if errors.Is(err, context.Canceled) { // how a client without connection says that it closed
		err = nil
	}
	return errors.Join(err, m.stop())
}

// stop ends etcd. One that has lost its disk may not end; then the process has to.
func (m *member) stop() error {
	m.fail(ErrClosed)
	select {
	case <-m.ended:
		return m.dir.release()
	case <-time.After(stopTimeout):
		return errors.Join(fmt.Errorf("etcd did not stop within %v", stopTimeout), m.dir.release())
	}
}
