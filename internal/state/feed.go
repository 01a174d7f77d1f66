package state

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"go.etcd.io/etcd/api/v3/mvccpb"
	clientv3 "go.etcd.io/etcd/client/v3"
)

const (
	// loadPage is how many rows are read from etcd at once.
	loadPage = 1000
	// feedRetry is the pause after the watch was lost, before everything is loaded again.
	feedRetry = 100 * time.Millisecond
)

// load reads everything under the prefix at one revision. A row that cannot be decoded is left out,
// unless bad makes an error of it.
func (s *Store) load(ctx context.Context, bad func(error) error) (*Snapshot, error) {
	next := s.draft(nil)
	from, end := s.prefix+"/", clientv3.GetPrefixRangeEnd(s.prefix+"/")
	for {
		page, err := s.engine.client.Get(ctx, from, clientv3.WithRange(end),
			clientv3.WithLimit(loadPage), clientv3.WithRev(next.revision))
		if err != nil {
			return nil, fmt.Errorf("loading rows: %w", err)
		}
		if next.revision == 0 { // later pages are read at the revision of the first
			next.revision = page.Header.Revision
		}
		for _, kv := range page.Kvs {
			if err := next.put(kv); err != nil && bad(err) != nil {
				return nil, fmt.Errorf("loading rows: %w", err)
			}
			from = string(kv.Key) + "\x00"
		}
		if !page.More {
			return next.done(), nil
		}
	}
}

// feed keeps memory in step with etcd until ctx ends.
func (s *Store) feed(ctx context.Context) {
	for {
		err := s.follow(ctx)
		if ctx.Err() != nil {
			return
		}
		s.log.WarnContext(ctx, "state: lost the watch on etcd, loading all rows", "error", err)
		for err != nil {
			select {
			case <-time.After(feedRetry):
			case <-ctx.Done():
				return
			}
			err = s.reload(ctx)
		}
	}
}

// follow applies what etcd reports, from the revision after the current one on, until the watch
// breaks.
func (s *Store) follow(ctx context.Context) error {
	ctx, cancel := context.WithCancel(clientv3.WithRequireLeader(ctx))
	defer cancel()
	events := s.engine.client.Watch(ctx, s.prefix+"/",
		clientv3.WithPrefix(), clientv3.WithRev(s.View().revision+1))
	for report := range events {
		if err := report.Err(); err != nil {
			return err
		}
		s.apply(ctx, report.Events)
	}
	return errors.New("the watch ended")
}

// apply publishes the snapshot after the given events. All events of a revision come together.
func (s *Store) apply(ctx context.Context, events []*clientv3.Event) {
	if len(events) == 0 {
		return
	}
	next := s.draft(s.View())
	var changes []Change
	for _, event := range events {
		table, key, marker, ours := s.split(event.Kv.Key)
		if ours && !marker {
			changes = append(changes, Change{table, key, event.Type == clientv3.EventTypeDelete})
		}
		if event.Type == clientv3.EventTypeDelete {
			next.delete(event.Kv)
		} else if err := next.put(event.Kv); err != nil {
			s.logBad(ctx, err)
		}
		next.revision = event.Kv.ModRevision
	}
	s.publish(next.done(), changes)
}

// reload replaces memory by what etcd has, and publishes the difference.
func (s *Store) reload(ctx context.Context) error {
	next, err := s.load(ctx, func(bad error) error {
		s.logBad(ctx, bad)
		return nil
	})
	if err != nil {
		return err
	}
	s.publish(next, difference(s.View(), next))
	return nil
}

// logBad reports a row that another version of this program must have written. The row stays as it
// was last known: to stop following etcd for its sake would be worse.
func (s *Store) logBad(ctx context.Context, err error) {
	s.log.LogAttrs(ctx, slog.LevelError, "state: skipped a row", slog.Any("error", err))
}

// difference lists the rows that are not the same in two snapshots of the same tables.
func difference(old, next *Snapshot) []Change {
	var changes []Change
	for table, rows := range next.tables {
		for key := range rows.keys() {
			_, was := old.tables[table].find(key)
			if _, is := rows.find(key); is != was {
				changes = append(changes, Change{Table: table, Key: key})
			}
		}
		for key := range old.tables[table].keys() {
			if _, is := rows.find(key); is == 0 {
				changes = append(changes, Change{Table: table, Key: key, Deleted: true})
			}
		}
	}
	return changes
}

// draft is a snapshot in the making. Its owner sets the revision.
type draft struct {
	store    *Store
	revision int64
	base     map[string]content
	editors  map[string]editor // of the tables that differ from base
}

// draft starts from the rows of base, or from none when base is nil.
func (s *Store) draft(base *Snapshot) *draft {
	d := &draft{store: s, base: make(map[string]content), editors: make(map[string]editor)}
	if base != nil {
		d.base = base.tables
		return d
	}
	for name, table := range s.tables {
		d.base[name] = table.empty()
	}
	return d
}

func (d *draft) put(kv *mvccpb.KeyValue) error {
	table, key, marker, ours := d.store.split(kv.Key)
	switch {
	case !ours:
		return nil
	case marker:
		d.editor(table).mark(kv.ModRevision)
		return nil
	default:
		return d.editor(table).put(key, kv.Value, kv.ModRevision)
	}
}

func (d *draft) delete(kv *mvccpb.KeyValue) {
	table, key, marker, ours := d.store.split(kv.Key)
	switch {
	case !ours:
	case marker:
		d.editor(table).mark(0)
	default:
		d.editor(table).delete(key)
	}
}

func (d *draft) editor(table string) editor {
	e, ok := d.editors[table]
	if !ok {
		e = d.base[table].edit()
		d.editors[table] = e
	}
	return e
}

func (d *draft) done() *Snapshot {
	next := &Snapshot{
		revision:   d.revision,
		tables:     make(map[string]content, len(d.base)),
		superseded: make(chan struct{}),
	}
	for name, rows := range d.base {
		if e, ok := d.editors[name]; ok {
			rows = e.done()
		}
		next.tables[name] = rows
	}
	return next
}
