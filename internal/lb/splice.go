package lb

import (
	"errors"
	"io"

	"golang.org/x/sys/unix"
)

// Large bodies between two plain connections are moved within the kernel: from the target's socket
// into a pipe, and from the pipe into the client's. What the client does not take stays in the
// pipe, which thereby is the buffer, with a bound.

const (
	// spliceMin is from how many remaining bytes on a body is moved this way.
	spliceMin = 64 << 10
	// pipeSize is the capacity of a pipe in bytes; unprivileged processes may have up to
	// fs.pipe-max-size, 1 MiB by default.
	pipeSize = 512 << 10
	// keepPipes is how many pipes a loop keeps for the next use.
	keepPipes = 16
)

// pipe holds bytes on their way to a socket.
type pipe struct {
	r, w int
	held int // bytes in it
}

// getPipe takes a spare pipe or makes one; nil if that is not possible.
func (l *loop) getPipe() *pipe {
	if p, ok := l.pipes.take(); ok {
		return p
	}
	var fds [2]int
	if err := unix.Pipe2(fds[:], unix.O_NONBLOCK|unix.O_CLOEXEC); err != nil {
		return nil
	}
	unix.FcntlInt(uintptr(fds[1]), unix.F_SETPIPE_SZ, pipeSize) // or it stays at 64 KiB
	return &pipe{r: fds[0], w: fds[1]}
}

// putPipe keeps an empty pipe for later; one with bytes in it is closed.
func (l *loop) putPipe(p *pipe) {
	if p.held > 0 || !l.pipes.add(p, keepPipes) {
		p.close()
	}
}

func (p *pipe) close() {
	unix.Close(p.r)
	unix.Close(p.w)
}

// spliceFrom moves up to n bytes from another socket to this one, both plain. It returns how many
// left src; errAgain, if src has nothing; io.EOF at its end.
func (s *sock) spliceFrom(src *sock, n int64) (int, error) {
	if !src.readable {
		return 0, errAgain
	}
	if s.pipe == nil {
		if s.pipe = s.loop.getPipe(); s.pipe == nil {
			return 0, errNoPipe
		}
	}
	moved, err := unix.Splice(int(src.fd), nil, s.pipe.w, nil, int(min(n, pipeSize)),
		unix.SPLICE_F_NONBLOCK|unix.SPLICE_F_MOVE)
	switch {
	case errors.Is(err, unix.EAGAIN):
		src.readable = false
		err = errAgain
	case err != nil:
		src.broken = true
	case moved == 0:
		src.peerDone = true
		err = io.EOF
	default:
		s.pipe.held += int(moved)
	}
	s.drainPipe()
	return int(max(moved, 0)), err
}

// errNoPipe says that no pipe can be had; the body goes the usual way.
var errNoPipe = errors.New("no pipe")

// drainPipe sends what is in the pipe, as much as the peer takes.
func (s *sock) drainPipe() {
	p := s.pipe
	for p.held > 0 && s.canSend() {
		n, err := unix.Splice(p.r, nil, int(s.fd), nil, p.held,
			unix.SPLICE_F_NONBLOCK|unix.SPLICE_F_MOVE)
		switch {
		case errors.Is(err, unix.EAGAIN):
			s.writable = false
		case err != nil:
			s.broken = true
			s.again()
		default:
			p.held -= int(n)
			s.moved = true
		}
	}
	if p.held == 0 || s.broken {
		s.dropPipe()
	}
}

func (s *sock) dropPipe() {
	s.loop.putPipe(s.pipe)
	s.pipe = nil
}

// canSplice says whether the rest of the response body can be moved within the kernel.
func (u *upConn) canSplice() (*client, int64) {
	n, sized := u.body.Sized()
	if !u.inBody || !sized || n < spliceMin || u.tls != nil || len(u.kept) > 0 || u.loop.noSplice {
		return nil, 0
	}
	c, plain := u.ex.down.(*client)
	if !plain || c.tls != nil || c.chunked || c.closed || c.broken || c.finSent {
		return nil, 0
	}
	c.flush()
	if len(c.out) > int(c.sent) {
		return nil, 0
	}
	return c, n
}

// splice moves a piece of the body to the client and says whether it did, or why not.
func (u *upConn) splice(c *client, n int64) error {
	moved, err := c.spliceFrom(u.sock, n)
	if moved > 0 {
		u.body.Skip(int64(moved))
		u.ex.passed(moved)
		if u.body.Done() {
			u.ex.bodyDownEnd(nil, !u.closing)
		}
	}
	return err
}

// passed notes that bytes of the response body went to the client without us.
func (ex *exchange) passed(n int) {
	ex.touch()
	ex.sent += int64(n)
}
