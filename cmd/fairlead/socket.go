package main

import (
	"errors"
	"fmt"
	"net"
	"os"
	"sync"

	"golang.org/x/sys/unix"

	"fairlead/internal/dns"
	"fairlead/internal/lb"
	"fairlead/internal/lb/handover"
)

// sockets are the listening sockets of the APIs and of DNS. They are open from the start of a process
// to its end, and beyond: while nobody serves, because another process takes over, clients wait and
// are not refused. Each reign serves on duplicates.
type sockets struct {
	api *net.TCPListener
	udp *net.UDPConn // nil with --dns ""
	tcp *net.TCPListener
}

// open opens what a predecessor has not left.
func (s *sockets) open(cfg config, left *heirlooms) (err error) {
	if s.api, err = openAPI(cfg.listen, left); err != nil {
		return fmt.Errorf("open the API's port: %w (choose another with --listen)", err)
	}
	if cfg.dnsListen == "" {
		return nil
	}
	udp, tcp := left.take("dns udp "+cfg.dnsListen), left.take("dns tcp "+cfg.dnsListen)
	if udp == nil || tcp == nil {
		s.udp, s.tcp, err = dns.Open(cfg.dnsListen)
		return err
	}
	s.udp, err = packetConn(udp)
	if err == nil {
		s.tcp, err = listener(tcp)
	}
	return err
}

func openAPI(address string, left *heirlooms) (*net.TCPListener, error) {
	if f := left.take("api " + address); f != nil {
		return listener(f)
	}
	l, err := net.Listen("tcp", address)
	if err != nil {
		return nil, err
	}
	return l.(*net.TCPListener), nil
}

// named lists duplicates for a successor. Their names hold the addresses as they were asked for: one
// that is asked for others opens its own.
func (s *sockets) named(cfg config) (all []handover.Socket, err error) {
	for name, socket := range map[string]filer{
		"api " + cfg.listen: s.api, "dns udp " + cfg.dnsListen: s.udp, "dns tcp " + cfg.dnsListen: s.tcp,
	} {
		if cfg.dnsListen == "" && socket != filer(s.api) {
			continue
		}
		f, err := socket.File()
		if err != nil {
			return all, fmt.Errorf("duplicate the socket of %s: %w", name, err)
		}
		all = append(all, named(name, f))
	}
	return all, nil
}

func (s *sockets) close() error {
	var errs []error
	if s.api != nil {
		errs = append(errs, s.api.Close())
	}
	if s.tcp != nil {
		errs = append(errs, s.udp.Close(), s.tcp.Close())
	}
	return errors.Join(errs...)
}

// filer is a socket that can be duplicated.
type filer interface{ File() (*os.File, error) }

// listener makes a listener of a file, which it closes.
func listener(f *os.File) (*net.TCPListener, error) {
	defer f.Close()
	l, err := net.FileListener(f)
	if err != nil {
		return nil, err
	}
	return l.(*net.TCPListener), nil
}

// packetConn is listener for datagrams.
func packetConn(f *os.File) (*net.UDPConn, error) {
	defer f.Close()
	c, err := net.FilePacketConn(f)
	if err != nil {
		return nil, err
	}
	return c.(*net.UDPConn), nil
}

// again duplicates a listener.
func again(l *net.TCPListener) (*net.TCPListener, error) {
	f, err := l.File()
	if err != nil {
		return nil, err
	}
	return listener(f)
}

func named(name string, f *os.File) handover.Socket {
	return handover.Socket{Name: name, Inherited: lb.Inherited{Files: []*os.File{f}}}
}

// dupFile duplicates a file that is no socket.
func dupFile(f *os.File) (dup *os.File, err error) {
	failed := lb.FD(f, func(fd int) {
		var n int
		if n, err = unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 0); err == nil {
			dup = os.NewFile(uintptr(n), f.Name())
		}
	})
	return dup, errors.Join(failed, err)
}

// heirlooms are files that a predecessor has left, by name, until somebody takes them.
type heirlooms struct {
	mu    sync.Mutex // guards files
	files map[string]*os.File
}

// take returns a file, which is the caller's from then on; nil if there is none.
func (h *heirlooms) take(name string) *os.File {
	h.mu.Lock()
	defer h.mu.Unlock()
	f := h.files[name]
	delete(h.files, name)
	return f
}

func (h *heirlooms) put(name string, f *os.File) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.files == nil {
		h.files = map[string]*os.File{}
	}
	h.files[name] = f
}

// drop closes what nobody has taken.
func (h *heirlooms) drop() {
	h.mu.Lock()
	defer h.mu.Unlock()
	for name, f := range h.files {
		f.Close()
		delete(h.files, name)
	}
}
