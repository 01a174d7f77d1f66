package lb

import (
	"net/netip"
	"strconv"
	"time"
	"unsafe"
)

const (
	// recordsPerBatch and recordDelay say when a loop hands its records on. A batch of this size, of
	// half a kilobyte each, still fits the caches.
	recordsPerBatch = 64
	recordDelay     = 200 * time.Millisecond
	// recordQueue is how many batches wait for the receiver before records are dropped.
	recordQueue = 256
	// textChunk is how much text of records is allocated at once: that of a batch, usually.
	textChunk = 16 << 10
)

// recordBatch collects records of a loop. Their texts are in one piece of memory that is used again,
// with the batch, when the records were received: a record costs no allocation, and its texts go to
// memory that is in the caches.
type recordBatch struct {
	records []AccessRecord
	text    []byte
	since   time.Duration
}

// string copies a text into the batch.
func (b *recordBatch) string(s []byte) string {
	if len(s) == 0 {
		return ""
	}
	b.reserve(len(s))
	from := len(b.text)
	b.text = append(b.text, s...)
	return unsafe.String(&b.text[from], len(s))
}

// reserve makes room for n bytes of text; older texts keep their memory.
func (b *recordBatch) reserve(n int) {
	if cap(b.text)-len(b.text) < n {
		b.text = make([]byte, 0, max(textChunk, n))
	}
}

// logged counts and records an exchange that has ended. It is called exactly once for each.
func (ex *exchange) logged() {
	if ex.stats != nil {
		ex.stats.ProcessedBytes += uint64(ex.received + ex.sent)
		if ex.tgt != nil && ex.grp.Lambda {
			ex.stats.LambdaTargetProcessedBytes += uint64(ex.received + ex.sent)
		}
	}
	l := ex.loop
	if ex.ln == nil || !ex.ln.Attributes.AccessLog || l.eng.accessLog == nil {
		return
	}
	if l.records == nil {
		l.records = l.eng.newBatch()
		l.records.since = l.now
	}
	b := l.records
	n := len(b.records)
	b.records = b.records[:n+1] // newBatch has made room
	ex.fillRecord(&b.records[n], b)
	if n+1 == recordsPerBatch {
		l.handOver()
	}
}

// sendRecords hands records on that have waited long enough.
func (l *loop) sendRecords() {
	if l.records != nil && (l.now-l.records.since >= recordDelay || l.stopping.Load()) {
		l.handOver()
	}
}

func (l *loop) handOver() {
	b := l.records
	l.records = nil
	select {
	case l.eng.batches <- b:
	default:
		l.eng.droppedRecords.Add(uint64(len(b.records)))
	}
}

// fillRecord writes down what is known about the exchange, over what the record held before.
func (ex *exchange) fillRecord(r *AccessRecord, b *recordBatch) {
	l := ex.loop
	r.LoadBalancer, r.Listener = ex.ln.LoadBalancer, ex.ln.ID
	r.Type = ex.logType()
	r.Created, r.Finished = l.wall(ex.created), l.wall(l.now)
	r.Client = ex.conn.remote
	r.Status, r.TargetStatus = ex.status, ex.targetStatus
	r.Received, r.Sent = ex.received, ex.sent
	r.Method, r.Version = b.string(ex.method), ex.version()
	r.URL = ex.logURL(b)
	r.UserAgent, r.TraceID = b.string(ex.agent), b.string(ex.traceID)
	r.Priority, r.Actions = -1, ""
	if ex.act != nil {
		r.Priority, r.Actions = ex.act.priority, ex.executed()
	}
	r.TransformedHost, r.TransformedURI, r.TransformStatus = "", "", ""
	if ex.transformed != nil {
		ex.transformed.fill(r, b)
	}
	r.RedirectURL, r.ErrorReason, r.FailureDetail = ex.redirect, ex.reason, ex.detail
	r.Retried = ex.retried || len(ex.tried) > 0
	r.Class, r.ClassReason = "", ""
	if ex.class > 0 {
		r.Class, r.ClassReason = ex.class.String(), ex.classReason
	}
	t := ex.conn.tls
	if t == nil {
		t = &noTLS
	}
	r.TLSCipher, r.TLSVersion = t.cipher, t.version
	r.ServerName, r.Certificate, r.ConnTraceID = t.serverName, t.certificate, t.traceID
	ex.fillTimes(r)
}

// noTLS is what is logged of the TLS of a plain connection.
var noTLS tlsInfo

// fillTimes writes down the target and the three processing times.
func (ex *exchange) fillTimes(r *AccessRecord) {
	r.RequestTime, r.TargetTime, r.ResponseTime = -1, -1, -1
	if ex.tgt == nil {
		r.Target, r.TargetKey = netip.AddrPort{}, TargetKey{}
		return
	}
	r.Target, r.TargetKey = ex.tgt.addr, ex.tgt.key
	if ex.dispatched == 0 {
		return // a function was not invoked for it
	}
	r.RequestTime = ex.dispatched - ex.created
	if ex.answered > 0 {
		r.TargetTime = ex.answered - ex.dispatched
		r.ResponseTime = ex.loop.now - ex.answered
	}
}

func (ex *exchange) logType() string {
	secure := ex.ln.Protocol == HTTPS
	switch {
	case ex.targetStatus == 101 && secure:
		return "wss"
	case ex.targetStatus == 101:
		return "ws"
	case ex.grpc:
		return "grpcs"
	case ex.http2:
		return "h2"
	case secure:
		return "https"
	}
	return "http"
}

func (ex *exchange) version() string {
	switch {
	case ex.http2:
		return "HTTP/2.0"
	case ex.minor == 0:
		return "HTTP/1.0"
	}
	return "HTTP/1.1"
}

// logURL is the absolute URL of the request, always with a port.
func (ex *exchange) logURL(b *recordBatch) string {
	if len(ex.method) == 0 {
		return ""
	}
	scheme := "http://"
	if ex.ln.Protocol == HTTPS {
		scheme = "https://"
	}
	host, target := ex.host, ex.target
	if t := ex.transformed; t != nil {
		host, target = t.host, t.target
	}
	if len(host) == 0 {
		host = []byte(ex.ln.DNSName)
	}
	var buf [len("65535")]byte
	port := strconv.AppendUint(buf[:0], uint64(ex.port()), 10)
	b.reserve(len(scheme) + len(host) + 1 + len(port) + len(target))
	from := len(b.text)
	b.text = append(append(append(b.text, scheme...), host...), ':')
	b.text = append(append(b.text, port...), target...)
	return unsafe.String(&b.text[from], len(b.text)-from)
}
