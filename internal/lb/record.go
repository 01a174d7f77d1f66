package lb

import (
	"net/netip"
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
