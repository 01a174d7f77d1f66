package lb

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"time"

	"fairlead/internal/lb/match"
	"fairlead/internal/lb/probe"
)

// Limits of what a table may say, with the quota or the documented range of AWS they stand for.
const (
	maxWeight         = 999                // of a target group in a forward action
	maxForwardGroups  = 5                  // target groups per forward action
	maxFixedBody      = 1024               // bytes of a fixed response
	minIdleTimeout    = time.Second        // idle_timeout.timeout_seconds
	maxIdleTimeout    = 4000 * time.Second //
	defaultIdle       = 60 * time.Second
	minKeepAlive      = 60 * time.Second // client_keep_alive.seconds
	maxKeepAlive      = 604800 * time.Second
	defaultKeepAlive  = 3600 * time.Second
	minSlowStart      = 30 * time.Second // slow_start.duration_seconds
	maxSlowStart      = 900 * time.Second
	minStickiness     = time.Second // stickiness.*.duration_seconds
	maxStickiness     = 604800 * time.Second
	defaultStickiness = 86400 * time.Second
)

// Table is a compiled [TableSpec]: checked, indexed, immutable.
type Table struct {
	listeners []*listener
	groups    []*group
	byID      map[string]*group
	fronts    map[bindKey]*front
}

// listener is a compiled Listener.
type listener struct {
	Listener
	index   int
	rules   *match.Rules
	actions []*action // of the rules, in their order
	dflt    *action
	names   []match.Pattern
	tls     *tlsSetup
}

// action is a compiled Action.
type action struct {
	kind     ActionType
	priority int // of the rule; 0 for the default
	groups   []weighted
	total    int // of the weights
	sticky   time.Duration
	redirect *Redirect
	fixed    *FixedResponse

	transforms *transforms // nil without any

	token      *JWTValidation // to be checked before; nil is none
	afterToken string         // the actions of the log when the token is good
}

type weighted struct {
	group  *group
	weight int
}

// group is a compiled Group.
type group struct {
	Group
	index int
	check probe.Check
	used  bool // some action refers to it
}

// bindKey names an address in a network.
type bindKey struct {
	node string
	addr string // netip.AddrPort as text, so that port 0 of several listeners stays apart
}

// front is what one address serves: one listener, or several that share it.
type front struct {
	key       bindKey
	bind      Bind
	secure    bool
	listeners []*listener
	fallback  *listener // for names that nobody has; may be nil
	byName    map[string]*listener
}

// Compile checks a spec and prepares it for serving. The error joins everything that is wrong; a
// setting that the data plane does not honour is an error, never ignored.
func Compile(spec TableSpec) (*Table, error) {
	t := &Table{byID: map[string]*group{}, fronts: map[bindKey]*front{}}
	var errs []error
	for _, g := range spec.Groups {
		if err := t.addGroup(g); err != nil {
			errs = append(errs, fmt.Errorf("target group %s: %w", g.ID, err))
		}
	}
	seen := map[string]bool{}
	for _, l := range spec.Listeners {
		if err := t.addListener(l); err != nil {
			errs = append(errs, fmt.Errorf("listener %s: %w", l.ID, err))
		}
		if seen[l.ID] {
			errs = append(errs, fmt.Errorf("listener %s: appears twice", l.ID))
		}
		seen[l.ID] = true
	}
	if err := errors.Join(errs...); err != nil {
		return nil, fmt.Errorf("compile table: %w", err)
	}
	return t, nil
}

func (t *Table) addListener(spec Listener) error {
	l := &listener{Listener: spec, index: len(t.listeners)}
	l.Attributes = withDefaults(l.Attributes)
	errs := []error{checkAttributes(l.Attributes), t.compileRules(l), l.compileTLS()}
	for _, n := range l.Names {
		l.names = append(l.names, match.HostPattern(n))
	}
	t.listeners = append(t.listeners, l)
	for i, b := range l.Binds {
		if err := t.addBind(l, i, b); err != nil {
			errs = append(errs, fmt.Errorf("bind %s: %w", b.Addr, err))
		}
	}
	return errors.Join(errs...)
}

