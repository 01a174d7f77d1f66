package lbfile

import (
	"cmp"
	"context"
	"crypto/rand"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"runtime"
	"runtime/debug"
	"sync"
	"time"

	"fairlead/internal/lb"
	"fairlead/internal/lb/handover"
)

const (
	// reloadEvery is how often the files are looked at for changes.
	reloadEvery = time.Second
	// drainTime is how long requests in flight may take when the program ends.
	drainTime = 30 * time.Second
	// retireTime is how long connections may stay after a hand-over; idle ones end with their idle
	// timeout before, if that is not longer.
	retireTime = 5 * time.Minute
	// gcPercent keeps the heap close to what is in use: requests allocate next to nothing, so that
	// collecting more often costs nothing either, and idle connections are most of the heap.
	gcPercent = 20
)

// Run serves the configuration in a file until ctx ends or a successor takes over, and reloads it
// when it changes. loops is the number of event loops, 0 for one per CPU. It returns an error if the
// first configuration cannot be served.
func Run(ctx context.Context, path string, loops int, log *slog.Logger) error {
	f, seen, err := read(path, nil)
	if err != nil {
		return err
	}
	out, err := openLog(f.AccessLog, log)
	if err != nil {
		return err
	}
	defer out.close()
	engine, cookieKey, err := start(f, loops, log, out)
	if err != nil {
		return err
	}
	defer engine.Close()
	log.Info("serving", "listeners", len(f.Listeners), "target_groups", len(f.TargetGroups))
	serving, stop := context.WithCancel(ctx)
	var offering sync.WaitGroup
	if f.Handover != "" {
		offering.Go(func() { offer(serving, stop, engine, cookieKey, f.Handover, log) })
	}
	watch(serving, engine, path, f, seen, log)
	stop()
	offering.Wait()
	if ctx.Err() == nil { // a successor has the sockets
		retire(ctx, engine, log)
	}
	ending, cancel := context.WithTimeout(context.WithoutCancel(ctx), drainTime)
	defer cancel()
	return engine.Shutdown(ending)
}

// retire lets clients leave by themselves, until ctx ends.
func retire(ctx context.Context, engine *lb.Engine, log *slog.Logger) {
	patience, cancel := context.WithTimeout(ctx, retireTime)
	defer cancel()
	if err := engine.Retire(patience); err != nil && ctx.Err() == nil {
		log.Warn("ending what the successor did not get", "err", err)
	}
}

// start puts a configuration to work, with the sockets of a predecessor if there is one.
func start(
	f *File, loops int, log *slog.Logger, out *accessLog,
) (e *lb.Engine, cookieKey []byte, err error) {
	// A loop occupies a processor of the Go scheduler even while it waits. One more than there are
	// loops keeps the scheduler from taking them away for nothing.
	loops = cmp.Or(loops, runtime.NumCPU())
	runtime.GOMAXPROCS(max(runtime.GOMAXPROCS(0), loops+1))
	lb.RaiseFileLimit()
	debug.SetGCPercent(gcPercent)
	roots, err := f.roots()
	if err != nil {
		return nil, nil, err
	}
	taken := &handover.Taken{}
	if f.Handover != "" {
		if taken, err = handover.Take(f.Handover); err != nil {
			return nil, nil, err
		}
	}
	if cookieKey = taken.CookieKey; cookieKey == nil {
		cookieKey = make([]byte, lb.CookieKeySize)
		rand.Read(cookieKey) // never fails
	}
	e, err = lb.New(lb.Config{Loops: loops, Logger: log, AccessLog: out.write,
		Inherited: taken.Sockets, CookieKey: cookieKey, RootCAs: roots})
	if err != nil {
		return nil, nil, err
	}
	if err := errors.Join(swap(e, f), taken.Ready()); err != nil {
		return nil, nil, errors.Join(err, e.Close())
	}
	return e, cookieKey, nil
}

// roots are the authorities for JWKS endpoints; nil means those of the system.
func (f *File) roots() (*x509.CertPool, error) {
	if f.JWKSRoots == "" {
		return nil, nil
	}
	pem, err := os.ReadFile(f.JWKSRoots)
	if err != nil {
		return nil, fmt.Errorf("read authorities: %w", err)
	}
	roots, err := lb.Roots(pem)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", f.JWKSRoots, err)
	}
	return roots, nil
}

// offer waits for a successor and stops serving when it has come.
func offer(
	ctx context.Context, stop func(), e *lb.Engine, cookieKey []byte, path string, log *slog.Logger,
) {
	switch err := handover.Offer(ctx, path, cookieKey, e.Listeners); {
	case err == nil:
		log.Info("a successor has taken over")
		stop()
	case ctx.Err() == nil:
		log.Error("no successor will be able to take over", "error", err)
	}
}

// swap puts a configuration to work.
func swap(e *lb.Engine, f *File) error {
	spec, err := f.Spec()
	if err != nil {
		return err
	}
	table, err := lb.Compile(spec)
	if err != nil {
		return err
	}
	return e.Swap(table)
}

// watch reloads the configuration f whenever the stamp of its files is not the one seen, until ctx
// ends.
func watch(ctx context.Context, e *lb.Engine, path string, f *File, seen string, log *slog.Logger) {
	tick := time.NewTicker(reloadEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		if stampOf(path)+stampOfCertificates(f) == seen {
			continue
		}
		var err error
		if f, seen, err = read(path, f); err == nil {
			err = swap(e, f)
		}
		if err != nil {
			log.Error("reload configuration", "error", err)
			continue
		}
		log.Info("configuration reloaded", "file", path)
	}
}

// read loads the configuration, and returns the one before if that fails. The stamp is of before the
// files were read: a change meanwhile shows as one.
func read(path string, before *File) (f *File, stamp string, err error) {
	stamp = stampOf(path)
	if f, err = Load(path); err != nil {
		f = before
	}
	return f, stamp + stampOfCertificates(f), err
}

// stampOfCertificates changes when a file that a configuration names does; so does stampOf for one.
func stampOfCertificates(f *File) (out string) {
	if f == nil {
		return ""
	}
	for _, l := range f.Listeners {
		for _, c := range l.Certificates {
			out += stampOf(c.CertFile) + stampOf(c.KeyFile)
		}
	}
	return out
}

func stampOf(path string) string {
	info, err := os.Stat(path)
	if err != nil {
		return path + " is not there\n"
	}
	return fmt.Sprintln(path, info.Size(), info.ModTime().UnixNano())
}
