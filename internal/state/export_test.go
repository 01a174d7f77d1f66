package state

import clientv3 "go.etcd.io/etcd/client/v3"

// WithQuota is cfg with another size at which the embedded etcd refuses writes.
func (cfg Config) WithQuota(bytes int64) Config {
	cfg.quota = bytes
	return cfg
}

// Client is the store's own client of etcd.
func (s *Store) Client() *clientv3.Client { return s.engine.client }

// What the tests of compaction go by.
const (
	CompactEvery = compactEvery
	CompactKeep  = compactKeep
)

// ShrinkSegments changes a variable of etcd, which other etcds of the test read.
func ShrinkSegments() { shrinkSegments() }