func (l *listener) compileTLS() error {
	switch {
	case l.Protocol == HTTP && l.TLS == nil:
		return nil
	case l.Protocol == HTTPS && l.TLS != nil:
		setup, err := newTLSSetup(l.TLS, !l.Attributes.DisableHTTP2)
		l.tls = setup
		return err
	case l.Protocol == HTTP, l.Protocol == HTTPS:
		return errors.New("TLS settings belong to HTTPS listeners and only to them")
	}
	return fmt.Errorf("protocol %q is not supported by the data plane", l.Protocol)
}

func withDefaults(a Attributes) Attributes {
	a.IdleTimeout = cmp.Or(a.IdleTimeout, defaultIdle)
	a.ClientKeepAlive = cmp.Or(a.ClientKeepAlive, defaultKeepAlive)
	a.Desync = cmp.Or(a.Desync, DesyncDefensive)
	a.XFF = cmp.Or(a.XFF, XFFAppend)
	a.TLSVersionHeader = cmp.Or(a.TLSVersionHeader, "x-amzn-tls-version")
	a.TLSCipherHeader = cmp.Or(a.TLSCipherHeader, "x-amzn-tls-cipher-suite")
	return a
}

func checkAttributes(a Attributes) error {
	return errors.Join(
		inRange("idle timeout", a.IdleTimeout, minIdleTimeout, maxIdleTimeout),
		inRange("client keep-alive", a.ClientKeepAlive, minKeepAlive, maxKeepAlive),
		oneOf("desync mode", a.Desync, DesyncMonitor, DesyncDefensive, DesyncStrictest),
		oneOf("X-Forwarded-For mode", a.XFF, XFFAppend, XFFPreserve, XFFRemove),
	)
}

func inRange(what string, d, low, high time.Duration) error {
	if d < low || d > high {
		return fmt.Errorf("%s %v is not within %v and %v", what, d, low, high)
	}
	return nil
}

func oneOf[T ~string](what string, v T, allowed ...T) error {
	if !slices.Contains(allowed, v) {
		return fmt.Errorf("%s %q is not one of %q", what, v, allowed)
	}
	return nil
}

// keyOf names the address of a bind. Port 0 never collides: every bind gets its own.
func keyOf(l *listener, i int, b Bind) bindKey {
	if b.Addr.Port() == 0 {
		return bindKey{node: b.Node, addr: fmt.Sprintf("%s of %s/%d", b.Addr, l.ID, i)}
	}
	return bindKey{node: b.Node, addr: b.Addr.String()}
}

// addBind files a listener under an address.
func (t *Table) addBind(l *listener, i int, b Bind) error {
	key := keyOf(l, i, b)
	f := t.fronts[key]
	if f == nil {
		f = &front{key: key, bind: b, secure: l.Protocol == HTTPS, byName: map[string]*listener{}}
		t.fronts[key] = f
	} else if !b.Shared || !f.bind.Shared {
		return fmt.Errorf("is also an address of listener %s", f.listeners[0].ID)
	} else if f.secure != (l.Protocol == HTTPS) {
		return errors.New("is shared by HTTP and HTTPS listeners")
	}
	f.listeners = append(f.listeners, l)
	return f.addNames(l)
}

// addNames files a listener under its names and keeps track of who takes unknown names.
func (f *front) addNames(l *listener) error {
	for _, n := range l.Names {
		if other := f.byName[lowerString(n)]; other != nil && other != l {
			return fmt.Errorf("name %s belongs to listener %s already", n, other.ID)
		}
		f.byName[lowerString(n)] = l
	}
	f.fallback = nil
	if len(f.listeners) == 1 {
		f.fallback = l
		return nil
	}
	nameless := slices.Collect(func(yield func(*listener) bool) {
		for _, l := range f.listeners {
			if len(l.Names) == 0 && !yield(l) {
				return
			}
		}
	})
	if len(nameless) == 1 {
		f.fallback = nameless[0]
	}
	return nil
}

