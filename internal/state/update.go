package state

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
)

const (
	// maxAttempts is how often a transaction runs before its conflicts are reported.
	maxAttempts = 64
	// maxPause is the longest pause after a conflict. Pauses grow from a millisecond and are drawn
	// at random, so that processes which collide do not collide again.
	maxPause = 50 * time.Millisecond
	// commitTimeout bounds one attempt to commit, when etcd does not answer.
	commitTimeout = 10 * time.Second
)

var errNoAnswer = fmt.Errorf("etcd did not answer within %v", commitTimeout)

// Update runs fn and commits what it wrote, all or nothing. fn sees the latest snapshot and its own
// writes. If another process has changed what fn read, fn runs again on a fresh transaction, so it
// must have no effect but through tx, and must not call Update. An error of fn is returned as it is
// and nothing is written. After a nil return View includes the writes.
//
// Updates of one process run one after another. When ctx ends, or etcd fails, during the commit, it
// is unknown whether the writes were made.
func (s *Store) Update(ctx context.Context, fn func(tx *Tx) error) error {
	release, err := s.take(ctx)
	if err != nil {
		return fmt.Errorf("updating state: %w", err)
	}
	defer release()
	for attempt := range maxAttempts {
		tx := newTx(s.View())
		err := s.run(tx, fn)
		if err != nil {
			return err
		}
		committed, err := s.commit(ctx, tx)
		if err != nil {
			return fmt.Errorf("updating state: %w", err)
		}
		if committed {
			return nil
		}
		if err := s.pause(ctx, attempt); err != nil {
			return fmt.Errorf("updating state: %w", err)
		}
	}
	return fmt.Errorf("updating state: %w in %d attempts", ErrConflict, maxAttempts)
}

// run lets fn write, and what follows from its writes with it.
func (s *Store) run(tx *Tx, fn func(tx *Tx) error) error {
	defer func() { tx.ended = true }()
	err := fn(tx)
	if err != nil || s.derive == nil || !tx.wrote() {
		return err
	}
	return s.derive(tx)
}

// Reset deletes every row under the prefix, also of tables that were not given to Open.
func (s *Store) Reset(ctx context.Context) error {
	release, err := s.take(ctx)
	if err != nil {
		return fmt.Errorf("resetting state: %w", err)
	}
	defer release()
	ctx, cancel := s.answering(ctx)
	defer cancel()
	// The markers go too. A commit elsewhere that counts on one then finds that it is gone.
	done, err := s.engine.client.Delete(ctx, s.prefix+"/", clientv3.WithPrefix())
	if err == nil && done.Deleted > 0 {
		err = s.applied(ctx, done.Header.Revision)
	}
	if err != nil {
		return fmt.Errorf("resetting state: %w", s.explain(ctx, err))
	}
	return nil
}

