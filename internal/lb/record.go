package lb

import (
	"encoding/binary"
	"net/netip"
	"strconv"
	"strings"
	"sync/atomic"
	"time"
)

// AccessRecord tells about one finished request, with what the access log of AWS wants to know.
// Strings are empty and addresses invalid where the log shows "-".
type AccessRecord struct {
	LoadBalancer string
	Listener     string
	Type         string // http, https, h2, grpcs, ws, wss
	Created      time.Time
	Finished     time.Time
	Client       netip.AddrPort
	Target       netip.AddrPort
	TargetKey    TargetKey
	// The three processing times; negative when the request was not dispatched to a target.
	RequestTime, TargetTime, ResponseTime time.Duration

	Status       int // as sent to the client, or 460
	TargetStatus int // 0 when no target answered
	Received     int64
	Sent         int64

	Method, URL, Version string // URL is absolute, with the port
	UserAgent            string
	TLSCipher            string // with the name of OpenSSL
	TLSVersion           string // such as TLSv1.2
	ServerName           string // SNI, if a certificate matched
	Certificate          string // Certificate.ID
	TraceID              string // X-Amzn-Trace-Id as sent to the target
	ConnTraceID          string // TID_..., the same for all requests of a connection

	Priority      int    // of the rule; 0 is the default rule, -1 that none was evaluated
	Actions       string // such as "forward" or "rewrite,forward"
	RedirectURL   string
	ErrorReason   string
	Class         string // Acceptable, Ambiguous, Severe
	ClassReason   string
	Retried       bool   // a second connection was tried, or another target
	FailureDetail string // our own words on a 4xx or 5xx made here, for operators

	// What the rule's transforms made of the host and of the path with the query, if they changed
	// them, and how they fared: TransformSuccess, or why the answer is a 500.
	TransformedHost, TransformedURI, TransformStatus string
}

// Clone returns the record with texts of its own.
func (r *AccessRecord) Clone() AccessRecord {
	c := *r
	for _, s := range []*string{&c.Method, &c.URL, &c.UserAgent, &c.TraceID, &c.TransformedHost,
		&c.TransformedURI} {
		*s = strings.Clone(*s)
	}
	return c
}

// AppendLine appends the record as a line of the access log of Application Load Balancers (ALB
// guide, "Access log entries"), with its end.
func (r *AccessRecord) AppendLine(b []byte) []byte {
	b = appendText(b, r.Type)
	b = appendTime(b, r.Finished)
	b = appendText(b, r.LoadBalancer)
	b = append(appendAddr(b, r.Client), ' ')
	from := len(b)
	b = appendAddr(b, r.Target)
	target := b[from:]
	b = append(b, ' ')
	b = appendSeconds(b, r.RequestTime)
	b = appendSeconds(b, r.TargetTime)
	b = appendSeconds(b, r.ResponseTime)
	b = append(appendStatus(b, r.Status), ' ')
	b = append(appendStatus(b, r.TargetStatus), ' ')
	b = append(strconv.AppendInt(b, r.Received, 10), ' ')
	b = append(strconv.AppendInt(b, r.Sent, 10), ' ')
	b = append(r.appendRequest(b), ' ')
	b = appendQuoted(b, r.UserAgent)
	b = appendText(b, r.TLSCipher)
	b = appendText(b, r.TLSVersion)
	b = appendText(b, r.TargetKey.Group)
	b = appendQuoted(b, r.TraceID)
	b = appendQuoted(b, r.ServerName)
	b = appendQuoted(b, r.Certificate)
	b = r.appendPriority(b)
	b = appendTime(b, r.Created)
	b = appendQuoted(b, r.Actions)
	b = appendQuoted(b, r.RedirectURL)
	b = appendQuoted(b, r.ErrorReason)
	b = append(append(append(b, '"'), target...), "\" "...)
	b = append(appendStatus(append(b, '"'), r.TargetStatus), "\" "...)
	b = appendQuoted(b, r.Class)
	b = appendQuoted(b, r.ClassReason)
	b = appendText(b, r.ConnTraceID)
	b = appendQuoted(b, r.TransformedHost)
	b = appendQuoted(b, r.TransformedURI)
	b = appendQuoted(b, r.TransformStatus)
	b[len(b)-1] = '\n'
	return b
}

func (r *AccessRecord) appendRequest(b []byte) []byte {
	b = append(b, '"')
	for i, part := range [...]string{r.Method, r.URL, r.Version} {
		if i > 0 {
			b = append(b, ' ')
		}
		b = appendEscaped(b, part)
	}
	return append(b, '"')
}

