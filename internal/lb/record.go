package lb

import (
	"net/netip"
	"strconv"
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
	Actions       string // such as "forward"
	RedirectURL   string
	ErrorReason   string
	Class         string // Acceptable, Ambiguous, Severe
	ClassReason   string
	Retried       bool   // a second connection was tried
	FailureDetail string // our own words on a 4xx or 5xx made here, for operators
}

// AppendLine appends the record as a line of the access log of Application Load Balancers (ALB
// guide, "Access log entries"), with its end.
func (r *AccessRecord) AppendLine(b []byte) []byte {
	l := line{b}
	l.text(r.Type)
	l.time(r.Finished)
	l.text(r.LoadBalancer)
	l.addr(r.Client)
	l.addr(r.Target)
	l.seconds(r.RequestTime)
	l.seconds(r.TargetTime)
	l.seconds(r.ResponseTime)
	l.number(int64(r.Status), 0)
	l.number(int64(r.TargetStatus), 0)
	l.number(r.Received, -1)
	l.number(r.Sent, -1)
	l.quoted(orDash(r.Method) + " " + orDash(r.URL) + " " + orDash(r.Version))
	l.quoted(r.UserAgent)
	l.text(r.TLSCipher)
	l.text(r.TLSVersion)
	l.text(r.TargetKey.Group)
	l.quoted(r.TraceID)
	l.quoted(r.ServerName)
	l.quoted(r.Certificate)
	l.text(r.priority())
	l.time(r.Created)
	l.quoted(r.Actions)
	l.quoted(r.RedirectURL)
	l.quoted(r.ErrorReason)
	l.quoted(addrText(r.Target))
	l.quoted(statusText(r.TargetStatus))
	l.quoted(r.Class)
	l.quoted(r.ClassReason)
	l.text(r.ConnTraceID)
	l.quoted("") // transformed_host, transformed_uri, request_transform_status
	l.quoted("")
	l.quoted("")
	l.b[len(l.b)-1] = '\n'
	return l.b
}

func (r *AccessRecord) priority() string {
	if r.Priority < 0 {
		return ""
	}
	return strconv.Itoa(r.Priority)
}

// line appends fields, each followed by a blank.
type line struct{ b []byte }

func (l *line) text(s string) { l.b = append(append(l.b, orDash(s)...), ' ') }

func orDash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

// quoted escapes what would end the field or the line.
func (l *line) quoted(s string) {
	l.b = append(l.b, '"')
	for _, c := range []byte(orDash(s)) {
		if c == '"' || c == '\\' || c < ' ' || c >= 0x7f {
			const digits = "0123456789abcdef"
			l.b = append(l.b, '\\', 'x', digits[c>>4], digits[c&15])
			continue
		}
		l.b = append(l.b, c)
	}
	l.b = append(l.b, '"', ' ')
}

func (l *line) time(t time.Time) {
	l.b = append(t.UTC().AppendFormat(l.b, "2006-01-02T15:04:05.000000Z"), ' ')
}

func (l *line) addr(a netip.AddrPort) { l.text(addrText(a)) }

func addrText(a netip.AddrPort) string {
	if !a.IsValid() {
		return ""
	}
	return a.String()
}

func statusText(n int) string {
	if n == 0 {
		return ""
	}
	return strconv.Itoa(n)
}

func (l *line) seconds(d time.Duration) {
	if d < 0 {
		l.text("-1")
		return
	}
	l.b = append(strconv.AppendFloat(l.b, d.Seconds(), 'f', 3, 64), ' ')
}

// number appends n, or a dash if it is the given value.
func (l *line) number(n, none int64) {
	if n == none {
		l.text("")
		return
	}
	l.b = append(strconv.AppendInt(l.b, n, 10), ' ')
}
