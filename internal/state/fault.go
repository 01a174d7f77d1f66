package state

import "errors"

// Limits of what can be stored. They are the same for the embedded and for an external etcd.
const (
	// MaxKeyBytes is the longest key of a row, in bytes. The longest ARN of the AWS quotas is 2048.
	MaxKeyBytes = 2048
	// MaxRowBytes is the largest encoded row, in bytes. It stays below the 1.5 MiB that an etcd
	// accepts per request by default; the largest AWS document, a task definition, has 64 KiB.
	MaxRowBytes = 1 << 20
)

// What [Store.Update] and the others report, wrapped; test with errors.Is.
var (
	// ErrClosed says that the store or the watcher was closed.
	ErrClosed = errors.New("store is closed")
	// ErrConflict says that other processes kept changing what the transaction read.
	ErrConflict = errors.New("too many conflicts with other writers")
	// ErrTooLarge says that a row or a transaction is larger than etcd accepts.
	ErrTooLarge = errors.New("too large")
	// ErrInvalidRow says that a row cannot be stored: its key or its encoding is not acceptable.
	ErrInvalidRow = errors.New("invalid row")
	// ErrNoSpace says that etcd has reached its space quota; deleting rows is still possible.
	ErrNoSpace = errors.New("etcd has no space left")
	// ErrStopped says that the embedded etcd has stopped for good, for instance on a full disk.
	// Reads still work; the process has to be started again to write.
	ErrStopped = errors.New("embedded etcd has stopped")
)
