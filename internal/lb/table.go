package lb

import (
	"crypto/tls"
	"net/netip"
	"time"

	"fairlead/internal/lb/jwt"
	"fairlead/internal/lb/lambda"
	"fairlead/internal/lb/match"
)

// TableSpec is the whole wanted state of the data plane. [Compile] checks it and prepares it for
// serving; the caller must not change anything that it refers to afterwards.
type TableSpec struct {
	Listeners []Listener
	Groups    []Group
}

// Protocol is what a listener speaks with clients or a group with its targets.
type Protocol string

// The protocols of an Application Load Balancer.
const (
	HTTP  Protocol = "HTTP"
	HTTPS Protocol = "HTTPS"
	TCP   Protocol = "TCP" // health checks only
)

// ProtocolVersion is the version of HTTP spoken with the targets of a group.
type ProtocolVersion string

// The protocol versions of a target group. Empty means HTTP1.
const (
	HTTP1 ProtocolVersion = "HTTP1"
	HTTP2 ProtocolVersion = "HTTP2"
	GRPC  ProtocolVersion = "GRPC"
)

// Bind is one address on which a listener accepts connections.
type Bind struct {
	// Node names the network in which the listening socket lives, as [Network] understands it;
	// empty is the host.
	Node string
	// Addr is the address and port to listen on. Port 0 takes a free port, see [Engine.Bound].
	Addr netip.AddrPort
	// Zone is the Availability Zone of this address; it matters only for groups with SameZoneOnly.
	Zone string
	// Shared marks the front door: any number of listeners may have the same shared bind, as long
	// as all are HTTP or all HTTPS. A connection (by SNI) or a request (by Host) then belongs to
	// the listener that has the name among its Names; see [Listener].
	Shared bool
}

// Listener accepts HTTP or HTTPS on one or more addresses and routes requests by rules.
type Listener struct {
	// ID is unique in the table; log records carry it. The ARN, usually.
	ID string
	// LoadBalancer is the name under which counters and log records of several listeners are
	// added up; "app/NAME/ID", usually.
	LoadBalancer string
	// DNSName is sent as Host for HTTP/1.0 requests without one.
	DNSName string
	// Names are the host names (or wildcard patterns such as *.example.com) that lead to this
	// listener on a shared bind. A request on a shared bind whose name no listener has goes to
	// the listener with an empty Names, if there is exactly one or only one listener at all.
	Names []string

	Protocol Protocol
	Port     uint16 // the port of the listener as clients know it; 0 means the port of the Bind
	Binds    []Bind
	TLS      *TLS // for HTTPS

	Rules   []Rule   // in any order; Compile sorts them by Priority
	Default []Action // what to do when no rule matches

	Attributes Attributes
}

// TLS says how a listener terminates TLS.
type TLS struct {
	// Policy is the name of the security policy, such as ELBSecurityPolicy-2016-08 (which empty
	// means). See package sslpolicy for the known ones.
	Policy string
	// Certificates holds the default certificate first, then the SNI list.
	Certificates []Certificate
}

// Certificate is a parsed certificate with its private key.
type Certificate struct {
	ID   string // the ARN; log records carry it
	Cert tls.Certificate
}

// XFFMode says what happens to X-Forwarded-For.
type XFFMode string

// The modes of routing.http.xff_header_processing.mode. Empty means append.
const (
	XFFAppend   XFFMode = "append"
	XFFPreserve XFFMode = "preserve"
	XFFRemove   XFFMode = "remove"
)

// DesyncMode says how strictly requests are refused that two parsers could read differently.
type DesyncMode string

// The modes of routing.http.desync_mitigation_mode. Empty means defensive.
const (
	DesyncMonitor   DesyncMode = "monitor"
	DesyncDefensive DesyncMode = "defensive"
	DesyncStrictest DesyncMode = "strictest"
)

// Attributes are the attributes of a load balancer and its listener that the data plane honours.
// The zero value means the defaults of AWS.
type Attributes struct {
	IdleTimeout        time.Duration // 0 means 60 s; 1 s to 4000 s
	ClientKeepAlive    time.Duration // 0 means 3600 s; 60 s to 604800 s
	Desync             DesyncMode
	XFF                XFFMode
	XFFClientPort      bool // append "ip:port" instead of "ip"
	PreserveHost       bool
	DropInvalidHeaders bool
	TLSHeaders         bool // x-amzn-tls-version and x-amzn-tls-cipher-suite to targets
	DisableHTTP2       bool
	HideServerHeader   bool // no Server header in responses the load balancer makes itself
	// ResponseHeaders are set in, or replace those of, every response of the listener.
	ResponseHeaders []Header
	// TLSVersionHeader and TLSCipherHeader rename the two headers of TLSHeaders.
	TLSVersionHeader, TLSCipherHeader string
	// AccessLog asks for an [AccessRecord] per request, ConnectionLog for a [ConnRecord] per
	// connection; on a shared address, where the name is not known without TLS, the first
	// listener's counts.
	AccessLog, ConnectionLog bool
}

// Header is one header field.
type Header struct{ Name, Value string }

// Rule routes the requests that meet all of its conditions.
type Rule struct {
	ID         string
	Priority   int // 1 to 50000; lowest is tried first
	Conditions []Condition
	Actions    []Action
	Transforms []Transform // at most one of each type, and only with a forward
}

// Condition is one condition of a rule, see package match.
type Condition = match.Condition

// ConditionField names what a condition looks at.
type ConditionField = match.Field

// QueryPair is one value of a query-string condition. An empty Key means any key.
type QueryPair = match.QueryPair

