package state_test

import (
	"net/url"
	"testing"
	"time"

	"go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/server/v3/embed"

	"fairlead/internal/state"
)

// etcd is an etcd of its own, that stores dial over a loopback port as they would a cluster.
type etcd struct {
	dir     string
	address url.URL
	server  *embed.Etcd
}

// startEtcd runs an etcd with its default limits until the test ends.
func startEtcd(t testing.TB) *etcd {
	t.Helper()
	e := &etcd{dir: t.TempDir(), address: url.URL{Scheme: "http", Host: "127.0.0.1:0"}}
	e.start(t)
	e.address.Host = e.server.Clients[0].Addr().String()
	t.Cleanup(e.stop)
	return e
}

func (e *etcd) start(t testing.TB) {
	t.Helper()
	cfg := embed.NewConfig()
	cfg.Dir = e.dir
	cfg.LogLevel = "fatal"
	cfg.TickMs, cfg.ElectionMs = 10, 100
	cfg.UnsafeNoFsync = true
	anyPort := []url.URL{{Scheme: "http", Host: "127.0.0.1:0"}}
	cfg.ListenClientUrls, cfg.AdvertiseClientUrls = []url.URL{e.address}, []url.URL{e.address}
	cfg.ListenPeerUrls, cfg.AdvertisePeerUrls = anyPort, anyPort
	cfg.InitialCluster = cfg.InitialClusterFromName(cfg.Name)
	server, err := embed.StartEtcd(cfg)
	if err != nil {
		t.Fatal(err)
	}
	select {
	case <-server.Server.ReadyNotify():
		e.server = server
	case <-time.After(10 * time.Second):
		server.Close()
		t.Fatal("etcd is not ready after 10 s")
	}
}

func (e *etcd) stop() {
	if e.server != nil {
		e.server.Close()
		e.server = nil
	}
}

// open opens a store on the etcd, closed when the test ends.
func (e *etcd) open(t testing.TB, prefix string, tables ...state.TableInfo) *state.Store {
	t.Helper()
	cfg := state.Config{Endpoints: []string{e.address.String()}, Prefix: prefix}
	store, err := state.Open(t.Context(), cfg, tables...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := store.Close(); err != nil {
			t.Error(err)
		}
	})
	return store
}

// client is a plain client of the etcd, closed when the test ends.
func (e *etcd) client(t testing.TB) *clientv3.Client {
	t.Helper()
	client, err := clientv3.New(clientv3.Config{Endpoints: []string{e.address.String()}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { client.Close() })
	return client
}
