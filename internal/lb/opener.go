package lb

import (
	"crypto/tls"
	"errors"
	"fmt"

	"golang.org/x/sys/unix"

	"fairlead/internal/lb/poll"
)

// opener is a connection to a target until it stands: connect(2), and the TLS handshake.
type opener struct {
	*sock
	tgt   *target
	grp   *liveGroup
	timer poll.Timer
}

// openSock begins to connect to a target.
func (l *loop) openSock(g *liveGroup, t *target, owner sockOwner, cfg *tls.Config) (*sock, error) {
	fd, err := dial(l.eng.network, g.Node, g.Source, t.addr)
	if err != nil {
		return nil, err
	}
	s, err := l.newSock(fd, owner, poll.First)
	if err != nil {
		return nil, err
	}
	s.opening = true
	if g.Protocol == HTTPS {
		s.startTLS(tls.Client, cfg)
	}
	return s, nil
}

// stands says that the connection can be used.
func (o *opener) stands() bool { return !o.opening && (o.tls == nil || o.tls.ready) }

// stillOpening is the status of stand for a connection that does not stand yet.
const stillOpening = 1

// stand goes on with opening the connection. It returns 0 once the connection stands, stillOpening
// before, or the status of the answer that a failure deserves, with the failure.
func (o *opener) stand() (status int, err error) {
	if o.opening {
		if !o.writable && !o.readable {
			return stillOpening, nil
		}
		if status, err := o.connected(); err != nil {
			return status, err
		}
	}
	if o.stands() {
		return 0, nil
	}
	done, err := o.tls.handshake()
	switch {
	case err != nil:
		o.loop.counters.group(o.grp.ID).TargetTLSNegotiationErrorCount++
		return 502, fmt.Errorf("TLS handshake with target: %w", err)
	case !done:
		return stillOpening, nil
	}
	o.loop.wheel.Pause(&o.timer)
	return 0, nil
}

// connected takes the kernel's decision about the connection.
func (o *opener) connected() (status int, err error) {
	n, err := unix.GetsockoptInt(int(o.fd), unix.SOL_SOCKET, unix.SO_ERROR)
	if err == nil && n != 0 {
		err = unix.Errno(n)
	}
	if err != nil {
		o.loop.counters.group(o.grp.ID).TargetConnectionErrorCount++
		status = 502
		if errors.Is(err, unix.ETIMEDOUT) {
			status = 504
		}
		return status, fmt.Errorf("connect to target: %w", err)
	}
	o.opening = false
	o.markDirty()
	if o.tls != nil {
		o.loop.wheel.Set(&o.timer, o.loop.now+connectTimeout)
	} else {
		o.loop.wheel.Pause(&o.timer)
	}
	return 0, nil
}
