package session

import (
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/gorilla/websocket"
)

const (
	// window is how many messages may wait to be acknowledged before the process that writes has to
	// wait; with pieces of a kilobyte it bounds the memory of a session.
	window = 64
	// resendAfter is when a message that was not acknowledged is sent again: the client drops what
	// comes before its terminal is ready.
	resendAfter = 500 * time.Millisecond
	// giveUpAfter is when a client that acknowledges nothing is given up.
	giveUpAfter = 30 * time.Second
	// writeTimeout bounds the writing of one message.
	writeTimeout = 10 * time.Second
)

var (
	errClosed = errors.New("session is closed")
	errSilent = errors.New("the client acknowledges nothing")
)

// channel is our direction of a data channel: numbered messages that are kept until the client has
// acknowledged them.
type channel struct {
	conn *websocket.Conn
	now  func() time.Time

	mu      sync.Mutex // guards what follows, and writing to conn
	change  *sync.Cond // something was acknowledged, or err was set
	next    int64
	unacked []sent // by sequence
	err     error
}

// sent is a message that may have to be sent again.
type sent struct {
	sequence  int64
	wire      []byte
	first, at time.Time // when it was sent first, and last
}

func newChannel(conn *websocket.Conn, now func() time.Time) *channel {
	c := &channel{conn: conn, now: now}
	c.change = sync.NewCond(&c.mu)
	return c
}

// send sends a message of the stream; it waits while the window is full.
func (c *channel) send(payload PayloadType, data []byte) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	for len(c.unacked) >= window && c.err == nil {
		c.change.Wait()
	}
	if c.err != nil {
		return c.err
	}
	now := c.now()
	m := Message{Type: OutputData, Created: now, Sequence: c.next, ID: newID(), Payload: payload,
		Data: data}
	s := sent{sequence: c.next, wire: m.Append(nil), first: now, at: now}
	c.next++
	c.unacked = append(c.unacked, s)
	return c.write(s.wire)
}

// tell sends a message outside the stream.
func (c *channel) tell(kind string, flags uint64, content any) error {
	data, err := json.Marshal(content)
	if err != nil {
		return fmt.Errorf("encode %s: %w", kind, err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err != nil {
		return c.err
	}
	m := Message{Type: kind, Created: c.now(), Flags: flags, ID: newID(), Data: data}
	return c.write(m.Append(nil))
}

// write writes to the connection, with mu held.
func (c *channel) write(wire []byte) error {
	c.conn.SetWriteDeadline(time.Now().Add(writeTimeout))
	if err := c.conn.WriteMessage(websocket.BinaryMessage, wire); err != nil {
		c.failLocked(fmt.Errorf("write to the client: %w", err))
		return c.err
	}
	return nil
}

// acknowledged forgets a message that the client has.
func (c *channel) acknowledged(sequence int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for i, s := range c.unacked {
		if s.sequence == sequence {
			c.unacked = append(c.unacked[:i], c.unacked[i+1:]...)
			c.change.Broadcast()
			return
		}
	}
}

// resend sends again what was not acknowledged in time.
func (c *channel) resend() {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := c.now()
	for i := range c.unacked {
		s := &c.unacked[i]
		switch {
		case c.err != nil:
			return
		case now.Sub(s.first) > giveUpAfter:
			c.failLocked(errSilent)
		case now.Sub(s.at) > resendAfter:
			s.at = now
			c.write(s.wire)
		}
	}
}

// flushed waits until everything is acknowledged or the channel has failed.
func (c *channel) flushed() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for len(c.unacked) > 0 && c.err == nil {
		c.change.Wait()
	}
}

// fail ends the channel; the first reason counts.
func (c *channel) fail(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.failLocked(err)
}

func (c *channel) failLocked(err error) {
	if c.err == nil {
		c.err = err
		c.change.Broadcast()
	}
}

// newID makes a random UUID (RFC 9562, version 4).
func newID() (id [16]byte) {
	rand.Read(id[:])
	id[6] = id[6]&0x0f | 0x40
	id[8] = id[8]&0x3f | 0x80
	return id
}
