package handover

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/netip"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"fairlead/internal/lb"
)

const (
	// maxSockets is how many sockets fit into one message (SCM_MAX_FD of Linux).
	maxSockets = 253
	// maxHeader bounds the description of an address, and a word, in bytes.
	maxHeader = 4 << 10
	// patience bounds every step of a hand-over in which nobody has to wait for a third party.
	patience = 10 * time.Second
)

// Socket is what is handed over under one address or name.
type Socket struct {
	// Name is that of a file which is not the data plane's; Node and Addr are unset then.
	Name string
	lb.Inherited
}

// Conn joins a process with its successor, or with its predecessor.
type Conn struct{ conn *net.UnixConn }

// Dial connects with the process that has a Door at path; nil if there is none.
func Dial(path string) (*Conn, error) {
	c, err := dial(path)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ECONNREFUSED) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("take over: %w", err)
	}
	return c, nil
}

func dial(path string) (*Conn, error) {
	short, done, err := shorten(path)
	if err != nil {
		return nil, err
	}
	defer done()
	conn, err := net.DialUnix("unixpacket", nil, &net.UnixAddr{Name: short, Net: "unixpacket"})
	if err != nil {
		return nil, err
	}
	return &Conn{conn}, nil
}

// header describes the sockets of a message. The last message of a transfer is empty.
type header struct {
	Name string         `json:"name,omitempty"`
	Node string         `json:"node,omitempty"`
	Addr netip.AddrPort `json:"addr,omitzero"`
	Last bool           `json:"last,omitempty"`
}

// Send hands sockets over. The caller keeps its own.
func (c *Conn) Send(all []Socket) error {
	if err := c.conn.SetDeadline(time.Now().Add(patience)); err != nil {
		return err
	}
	for _, s := range all {
		h := header{Name: s.Name, Node: s.Node, Addr: s.Addr}
		if err := c.send(h, s.Files); err != nil {
			return err
		}
	}
	return c.send(header{Last: true}, nil)
}

func (c *Conn) send(h header, files []*os.File) error {
	if len(files) > maxSockets {
		return fmt.Errorf("%d sockets on %s, limit is %d", len(files), h.Addr, maxSockets)
	}
	b, err := json.Marshal(h)
	if err != nil {
		return err
	}
	var fds []int
	for _, f := range files {
		if err := lb.FD(f, func(fd int) { fds = append(fds, fd) }); err != nil {
			return err
		}
	}
	_, _, err = c.conn.WriteMsgUnix(b, unix.UnixRights(fds...), nil)
	return err
}

// Receive takes what the other side sends.
func (c *Conn) Receive() (all []Socket, err error) {
	if err := c.conn.SetDeadline(time.Now().Add(patience)); err != nil {
		return nil, err
	}
	for {
		s, last, err := c.receive()
		if err != nil {
			closeSockets(all)
			return nil, fmt.Errorf("take over sockets: %w", err)
		}
		if last {
			return all, nil
		}
		all = append(all, s)
	}
}

// receive reads one message.
func (c *Conn) receive() (s Socket, last bool, err error) {
	b, oob := make([]byte, maxHeader), make([]byte, unix.CmsgSpace(4*maxSockets))
	n, oobn, _, _, err := c.conn.ReadMsgUnix(b, oob)
	if err != nil {
		return s, false, err
	}
	files, err := filesOf(oob[:oobn])
	if err != nil {
		return s, false, err
	}
	h, err := parseHeader(b[:n])
	if err != nil {
		return s, false, err
	}
	s = Socket{Name: h.Name, Inherited: lb.Inherited{Node: h.Node, Addr: h.Addr, Files: files}}
	return s, h.Last, nil
}

func parseHeader(b []byte) (h header, err error) {
	if err := json.Unmarshal(b, &h); err != nil {
		return h, fmt.Errorf("read description: %w", err)
	}
	if h.Last != (h.Name == "" && !h.Addr.IsValid()) {
		return h, errors.New("a description names neither an address nor the end, or both")
	}
	return h, nil
}

// filesOf takes the descriptors out of control messages.
func filesOf(oob []byte) ([]*os.File, error) {
	messages, err := unix.ParseSocketControlMessage(oob)
	if err != nil {
		return nil, fmt.Errorf("read sockets: %w", err)
	}
	var files []*os.File
	for _, m := range messages {
		fds, err := unix.ParseUnixRights(&m)
		if err != nil {
			return nil, fmt.Errorf("read sockets: %w", err)
		}
		for _, fd := range fds {
			unix.CloseOnExec(fd)
			files = append(files, os.NewFile(uintptr(fd), "inherited"))
		}
	}
	return files, nil
}

func closeSockets(all []Socket) {
	for _, s := range all {
		for _, f := range s.Files {
			f.Close()
		}
	}
}

// Tell says a word to the other side.
func (c *Conn) Tell(word string) error {
	if err := c.conn.SetDeadline(time.Now().Add(patience)); err != nil {
		return err
	}
	_, err := io.WriteString(c.conn, word)
	return err
}

// Await waits for a word of the other side, for at most a time.
func (c *Conn) Await(word string, atMost time.Duration) error {
	said, err := c.hear(atMost)
	if err == nil && said != word {
		err = fmt.Errorf("the other side says %q", said)
	}
	if err != nil {
		return fmt.Errorf("wait for %q: %w", word, err)
	}
	return nil
}

// hear waits for any word of the other side, for at most a time.
func (c *Conn) hear(atMost time.Duration) (string, error) {
	if err := c.conn.SetDeadline(time.Now().Add(atMost)); err != nil {
		return "", err
	}
	b := make([]byte, maxHeader)
	n, err := c.conn.Read(b)
	return string(b[:n]), err
}

// Gone waits until the other side has closed its end or has died, or until ctx ends.
func (c *Conn) Gone(ctx context.Context) {
	defer context.AfterFunc(ctx, func() { c.conn.SetReadDeadline(time.Now()) })()
	if ctx.Err() != nil || c.conn.SetReadDeadline(time.Time{}) != nil {
		return
	}
	for b := make([]byte, maxHeader); ; {
		if _, err := c.conn.Read(b); err != nil {
			return
		}
	}
}

// Close ends the conversation.
func (c *Conn) Close() error { return c.conn.Close() }