// The fields of rule conditions.
const (
	HostHeader        = match.HostHeader
	PathPattern       = match.PathPattern
	HTTPHeader        = match.HTTPHeader
	QueryString       = match.QueryString
	HTTPRequestMethod = match.HTTPRequestMethod
	SourceIP          = match.SourceIP
)

// ActionType names what an action does.
type ActionType string

// The types of actions that the data plane performs. Compile refuses all others.
const (
	ActionForward       ActionType = "forward"
	ActionRedirect      ActionType = "redirect"
	ActionFixedResponse ActionType = "fixed-response"
	ActionJWTValidation ActionType = "jwt-validation"
)

// Action is one step of answering a request. The last of a rule's actions must be a forward,
// redirect or fixed-response. On HTTPS listeners a jwt-validation may stand before it.
type Action struct {
	Type          ActionType
	Forward       *Forward
	Redirect      *Redirect
	FixedResponse *FixedResponse
	JWTValidation *JWTValidation
}

// JWTValidation lets only requests with a good token on to the next action, see package jwt.
type JWTValidation = jwt.Policy

// Claim is a claim that tokens must have besides those that are always checked.
type Claim = jwt.Claim

// Forward sends the request to a target of one of the groups, chosen by weight. A group with
// weight 0 gets nothing; a chosen group that is empty is answered with 503, not replaced.
type Forward struct {
	Groups []WeightedGroup
	// Stickiness keeps a client in the group it was given (cookie AWSALBTG); 0 is off.
	Stickiness time.Duration
}

// WeightedGroup is one of the groups of a forward action.
type WeightedGroup struct {
	Group  string // Group.ID
	Weight int    // 0 to 999
}

// Redirect answers with a 301 or 302. Empty parts mean "unchanged"; #{protocol}, #{host}, #{port},
// #{path} and #{query} are replaced by the parts of the request.
type Redirect struct {
	StatusCode                        int
	Protocol, Host, Port, Path, Query string
}

// FixedResponse answers with a configured response.
type FixedResponse struct {
	StatusCode  int
	ContentType string
	Body        string
}

// Algorithm chooses among the usable targets of a group.
type Algorithm string

// The algorithms of load_balancing.algorithm.type. Empty means round_robin.
const (
	RoundRobin       Algorithm = "round_robin"
	LeastOutstanding Algorithm = "least_outstanding_requests"
	WeightedRandom   Algorithm = "weighted_random"
)

// Group is a target group.
type Group struct {
	ID       string // unique in the table; the ARN, usually
	Lambda   bool   // its one target is a function; it has neither protocol nor algorithm
	Protocol Protocol
	Version  ProtocolVersion
	// Node names the network from which targets are connected and probed, as [Network]
	// understands it; Source, if valid, is the local address of those connections.
	Node   string
	Source netip.Addr

	Algorithm  Algorithm
	Stickiness Stickiness
	SlowStart  time.Duration // 0 is off; 30 s to 900 s
	// SameZoneOnly turns cross-zone load balancing off for the group.
	SameZoneOnly bool
	// MinHealthy and MinHealthyPercent are the thresholds of unhealthy-state routing: with fewer
	// healthy targets all are used. 0 means 1 target, and no percentage.
	MinHealthy, MinHealthyPercent int
	// MultiValueHeaders tells a function all values of a header, and takes as many from it.
	MultiValueHeaders bool

	HealthCheck HealthCheck
	Targets     []Target
}

// StickinessType is the kind of cookie that binds a client to a target.
type StickinessType string

// The types of target stickiness. Empty means none.
const (
	NoStickiness StickinessType = ""
	LBCookie     StickinessType = "lb_cookie"
	AppCookie    StickinessType = "app_cookie"
)

// Stickiness binds a client to a target.
type Stickiness struct {
	Type     StickinessType
	Duration time.Duration // 1 s to 604800 s; 0 means 86400 s
	Cookie   string        // the application's cookie, for app_cookie
}

// HealthCheck says how the targets of a group are probed. Zero values mean the defaults that AWS
// has for groups of Application Load Balancers; those of functions are 35 s, 30 s and 5, and whoever
// wants them not to be probed, as AWS does by default, says so.
type HealthCheck struct {
	Disabled           bool
	Protocol           Protocol      // HTTP, HTTPS or TCP; empty means the group's protocol
	Port               uint16        // 0 means the port of the target
	Path               string        // empty means "/", for GRPC "/AWS.ALB/healthcheck"
	Interval           time.Duration // 0 means 30 s
	Timeout            time.Duration // 0 means 5 s
	HealthyThreshold   int           // 0 means 5
	UnhealthyThreshold int           // 0 means 2
	Matcher            string        // such as "200", "200,202", "200-299"; gRPC codes for GRPC
}

// Target is one registered target.
type Target struct {
	ID   string // the instance id or address under which it was registered
	Port uint16 // the port under which it was registered
	Addr netip.AddrPort
	// Function is the target of a Lambda group, in place of port and address.
	Function Function
	Zone     string
	// Draining targets get no new requests. A target that is no longer in the table is cut: its
	// requests in flight end with 502; but not those to a function. Waiting for the deregistration
	// delay is the caller's.
	Draining bool
	// LastHealth is what was known before a restart. It is the state until the first probe; the
	// zero value means that the target is new.
	LastHealth HealthState
}

// Function names a function and where it is invoked, see package lambda.
type Function = lambda.Function

// TargetKey identifies a target. The same instance may be in a group several times with different
// ports, and in several groups with different health.
type TargetKey struct {
	Group string
	ID    string
	Port  uint16
}
