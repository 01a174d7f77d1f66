package lb

import (
	"errors"
	"io"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"

	"fairlead/internal/lb/poll"
)

// Buffer limits of one connection. What a peer does not take waits in memory up to the high mark;
// then nothing more is read from the other side until it has fallen to the low mark.
const (
	highMark = 128 << 10
	lowMark  = 32 << 10
	// directSize is from where on data is sent without being copied into the buffer first.
	directSize = 8 << 10
)

// errAgain says that a read has to wait for the peer.
var errAgain = errors.New("read would block")

// sock is a connected socket of a loop, with what could not be sent yet. Only its loop touches it.
//
// Writes go to the buffer and are sent by flush, once per event, so that a head and the body that
// follows it leave in one piece.
type sock struct {
	loop  *loop
	owner sockOwner
	tls   *tlsSock // nil for plain connections
	pipe  *pipe    // bytes that go out before out; nil if there are none
	out   []byte   // waiting to be sent, from sent on
	token poll.Token
	sent  int32 // what waits is some high marks at most; idle connections are to be small
	fd    int32

	readable bool // a read may return something
	writable bool // a send may take something
	peerDone bool // the peer has sent its end of stream
	broken   bool // nothing can be sent any more
	closed   bool
	dirty    bool // on the loop's list of sockets to flush
	lazy     bool // flush after a batch of events instead of after each
	finSent  bool
	finAfter bool // send our end of stream after the buffer
	queued   bool // on the loop's list of sockets to look at again
	yielded  bool // on the loop's list of sockets that let others go first
	opening  bool // connect(2) is under way
	choked   bool // somebody waits for room in the buffer
	relieved bool // there is room again
	moved    bool // the peer has taken something since moves was asked
}

// sockOwner reads what arrives and is told when more can be sent.
type sockOwner interface {
	// onEvent is called whenever the socket may be readable, has room again, or is broken.
	onEvent()
	// abandon gives up whatever the connection takes part in, after a defect in onEvent.
	abandon()
}

// newSock takes over fd. Sockets of clients are of the class poll.Later.
func (l *loop) newSock(fd int, owner sockOwner, c poll.Class) (*sock, error) {
	s := &sock{loop: l, fd: int32(fd), owner: owner}
	var err error
	if s.token, err = l.poll.Add(fd, s, c); err != nil {
		unix.Close(fd)
		return nil, err
	}
	return s, nil
}

// Ready implements poll.Handler.
func (s *sock) Ready(ev poll.Events) {
	defer s.rescue()
	s.loop.tick()
	s.readable = s.readable || ev.Readable()
	s.peerDone = s.peerDone || ev.PeerClosed()
	if ev.Writable() {
		s.writable = true
		if !s.opening {
			s.flush()
		}
	}
	if ev.Broken() && !s.opening {
		s.broken = true
	}
	s.owner.onEvent()
}

// again has the owner called once more after the current event.
func (s *sock) again() {
	if !s.queued && !s.closed {
		s.queued = true
		s.loop.requeued = append(s.loop.requeued, s)
	}
}

// yield has the owner called once more after others had their turn: it has used up its budget.
func (s *sock) yield() {
	if !s.yielded && !s.closed {
		s.yielded = true
		s.loop.yielded = append(s.loop.yielded, s)
	}
}

// read reads into p. It returns errAgain when there is nothing, io.EOF at the end of the stream.
func (s *sock) read(p []byte) (int, error) {
	if s.tls != nil {
		return s.tls.read(s, p)
	}
	return s.recv(p)
}

// recv is recv(2). A short read means that the socket is empty, which saves asking again; unless
// the end of the stream is due, which epoll will not tell a second time.
func (s *sock) recv(p []byte) (int, error) {
	if !s.readable || s.closed {
		return 0, errAgain
	}
	for {
		n, _, e := syscall.RawSyscall6(unix.SYS_RECVFROM, uintptr(s.fd),
			uintptr(unsafe.Pointer(unsafe.SliceData(p))), uintptr(len(p)), 0, 0, 0)
		switch {
		case e == unix.EINTR:
			continue
		case e == unix.EAGAIN:
			s.readable = false
			return 0, errAgain
		case e != 0:
			s.broken = true
			return 0, e
		case n == 0:
			s.peerDone = true
			return 0, io.EOF
		}
		if int(n) < len(p) && !s.peerDone {
			s.readable = false
		}
		return int(n), nil
	}
}

// write sends p, or keeps it until it can be sent. It never blocks and never fails: a broken
// connection swallows everything, and its owner hears of it by an event.
func (s *sock) write(p []byte) {
	if s.broken || s.closed || s.finSent {
		return
	}
	if s.tls == nil && len(p) >= directSize && s.pipe == nil && s.canSend() {
		p = s.sendDirect(p)
		if len(p) == 0 {
			return
		}
	}
	s.out = append(s.loop.bufs.grow(s.buffer(), len(p)), p...)
}

// canSend says whether a send may succeed.
func (s *sock) canSend() bool { return s.writable && !s.broken && !s.opening }

// buffer returns the output buffer for appending; the caller stores the result in out.
func (s *sock) buffer() []byte {
	if s.out == nil {
		s.out = s.loop.bufs.get(0)
	}
	s.markDirty()
	return s.out
}