// take waits for the caller's turn to write.
func (s *Store) take(ctx context.Context) (release func(), err error) {
	ctx, cancel := s.bound(ctx)
	defer cancel()
	if err := s.Err(); err != nil {
		return nil, err
	}
	select {
	case s.turn <- struct{}{}:
		return func() { <-s.turn }, nil
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

// commit writes what tx wrote, unless something that it read has changed: then it reports false,
// once memory shows that change.
func (s *Store) commit(ctx context.Context, tx *Tx) (committed bool, err error) {
	if tx.err != nil {
		return false, tx.err
	}
	conditions, writes := s.plan(tx)
	if len(writes) == 0 {
		return true, nil
	}
	ctx, cancel := s.answering(ctx)
	defer cancel()
	done, err := s.send(ctx, conditions, writes)
	if err != nil {
		return false, s.explain(ctx, err)
	}
	revision := done.Header.Revision
	if !done.Succeeded {
		revision = lastChange(done)
	}
	return done.Succeeded, s.explain(ctx, s.applied(ctx, revision))
}

// answering is bound for the time in which etcd has to answer.
func (s *Store) answering(ctx context.Context) (context.Context, func()) {
	ctx, cancel := s.bound(ctx)
	ctx, expire := context.WithTimeoutCause(ctx, commitTimeout, errNoAnswer)
	return ctx, func() {
		expire()
		cancel()
	}
}

// plan turns a transaction into etcd's terms.
func (s *Store) plan(tx *Tx) (conditions []clientv3.Cmp, writes []clientv3.Op) {
	for _, name := range slices.Sorted(maps.Keys(tx.tables)) {
		t := tx.tables[name]
		conditions = s.compare(conditions, tx.base.content(name), name, t)
		for _, key := range slices.Sorted(maps.Keys(t.writes)) {
			if encoded := t.writes[key]; encoded != nil {
				writes = append(writes, clientv3.OpPut(s.rowKey(name, key), string(encoded)))
			} else {
				writes = append(writes, clientv3.OpDelete(s.rowKey(name, key)))
			}
		}
		if len(t.writes) > 0 {
			writes = append(writes, clientv3.OpPut(s.markerKey(name), ""))
		}
	}
	return conditions, writes
}

// compare demands that what was read of one table is still as it was in base.
func (s *Store) compare(to []clientv3.Cmp, base content, name string, t *txTable) []clientv3.Cmp {
	if t.scanned {
		marker := clientv3.ModRevision(s.markerKey(name))
		return append(to, clientv3.Compare(marker, "=", base.changed()))
	}
	for _, key := range slices.Sorted(maps.Keys(t.read)) {
		_, revision := base.find(key)
		row := clientv3.ModRevision(s.rowKey(name, key))
		to = append(to, clientv3.Compare(row, "=", revision))
	}
	return to
}

// send runs one etcd transaction; out of space, it makes some and tries once more.
func (s *Store) send(
	ctx context.Context, conditions []clientv3.Cmp, writes []clientv3.Op,
) (*clientv3.TxnResponse, error) {
	// When the conditions do not hold, the markers tell which revision to wait for.
	otherwise := clientv3.OpGet(s.markerKey(""), clientv3.WithPrefix(), clientv3.WithKeysOnly())
	commit := func() (*clientv3.TxnResponse, error) {
		return s.engine.client.Txn(ctx).If(conditions...).Then(writes...).Else(otherwise).Commit()
	}
	done, err := commit()
	if !errors.Is(err, rpctypes.ErrNoSpace) || !s.engine.own {
		return done, err
	}
	if reclaimErr := s.engine.reclaim(ctx, s.View().revision); reclaimErr != nil {
		return nil, errors.Join(err, reclaimErr)
	}
	return commit()
}

// lastChange is the revision of the last commit under the prefix, 0 after a reset.
func lastChange(refused *clientv3.TxnResponse) (revision int64) {
	for _, marker := range refused.Responses[0].GetResponseRange().Kvs {
		revision = max(revision, marker.ModRevision)
	}
	return revision
}

// applied waits until memory shows the given revision.
func (s *Store) applied(ctx context.Context, revision int64) error {
	for {
		snapshot := s.View()
		if snapshot.revision >= revision {
			return nil
		}
		select {
		case <-snapshot.superseded:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// pause waits a random while that grows with each attempt.
func (s *Store) pause(ctx context.Context, attempt int) error {
	ctx, cancel := s.bound(ctx)
	defer cancel()
	longest := min(time.Millisecond<<min(attempt, 10), maxPause)
	select {
	case <-time.After(rand.N(longest)):
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// explain puts etcd's errors into this package's terms.
func (s *Store) explain(ctx context.Context, err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, rpctypes.ErrNoSpace):
		return fmt.Errorf("%w: %w", ErrNoSpace, err)
	case errors.Is(err, rpctypes.ErrTooManyOps), errors.Is(err, rpctypes.ErrRequestTooLarge):
		return fmt.Errorf("%w: %w", ErrTooLarge, err)
	case strings.Contains(err.Error(), "larger than max"): // gRPC has no code of its own for it
		return fmt.Errorf("%w: %w", ErrTooLarge, err)
	case s.Err() != nil: // may be known before ctx has heard of it
		return s.Err()
	case ctx.Err() != nil:
		return context.Cause(ctx)
	default:
		return err
	}
}