// listener finds who serves a host name (in any case, without port).
func (f *front) listener(name []byte) *listener {
	if len(f.listeners) == 1 {
		return f.listeners[0]
	}
	var buf [256]byte
	if l := f.byName[string(appendLower(buf[:0], name))]; l != nil {
		return l
	}
	for _, l := range f.listeners {
		if slices.ContainsFunc(l.names, func(p match.Pattern) bool { return p.Match(name) }) {
			return l
		}
	}
	return f.fallback
}

func (t *Table) compileRules(l *listener) error {
	sorted := slices.SortedStableFunc(slices.Values(l.Rules), func(a, b Rule) int {
		return cmp.Compare(a.Priority, b.Priority)
	})
	var errs []error
	var conds [][]match.Condition
	for _, r := range sorted {
		a, err := t.compileActions(r.Actions, r.Priority)
		if err == nil {
			a.transforms, err = compileTransforms(a.kind, r.Transforms)
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("rule %d: %w", r.Priority, err))
		}
		l.actions = append(l.actions, a)
		conds = append(conds, r.Conditions)
	}
	var err error
	if l.rules, err = match.Compile(conds); err != nil {
		errs = append(errs, err)
	}
	if l.dflt, err = t.compileActions(l.Default, 0); err != nil {
		errs = append(errs, fmt.Errorf("default: %w", err))
	}
	return errors.Join(append(errs, l.checkValidation())...)
}

func (t *Table) compileActions(actions []Action, priority int) (*action, error) {
	token, actions, err := cutValidation(actions)
	if err != nil {
		return nil, err
	}
	if len(actions) != 1 {
		for _, a := range actions {
			if err := oneOf("action", a.Type, ActionForward, ActionRedirect,
				ActionFixedResponse); err != nil {
				return nil, err
			}
		}
		return nil, fmt.Errorf("want exactly one action, have %d", len(actions))
	}
	a := actions[0]
	out := &action{kind: a.Type, priority: priority, redirect: a.Redirect, fixed: a.FixedResponse,
		token: token, afterToken: string(ActionJWTValidation) + "," + string(a.Type)}
	switch {
	case a.Type == ActionForward && a.Forward != nil:
		return out, t.compileForward(a.Forward, out)
	case a.Type == ActionRedirect && a.Redirect != nil:
		return out, checkRedirect(a.Redirect)
	case a.Type == ActionFixedResponse && a.FixedResponse != nil:
		return out, checkFixed(a.FixedResponse)
	}
	return nil, fmt.Errorf("action %q is not supported by the data plane", a.Type)
}

func (t *Table) compileForward(f *Forward, out *action) error {
	if n := len(f.Groups); n == 0 || n > maxForwardGroups {
		return fmt.Errorf("forward to %d target groups, want 1 to %d", n, maxForwardGroups)
	}
	out.sticky = f.Stickiness
	for _, w := range f.Groups {
		g := t.byID[w.Group]
		if g == nil {
			return fmt.Errorf("forward to unknown target group %s", w.Group)
		}
		if w.Weight < 0 || w.Weight > maxWeight {
			return fmt.Errorf("weight %d is not within 0 and %d", w.Weight, maxWeight)
		}
		g.used = true
		out.groups = append(out.groups, weighted{group: g, weight: w.Weight})
		out.total += w.Weight
	}
	if len(f.Groups) == 1 && out.total == 0 {
		// A single group gets everything: AWS sends its weight as 1, many callers as nothing.
		out.groups[0].weight, out.total = 1, 1
	}
	return nil
}

func checkRedirect(r *Redirect) error {
	if r.StatusCode != 301 && r.StatusCode != 302 {
		return fmt.Errorf("redirect with status %d, want 301 or 302", r.StatusCode)
	}
	return oneOf("protocol of redirect", r.Protocol, "", "#{protocol}", "HTTP", "HTTPS")
}

func checkFixed(f *FixedResponse) error {
	class := f.StatusCode / 100
	if class != 2 && class != 4 && class != 5 {
		return fmt.Errorf("fixed response with status %d, want 2XX, 4XX or 5XX", f.StatusCode)
	}
	if len(f.Body) > maxFixedBody {
		return fmt.Errorf("fixed response of %d bytes, limit is %d", len(f.Body), maxFixedBody)
	}
	return nil
}