func (s *sock) markDirty() {
	if !s.dirty {
		s.dirty = true
		if s.lazy {
			s.loop.lazy = append(s.loop.lazy, s)
		} else {
			s.loop.dirty = append(s.loop.dirty, s)
		}
	}
}

// sendDirect sends the buffer and p in one call and returns what is left of p.
func (s *sock) sendDirect(p []byte) []byte {
	pending := s.out[s.sent:]
	if len(pending) == 0 {
		return p[s.send(p):]
	}
	n := s.sendTwo(pending, p)
	if n < len(pending) {
		s.sent += int32(n)
		return p
	}
	s.dropBuf()
	return p[n-len(pending):]
}

// flush sends what it can of the buffer.
func (s *sock) flush() {
	s.dirty = false
	if s.tls != nil {
		s.tls.flush(s)
	} else if s.pipe != nil {
		s.drainPipe()
	}
	if s.tls == nil && s.out != nil && s.pipe == nil && s.canSend() {
		s.sent += int32(s.send(s.out[s.sent:]))
		if int(s.sent) == len(s.out) {
			s.dropBuf()
		}
	}
	if s.broken && s.out != nil {
		s.dropBuf()
	}
	if s.choked && s.pending() <= lowMark {
		s.choked, s.relieved = false, true
		s.again()
	}
	if s.finAfter && !s.finSent && !s.opening && s.pending() == 0 {
		s.sendFin()
	}
}

// sendFin ends our direction of the stream.
func (s *sock) sendFin() {
	s.finSent = true
	unix.Shutdown(int(s.fd), unix.SHUT_WR)
}

func (s *sock) dropBuf() {
	s.loop.bufs.put(s.out)
	s.out, s.sent = nil, 0
}

// pending is how many bytes wait to be sent.
func (s *sock) pending() int {
	n := len(s.out) - int(s.sent)
	if s.tls != nil {
		n += len(s.tls.wire) - s.tls.sent
	}
	if s.pipe != nil {
		n += s.pipe.held
	}
	return n
}

// congested says that the peer is slower than what is written. The owner is called again when the
// buffer has fallen to the low mark.
func (s *sock) congested() bool {
	if s.pending() < highMark && s.pipe == nil {
		return false
	}
	s.choked = true
	return true
}

// send is send(2); it returns how much was taken.
func (s *sock) send(p []byte) int {
	if len(p) == 0 {
		return 0
	}
	for {
		n, _, e := syscall.RawSyscall6(unix.SYS_SENDTO, uintptr(s.fd),
			uintptr(unsafe.Pointer(unsafe.SliceData(p))), uintptr(len(p)), unix.MSG_NOSIGNAL, 0, 0)
		if e == unix.EINTR {
			continue
		}
		return s.taken(int(n), e, len(p))
	}
}

// sendTwo is sendmsg(2) with two pieces.
func (s *sock) sendTwo(a, b []byte) int {
	iov := [2]unix.Iovec{{Base: unsafe.SliceData(a)}, {Base: unsafe.SliceData(b)}}
	iov[0].SetLen(len(a))
	iov[1].SetLen(len(b))
	msg := unix.Msghdr{Iov: &iov[0]}
	msg.SetIovlen(2)
	for {
		n, _, e := syscall.RawSyscall(unix.SYS_SENDMSG, uintptr(s.fd),
			uintptr(unsafe.Pointer(&msg)), unix.MSG_NOSIGNAL)
		if e == unix.EINTR {
			continue
		}
		return s.taken(int(n), e, len(a)+len(b))
	}
}

func (s *sock) taken(n int, e syscall.Errno, asked int) int {
	switch {
	case e == unix.EAGAIN:
		s.writable = false
		return 0
	case e != 0:
		s.broken = true
		s.again()
		return 0
	}
	if n < asked {
		s.writable = false
	}
	s.moved = true
	return n
}

// hasRoom says, once, that there is room again after congestion.
func (s *sock) hasRoom() bool {
	was := s.relieved
	s.relieved = false
	return was
}

// moves says whether the peer has taken something since the last call.
func (s *sock) moves() bool {
	was := s.moved
	s.moved = false
	return was
}

// unsent is how much the kernel holds that the peer has not acknowledged, in bytes.
func (s *sock) unsent() int {
	n, err := unix.IoctlGetInt(int(s.fd), unix.SIOCOUTQ)
	if err != nil || s.closed {
		return 0
	}
	return n
}

// finish sends our end of stream once the buffer is empty.
func (s *sock) finish() {
	s.finAfter = true
	s.markDirty()
}

// close closes the socket; what was not sent is lost.
func (s *sock) close() {
	if s.closed {
		return
	}
	s.closed = true
	s.loop.poll.Remove(s.token)
	unix.Close(int(s.fd))
	if s.out != nil {
		s.dropBuf()
	}
	if s.tls != nil {
		s.tls.close(s)
	}
	if s.pipe != nil {
		s.dropPipe()
	}
}

// reset closes the socket with a RST instead of a FIN: the peer must not take what it has got for
// a complete message.
func (s *sock) reset() {
	if !s.closed {
		unix.SetsockoptLinger(int(s.fd), unix.SOL_SOCKET, unix.SO_LINGER, &unix.Linger{Onoff: 1})
		s.close()
	}
}
