// Package probe checks the health of targets: it asks a target at an interval, judges the answers
// and keeps the state that follows from them, with the states, reasons and descriptions of Elastic
// Load Balancing.
package probe

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"strings"
	"time"
)

// Defaults of target groups behind Application Load Balancers.
const (
	DefaultInterval  = 30 * time.Second
	DefaultTimeout   = 5 * time.Second
	DefaultHealthy   = 5 // successes until an unhealthy target is healthy again
	DefaultUnhealthy = 2 // failures until a target is unhealthy
)

// Check says how a target is asked and how its answers are judged.
type Check struct {
	Protocol           string // HTTP, HTTPS, TCP or Function
	Version            string // HTTP1, HTTP2 or GRPC
	Path               string
	Port               uint16 // 0 is the port of the target
	Interval, Timeout  time.Duration
	HealthyThreshold   int
	UnhealthyThreshold int
	Matcher            Matcher
	Node               string     // the network from which the target is asked
	Source             netip.Addr // the local address, if valid

	// For Function: Invoke asks the function and returns the status of its answer. MultiValue is the
	// form of event and answer.
	Invoke     func(context.Context) (status int, err error)
	MultiValue bool
}

// Function is the protocol of checks whose target is a function.
const Function = "function"

// Validate says what is wrong with a check.
func (c *Check) Validate() error {
	var errs []error
	if c.Protocol != "HTTP" && c.Protocol != "HTTPS" && c.Protocol != "TCP" &&
		c.Protocol != Function {
		errs = append(errs, fmt.Errorf("health check protocol %q", c.Protocol))
	}
	if !strings.HasPrefix(c.Path, "/") || strings.ContainsAny(c.Path, " \r\n\x00") {
		errs = append(errs, fmt.Errorf("health check path %q", c.Path))
	}
	if c.Interval <= 0 || c.Timeout <= 0 {
		errs = append(errs, fmt.Errorf("health check interval %v, timeout %v",
			c.Interval, c.Timeout))
	}
	if c.HealthyThreshold < 1 || c.UnhealthyThreshold < 1 {
		errs = append(errs, fmt.Errorf("health check thresholds %d and %d",
			c.HealthyThreshold, c.UnhealthyThreshold))
	}
	return errors.Join(errs...)
}

// Matcher is the set of codes that count as success, such as 200-299,301.
type Matcher struct {
	text   string
	ranges [][2]int
}

// ParseMatcher reads comma-separated codes and ranges of codes.
func ParseMatcher(s string) (Matcher, error) {
	m := Matcher{text: s}
	for part := range strings.SplitSeq(s, ",") {
		low, high, isRange := strings.Cut(strings.TrimSpace(part), "-")
		if !isRange {
			high = low
		}
		a, err := strconv.ParseUint(low, 10, 10)
		b, err2 := strconv.ParseUint(high, 10, 10)
		if err := errors.Join(err, err2); err != nil || a > b {
			return Matcher{}, fmt.Errorf("health check matcher %q is not a list of codes", s)
		}
		m.ranges = append(m.ranges, [2]int{int(a), int(b)})
	}
	return m, nil
}

// Match says whether a code counts as success.
func (m Matcher) Match(code int) bool {
	for _, r := range m.ranges {
		if code >= r[0] && code <= r[1] {
			return true
		}
	}
	return false
}

// String is the text that was parsed.
func (m Matcher) String() string { return m.text }

// Equal says whether two checks ask and judge in the same way.
func (c *Check) Equal(o *Check) bool {
	a, b := *c, *o
	same := a.Matcher.text == b.Matcher.text
	a.Matcher, b.Matcher = Matcher{}, Matcher{}
	return same && a.comparable() == b.comparable()
}

// comparable is a check without its matcher, for comparing.
func (c Check) comparable() any {
	return [...]any{c.Protocol, c.Version, c.Path, c.Port, c.Interval, c.Timeout,
		c.HealthyThreshold, c.UnhealthyThreshold, c.Node, c.Source, c.MultiValue}
}