func (r *AccessRecord) appendPriority(b []byte) []byte {
	if r.Priority < 0 {
		return append(b, "- "...)
	}
	return append(strconv.AppendInt(b, int64(r.Priority), 10), ' ')
}

// appendText appends a field that needs no quotes.
func appendText(b []byte, s string) []byte {
	if s == "" {
		return append(b, "- "...)
	}
	return append(append(b, s...), ' ')
}

func appendQuoted(b []byte, s string) []byte {
	return append(appendEscaped(append(b, '"'), s), "\" "...)
}

// unquoted are the bytes that need no escaping in a line of the log.
var unquoted = func() (t [256]bool) {
	for c := ' '; c < 0x7f; c++ {
		t[c] = c != '"' && c != '\\'
	}
	return t
}()

// appendEscaped escapes what would end the field or the line.
func appendEscaped(b []byte, s string) []byte {
	if s == "" {
		return append(b, '-')
	}
	from := 0
	for i := 0; i < len(s); i++ {
		for len(s)-i > 8 && unquoted8(binary.LittleEndian.Uint64(bytesOf(s[i:]))) {
			i += 8
		}
		if c := s[i]; !unquoted[c] {
			const digits = "0123456789abcdef"
			b = append(append(b, s[from:i]...), '\\', 'x', digits[c>>4], digits[c&15])
			from = i + 1
		}
	}
	return append(b, s[from:]...)
}

// unquoted8 says that none of eight bytes needs escaping. Only a byte that does can borrow from the next
// one, or carry into it, so the answer is exact.
func unquoted8(x uint64) bool {
	const (
		ones = 0x0101010101010101
		high = 0x8080808080808080
	)
	zeros := func(x uint64) uint64 { return (x - ones) &^ x } // has the high bit of the first zero byte
	bad := (x - ' '*ones) &^ x                                // below ' '
	bad |= x | (x + ones)                                     // 0x7f and above
	bad |= zeros(x^'"'*ones) | zeros(x^'\\'*ones)
	return bad&high == 0
}

// secondText is a second as the log writes it: nearly all records of a moment share it.
type secondText struct {
	unix int64
	text string
}

var lastSecond atomic.Pointer[secondText]

// appendTime appends a time in ISO 8601 with microseconds.
func appendTime(b []byte, t time.Time) []byte {
	second := lastSecond.Load()
	if unix := t.Unix(); second == nil || second.unix != unix {
		second = &secondText{unix, t.UTC().Format("2006-01-02T15:04:05.")}
		lastSecond.Store(second)
	}
	return append(appendDigits(append(b, second.text...), t.Nanosecond()/1000, 6), "Z "...)
}

// appendDigits appends n with leading zeros.
func appendDigits(b []byte, n, width int) []byte {
	at := len(b)
	b = append(b, "000000"[:width]...)
	for i := at + width - 1; i >= at; i-- {
		b[i] = byte('0' + n%10)
		n /= 10
	}
	return b
}

func appendAddr(b []byte, a netip.AddrPort) []byte {
	if !a.IsValid() {
		return append(b, '-')
	}
	if !a.Addr().Is4() {
		return a.AppendTo(b)
	}
	b = append(appendIP(b, a.Addr()), ':')
	return strconv.AppendUint(b, uint64(a.Port()), 10)
}

// octets are the parts of IPv4 addresses: every request has a few of them to write.
var octets = func() (t [256]string) {
	for i := range t {
		t[i] = strconv.Itoa(i)
	}
	return t
}()

func appendIP(b []byte, a netip.Addr) []byte {
	if !a.Is4() {
		return a.AppendTo(b)
	}
	o := a.As4()
	b = append(append(b, octets[o[0]]...), '.')
	b = append(append(b, octets[o[1]]...), '.')
	b = append(append(b, octets[o[2]]...), '.')
	return append(b, octets[o[3]]...)
}

func appendStatus(b []byte, n int) []byte {
	if n == 0 {
		return append(b, '-')
	}
	return strconv.AppendInt(b, int64(n), 10)
}

// appendSeconds appends a duration in seconds with three decimals, or -1.
func appendSeconds(b []byte, d time.Duration) []byte {
	if d < 0 {
		return append(b, "-1 "...)
	}
	b = strconv.AppendInt(b, int64(d/time.Second), 10)
	ms := int(d % time.Second / time.Millisecond)
	return append(appendDigits(append(b, '.'), ms, 3), ' ')
}
