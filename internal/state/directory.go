package state

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// directory is the place of an embedded etcd while this process has claimed it:
//
//	lock      held as long as the process uses the directory
//	starting  there while etcd starts for the first time
//	etcd/     etcd's own
type directory struct {
	path string
	lock *os.File
}

func dataDir(dir string) string { return filepath.Join(dir, "etcd") }

func startingFile(dir string) string { return filepath.Join(dir, "starting") }

// claim makes dir if it is missing, and makes it ours until it is released or the process ends.
// Without the lock, a second process would wait for the first one's database.
func claim(dir string) (*directory, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("making the state directory: %w", err)
	}
	lock, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("locking the state directory: %w", err)
	}
	d := &directory{path: dir, lock: lock}
	if err := unix.Flock(int(lock.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		err = fmt.Errorf("locking %s, is another process using it? %w", dir, err)
		return nil, errors.Join(err, d.release())
	}
	if err := d.prepare(); err != nil {
		return nil, errors.Join(err, d.release())
	}
	return d, nil
}

// prepare removes what a first start that was interrupted has left behind: an etcd that knows no
// member and would wait for one for ever. Nothing was stored in it yet.
func (d *directory) prepare() error {
	data, starting := dataDir(d.path), startingFile(d.path)
	if _, err := os.Stat(starting); err == nil {
		if err := os.RemoveAll(data); err != nil {
			return fmt.Errorf("removing an unfinished etcd: %w", err)
		}
	}
	if _, err := os.Stat(data); err == nil {
		return nil
	}
	if err := os.WriteFile(starting, nil, 0o600); err != nil {
		return fmt.Errorf("preparing the state directory: %w", err)
	}
	return d.sync()
}

// finished notes that etcd serves. It must be on disk before anything is stored.
func (d *directory) finished() error {
	err := os.Remove(startingFile(d.path))
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("finishing the first start: %w", err)
	}
	return d.sync()
}

func (d *directory) sync() error {
	dir, err := os.Open(d.path)
	if err != nil {
		return fmt.Errorf("writing the state directory to disk: %w", err)
	}
	if err := errors.Join(dir.Sync(), dir.Close()); err != nil {
		return fmt.Errorf("writing the state directory to disk: %w", err)
	}
	return nil
}

func (d *directory) release() error { return d.lock.Close() }
