package vpc

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"sync"

	"github.com/google/nftables"
	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"
)

const (
	kindHost = "host"
	kindVPC  = "vpc"
	kindENI  = "eni"

	// currentNamespace is the network namespace of the calling thread.
	currentNamespace = "/proc/thread-self/ns/net"
)

// namespace is a network namespace that is worked on from outside, by a netlink socket made inside.
type namespace struct {
	fd   int
	link *netlink.Handle

	// The netfilter sockets are opened when first needed and then kept: closing one waits for
	// what recent transactions removed to be freed, some 10 ms.
	tables *nftables.Conn
	flows  *netlink.Handle
}

func openNamespace(fd int) (*namespace, error) {
	link, err := netlink.NewHandleAt(netns.NsHandle(fd), unix.NETLINK_ROUTE)
	if err != nil {
		return nil, fmt.Errorf("open a netlink socket in a network namespace: %w", err)
	}
	return &namespace{fd: fd, link: link}, nil
}

// close leaves the descriptor open, which belongs to the doors.
func (n *namespace) close() {
	n.link.Close()
	n.closeNFT()
	if n.flows != nil {
		n.flows.Close()
	}
}

// nft is the namespace's nftables. After an error of Flush call closeNFT: errors stick to it.
func (n *namespace) nft() (*nftables.Conn, error) {
	if n.tables != nil {
		return n.tables, nil
	}
	conn, err := nftables.New(nftables.WithNetNSFd(n.fd), nftables.AsLasting())
	if err != nil {
		return nil, fmt.Errorf("open nftables: %w", err)
	}
	n.tables = conn
	return conn, nil
}

func (n *namespace) closeNFT() {
	if n.tables != nil {
		n.tables.CloseLasting()
		n.tables = nil
	}
}

// conntrack is the namespace's table of connections.
func (n *namespace) conntrack() (*netlink.Handle, error) {
	if n.flows != nil {
		return n.flows, nil
	}
	flows, err := netlink.NewHandleAt(netns.NsHandle(n.fd), unix.NETLINK_NETFILTER)
	if err != nil {
		return nil, fmt.Errorf("open a conntrack socket: %w", err)
	}
	n.flows = flows
	return flows, nil
}

// door names a namespace that threads may enter.
type door struct{ kind, id string }

var hostDoor = door{kind: kindHost}

// doors keeps the descriptors of all namespaces open, so that entering one is a single system call.
type doors struct {
	home int // where threads come back to

	mu  sync.RWMutex
	fds map[door]int
}

func openFD(path string) (int, error) {
	fd, err := unix.Open(path, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return -1, &os.PathError{Op: "open", Path: path, Err: err}
	}
	return fd, nil
}

// isNamespace says whether a namespace is mounted at path.
func isNamespace(path string) bool {
	var fs unix.Statfs_t
	return unix.Statfs(path, &fs) == nil && fs.Type == unix.NSFS_MAGIC
}

// ensure opens the namespace at path, and makes it first if there is none.
func (d *doors) ensure(at door, path string, settings []sysctl) error {
	d.mu.RLock()
	_, known := d.fds[at]
	d.mu.RUnlock()
	mounted := isNamespace(path)
	if known && mounted {
		return nil
	}
	d.shut(at)
	if !mounted {
		if err := d.create(path, settings); err != nil {
			return fmt.Errorf("create a network namespace: %w", err)
		}
	}
	return d.open(at, path)
}

func (d *doors) open(at door, path string) error {
	fd, err := openFD(path)
	if err != nil {
		return err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.fds[at] = fd
	return nil
}

// create makes a namespace and mounts it at path, which comes last: what is mounted is complete.
func (d *doors) create(path string, settings []sysctl) error {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDONLY, 0o444)
	if err != nil {
		return err
	}
	f.Close()
	done := make(chan error)
	go func() {
		runtime.LockOSThread()
		err := unshareAt(path, settings)
		if unix.Setns(d.home, unix.CLONE_NEWNET) == nil {
			runtime.UnlockOSThread() // otherwise the thread ends with the goroutine
		}
		done <- err
	}()
	return <-done
}

func unshareAt(path string, settings []sysctl) error {
	if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
		return fmt.Errorf("unshare: %w", err)
	}
	for _, s := range settings {
		if err := s.set(); err != nil {
			return err
		}
	}
	link, err := netlink.NewHandle(unix.NETLINK_ROUTE)
	if err != nil {
		return fmt.Errorf("open a netlink socket: %w", err)
	}
	defer link.Close()
	lo, err := link.LinkByName("lo")
	if err != nil {
		return fmt.Errorf("find lo: %w", err)
	}
	if err := link.LinkSetUp(lo); err != nil {
		return fmt.Errorf("set lo up: %w", err)
	}
	if err := unix.Mount(currentNamespace, path, "", unix.MS_BIND, ""); err != nil {
		return fmt.Errorf("mount on %s: %w", path, err)
	}
	return nil
}

// removeNamespace unmounts what is at path and removes the file. The namespace itself lives on as
// long as a process is in it.
func removeNamespace(path string) error {
	for isNamespace(path) {
		if err := unix.Unmount(path, unix.MNT_DETACH); err != nil {
			return &os.PathError{Op: "unmount", Path: path, Err: err}
		}
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return nil
}

// namespace opens a netlink socket behind a door.
func (d *doors) namespace(at door) (*namespace, error) {
	d.mu.RLock()
	defer d.mu.RUnlock()
	fd, ok := d.fds[at]
	if !ok {
		return nil, fmt.Errorf("%s %s: %w", at.kind, at.id, ErrNotFound)
	}
	return openNamespace(fd)
}

// enter moves the calling thread, which must be locked, into a namespace.
func (d *doors) enter(at door) error {
	d.mu.RLock()
	defer d.mu.RUnlock()
	fd, ok := d.fds[at]
	if !ok {
		return fmt.Errorf("%s %s: %w", at.kind, at.id, ErrNotFound)
	}
	if err := unix.Setns(fd, unix.CLONE_NEWNET); err != nil {
		return fmt.Errorf("enter the namespace of %s %s: %w", at.kind, at.id, err)
	}
	return nil
}

// leave brings the calling thread home. A thread that cannot go home must not run other code.
func (d *doors) leave() {
	if err := unix.Setns(d.home, unix.CLONE_NEWNET); err != nil {
		panic(fmt.Sprintf("vpc: a thread is lost in another network namespace: %v", err))
	}
	runtime.UnlockOSThread()
}

// do runs fn inside; fn may panic or end its goroutine.
func (d *doors) do(at door, fn func() error) error {
	runtime.LockOSThread()
	if err := d.enter(at); err != nil {
		runtime.UnlockOSThread()
		return err
	}
	defer d.leave()
	return fn()
}

func (d *doors) shut(at door) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if fd, ok := d.fds[at]; ok {
		unix.Close(fd)
		delete(d.fds, at)
	}
}

func (d *doors) close() {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, fd := range d.fds {
		unix.Close(fd)
	}
	clear(d.fds)
	unix.Close(d.home)
}
