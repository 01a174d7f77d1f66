// Package handover passes listening sockets, and whatever else is a file, from a process to its
// successor over a Unix socket, so that a restart or an upgrade of the binary refuses no connection:
// the successor accepts on the same sockets, while the predecessor finishes what it has begun.
//
//	predecessor                         successor
//	Offer(path) ─ sockets, cookie key ─> Take(path)
//	    <──────────────── ready ─────── Taken.Ready
//	Shutdown
//
// Processes that have more to settle between them talk over a [Conn], which a [Door] and [Dial] make.
package handover

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"os"

	"fairlead/internal/lb"
)

// ready is what the successor says when it accepts connections.
const ready = "ready"

// Offer waits at path for a successor and hands it what listeners returns, and the key of the cookies
// of stickiness, so that clients stay with their targets. It returns nil once the successor is ready,
// so that the caller can begin to drain, or the error of ctx when that ends first.
func Offer(
	ctx context.Context, path string, cookieKey []byte, listeners func() ([]lb.Inherited, error),
) error {
	door, err := Open(path)
	if err != nil {
		return err
	}
	defer door.Close()
	for {
		conn, err := door.Accept(ctx)
		if ctx.Err() != nil {
			return errors.Join(ctx.Err(), os.Remove(path))
		}
		if err != nil {
			return err
		}
		if err := give(conn, cookieKey, listeners); err == nil {
			return nil
		}
		// The successor has failed before it was ready; another may come.
	}
}

// give sends the sockets and the key and waits for the successor.
func give(conn *Conn, cookieKey []byte, listeners func() ([]lb.Inherited, error)) error {
	defer conn.Close()
	all, err := listeners()
	if err != nil {
		return err
	}
	sockets := Sockets(all)
	defer closeSockets(sockets)
	if err := errors.Join(conn.Send(sockets), conn.Tell(hex.EncodeToString(cookieKey))); err != nil {
		return err
	}
	return conn.Await(ready, patience)
}

// Sockets are those of the data plane, as they are sent.
func Sockets(all []lb.Inherited) []Socket {
	var sockets []Socket
	for _, in := range all {
		sockets = append(sockets, Socket{Inherited: in})
	}
	return sockets
}

// Taken is a hand-over that the successor has to confirm.
type Taken struct {
	Sockets   []lb.Inherited
	CookieKey []byte // nil without a predecessor
	conn      *Conn
}

// Take asks the predecessor at path for its sockets. Without a predecessor it returns a Taken
// without sockets.
func Take(path string) (*Taken, error) {
	conn, err := Dial(path)
	if conn == nil || err != nil {
		return &Taken{}, err
	}
	all, err := conn.Receive()
	if err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	t := &Taken{conn: conn}
	if t.CookieKey, err = hearKey(conn); err != nil {
		closeSockets(all)
		return nil, errors.Join(fmt.Errorf("take over cookie key: %w", err), conn.Close())
	}
	for _, s := range all {
		t.Sockets = append(t.Sockets, s.Inherited)
	}
	return t, nil
}

func hearKey(conn *Conn) ([]byte, error) {
	text, err := conn.hear(patience)
	if err != nil {
		return nil, err
	}
	key, err := hex.DecodeString(text)
	if err == nil && len(key) != lb.CookieKeySize {
		err = fmt.Errorf("%d bytes, want %d", len(key), lb.CookieKeySize)
	}
	return key, err
}

// Ready tells the predecessor that it can stop accepting.
func (t *Taken) Ready() error {
	if t.conn == nil {
		return nil
	}
	return errors.Join(t.conn.Tell(ready), t.conn.Close())
}
