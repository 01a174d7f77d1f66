package main

import (
	"bytes"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// perSource is how many connections come from one loopback address.
	perSource = 10_000
	// answerTime bounds the wait for one answer, and for a connection.
	answerTime = 60 * time.Second
)

// Clients are bare blocking sockets: a goroutine and its wake-ups for each would cost more than the
// data plane does, on cores that it shares.

// dial connects the i-th connection, from the address that is its: one pair of addresses has only
// 28,000 ports.
func dial(i int, to netip.AddrPort) (fd int, err error) {
	if fd, err = unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0); err != nil {
		return -1, os.NewSyscallError("socket", err)
	}
	source := i / perSource
	from := &unix.SockaddrInet4{Addr: [4]byte{127, 100, byte(source / 250), byte(source%250 + 1)}}
	limit := unix.NsecToTimeval(answerTime.Nanoseconds())
	err = errors.Join(
		unix.SetsockoptInt(fd, unix.SOL_IP, unix.IP_BIND_ADDRESS_NO_PORT, 1),
		unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &limit),
		unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_SNDTIMEO, &limit),
		unix.Bind(fd, from))
	if err == nil {
		err = unix.Connect(fd, &unix.SockaddrInet4{Addr: to.Addr().As4(), Port: int(to.Port())})
	}
	if err != nil {
		unix.Close(fd)
		return -1, fmt.Errorf("connect %d: %w", i, err)
	}
	return fd, nil
}

// send writes a short text, which the kernel takes as a whole.
func send(fd int, text string) error {
	_, err := again(func() (int, error) { return unix.Write(fd, []byte(text)) })
	return os.NewSyscallError("write", err)
}

// again repeats a call that a signal of the Go runtime has interrupted.
func again(call func() (int, error)) (n int, err error) {
	for {
		if n, err = call(); !errors.Is(err, unix.EINTR) {
			return n, err
		}
	}
}

// getRoot is the request of all good clients.
const getRoot = "GET / HTTP/1.1\r\nHost: a\r\n\r\n"

// ask makes one request and waits for the answer.
func ask(fd int) error {
	if err := send(fd, getRoot); err != nil {
		return err
	}
	var a answer
	for {
		if done, err := a.read(fd); done || err != nil {
			return err
		}
	}
}

// answer is a response that comes in pieces.
type answer struct {
	buf [2 << 10]byte
	n   int
}

// read reads a piece and says whether the answer is complete, which has to be a 200 with a
// Content-Length.
func (a *answer) read(fd int) (done bool, err error) {
	n, err := again(func() (int, error) { return unix.Read(fd, a.buf[a.n:]) })
	if err != nil {
		return false, os.NewSyscallError("read", err)
	}
	if n == 0 {
		return false, fmt.Errorf("connection ended after %d bytes of an answer", a.n)
	}
	a.n += n
	head, body, ok := bytes.Cut(a.buf[:a.n], []byte("\r\n\r\n"))
	switch {
	case !ok && a.n == len(a.buf):
		return false, errors.New("the head of the answer is too long")
	case !ok:
		return false, nil
	case !bytes.HasPrefix(head, []byte("HTTP/1.1 200 ")):
		line, _, _ := bytes.Cut(head, []byte("\r\n"))
		return false, fmt.Errorf("answered %q", line)
	}
	_, rest, _ := bytes.Cut(head, []byte("\r\nContent-Length: "))
	rest, _, _ = bytes.Cut(rest, []byte("\r\n"))
	length, err := strconv.Atoi(string(rest))
	if err != nil {
		return false, fmt.Errorf("Content-Length of the answer: %w", err)
	}
	if len(body) < length {
		return false, nil
	}
	a.n = 0
	return true, nil
}
