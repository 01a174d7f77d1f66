package lb

import (
	"net/netip"
	"strconv"
	"time"
)

// ConnRecord tells about one connection of a client, once its TLS handshake has ended in one way or
// the other, or, without TLS, when it was accepted. It is what the connection log of AWS shows.
type ConnRecord struct {
	LoadBalancer string
	Time         time.Time
	Client       netip.AddrPort
	ListenerPort uint16
	TLSVersion   string // such as TLSv1.3; empty without TLS
	TLSCipher    string
	KeyExchange  string // the group, such as X25519
	Handshake    time.Duration
	TraceID      string // TID_..., as in the access log
	// Failure says in our own words why the handshake failed; empty if it did not.
	Failure string
}

// connQueue is how many connection records wait for the receiver before they are dropped.
const connQueue = 4096

// AppendLine appends the record as a line of the connection log of Application Load Balancers (ALB
// guide, "Connection log entries"), with its end.
func (r *ConnRecord) AppendLine(b []byte) []byte {
	b = appendTime(b, r.Time)
	b = appendText(b, r.Client.Addr().String())
	b = append(strconv.AppendUint(b, uint64(r.Client.Port()), 10), ' ')
	b = append(strconv.AppendUint(b, uint64(r.ListenerPort), 10), ' ')
	b = appendText(b, r.TLSVersion)
	b = appendText(b, r.TLSCipher)
	if r.TLSVersion == "" {
		b = append(b, "- "...)
	} else {
		b = appendSeconds(b, r.Handshake)
	}
	b = append(b, `"-" - - - `...) // client certificates are not asked for
	b = appendText(b, r.TraceID)
	if r.KeyExchange == "" {
		return append(b, "-\n"...)
	}
	return append(append(b, r.KeyExchange...), '\n')
}

// logConn records a connection if the listener asks for it.
func (l *loop) logConn(info *connInfo, ln *listener, r ConnRecord) {
	if ln == nil || !ln.Attributes.ConnectionLog || l.eng.conns == nil {
		return
	}
	r.LoadBalancer, r.Time, r.Client = ln.LoadBalancer, l.wall(l.now), info.remote
	if r.ListenerPort = ln.Port; r.ListenerPort == 0 {
		r.ListenerPort = info.acc.addr.Port()
	}
	if info.tls != nil {
		r.TLSVersion, r.TLSCipher = info.tls.version, info.tls.cipher
		r.Handshake, r.TraceID = l.now-info.created, info.tls.traceID
	}
	select {
	case l.eng.conns <- r:
	default:
		l.eng.droppedRecords.Add(1)
	}
}

// passConns hands connection records to the receiver until the engine is closed.
func (e *Engine) passConns(receive func(ConnRecord)) {
	for r := range e.conns {
		receive(r)
	}
}
