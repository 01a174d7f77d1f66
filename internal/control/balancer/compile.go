package balancer

import (
	"cmp"
	"crypto/tls"
	"fmt"
	"net/netip"
	"slices"

	"time"

	"fairlead/internal/elb"
	"fairlead/internal/lb"
	"fairlead/internal/row"
	"fairlead/internal/state"
)

// compiler turns rows into the data plane's table. Equal rows give equal tables.
type compiler struct {
	door   netip.Addr // invalid is none
	lambda string     // where functions are invoked; empty is nowhere
	// health is what was known of targets before this process; read once, at the first compilation.
	health map[lb.TargetKey]lb.HealthState
	certs  map[string]parsedCertificate
}

// parsedCertificate is kept as long as its row stays the same: parsing costs, and a table with the
// same certificates must compare equal.
type parsedCertificate struct {
	row  row.Certificate
	cert tls.Certificate
}

func newCompiler(door netip.Addr) *compiler { return &compiler{door: door} }

// compile returns the table that the rows ask for, and what is wrong with rows that are left out.
func (c *compiler) compile(r state.Reader) (spec lb.TableSpec, notes []string) {
	if c.health == nil {
		c.health = lastHealth(r)
	}
	notes = c.parseCertificates(r)
	for b := range row.LoadBalancers.Scan(r, "") {
		nodes := readyNodes(r, b)
		if len(nodes) == 0 {
			continue // the network controller is still at work
		}
		for l := range row.Listeners.By(r, "balancer", b.ARN) {
			listener, err := c.listener(r, b, l, nodes)
			if err != nil {
				notes = append(notes, fmt.Sprintf("listener %s: %v", l.ARN, err))
				continue
			}
			spec.Listeners = append(spec.Listeners, listener)
		}
		groups := c.groups(r, b, nodes[0].eni.ID)
		spec.Groups = append(spec.Groups, groups...)
		notes = append(notes, c.notInvoked(groups)...)
	}
	if c.door.IsValid() {
		spec.Listeners = openDoor(spec.Listeners, c.door)
	}
	return spec, notes
}

// lastHealth reads what was known of targets when the process started.
func lastHealth(r state.Reader) map[lb.TargetKey]lb.HealthState {
	known := map[lb.TargetKey]lb.HealthState{}
	for h := range row.TargetHealths.Scan(r, "") {
		switch s := lb.HealthState(h.State); s {
		case lb.Healthy, lb.Unhealthy:
			known[lb.TargetKey{Group: h.TargetGroup, ID: h.ID, Port: uint16(h.Port)}] = s
		}
	}
	return known
}

// node is a node of a load balancer whose devices exist.
type node struct {
	row.LoadBalancerNode
	eni row.NetworkInterface
}

func readyNodes(r state.Reader, b row.LoadBalancer) (nodes []node) {
	for _, n := range b.Nodes {
		if i, ok := row.NetworkInterfaces.Get(r, b.Scope.Key(n.ENI)); ok && i.Ready {
			nodes = append(nodes, node{n, i})
		}
	}
	return nodes
}

// binds lists the addresses of a port: of each node the private one and, if it has one, the public.
func binds(nodes []node, port int) (all []lb.Bind) {
	for _, n := range nodes {
		for _, at := range []struct{ node, address string }{
			{n.eni.ID, n.eni.Address}, {"", n.eni.PublicAddress},
		} {
			if addr, err := netip.ParseAddr(at.address); err == nil {
				all = append(all, lb.Bind{
					Node: at.node, Addr: netip.AddrPortFrom(addr, uint16(port)), Zone: n.Zone,
				})
			}
		}
	}
	return all
}

func (c *compiler) listener(
	r state.Reader, b row.LoadBalancer, l row.Listener, nodes []node,
) (lb.Listener, error) {
	out := lb.Listener{
		ID: l.ARN, LoadBalancer: b.Path(), DNSName: b.DNSName, Names: []string{b.DNSName},
		Protocol: lb.Protocol(l.Protocol), Port: uint16(l.Port), Binds: binds(nodes, l.Port),
		Attributes: attributes(b, l),
	}
	for rule := range row.Rules.By(r, "listener", l.ARN) {
		compiled := compileRule(rule)
		if rule.IsDefault() {
			out.Default = compiled.Actions
			continue
		}
		out.Rules = append(out.Rules, compiled)
		out.Names = append(out.Names, hostNames(compiled)...)
	}
	slices.SortFunc(out.Rules, func(a, b lb.Rule) int { return a.Priority - b.Priority })
	if l.Protocol != "HTTPS" {
		return out, nil
	}
	out.TLS = &lb.TLS{Policy: l.SSLPolicy}
	for _, arn := range append([]string{l.Certificate}, l.Certificates...) {
		parsed, ok := c.certs[arn]
		if !ok {
			return out, fmt.Errorf("certificate %s cannot be used", arn)
		}
		out.TLS.Certificates = append(out.TLS.Certificates, lb.Certificate{ID: arn, Cert: parsed.cert})
		out.Names = append(out.Names, parsed.cert.Leaf.DNSNames...)
	}
	return out, nil
}

// parseCertificates brings the certificates in line with the rows that listeners name.
func (c *compiler) parseCertificates(r state.Reader) (notes []string) {
	fresh := map[string]parsedCertificate{}
	for l := range row.Listeners.Scan(r, "") {
		for _, arn := range append([]string{l.Certificate}, l.Certificates...) {
			from, ok := row.Certificates.Get(r, arn)
			if !ok {
				continue
			}
			if old, ok := c.certs[arn]; ok && old.row.PEM == from.PEM &&
				old.row.Chain == from.Chain && old.row.PrivateKey == from.PrivateKey {
				fresh[arn] = old
				continue
			}
			cert, err := tls.X509KeyPair([]byte(from.PEM+from.Chain), []byte(from.PrivateKey))
			if err != nil {
				notes = append(notes, fmt.Sprintf("certificate %s: %v", arn, err))
				continue
			}
			fresh[arn] = parsedCertificate{from, cert}
		}
	}
	c.certs = fresh
	return notes
}

// attributes joins those of the load balancer and of the listener.
func attributes(b row.LoadBalancer, l row.Listener) lb.Attributes {
	v := elb.OfBalancer(b).Values(b.Attributes)
	own := elb.OfListener(l).Values(l.Attributes)
	out := lb.Attributes{
		IdleTimeout: seconds(v, elb.IdleTimeout), ClientKeepAlive: seconds(v, elb.ClientKeepAlive),
		Desync: lb.DesyncMode(v[elb.DesyncMitigationMode]), XFF: lb.XFFMode(v[elb.XFFProcessingMode]),
		XFFClientPort: v.Bool(elb.XFFClientPort), PreserveHost: v.Bool(elb.PreserveHostHeader),
		DropInvalidHeaders: v.Bool(elb.DropInvalidHeaders), TLSHeaders: v.Bool(elb.TLSHeaders),
		DisableHTTP2: !v.Bool(elb.HTTP2), HideServerHeader: !own.Bool(elb.ServerHeader),
		TLSVersionHeader: l.Attributes[elb.TLSVersionHeader],
		TLSCipherHeader:  l.Attributes[elb.TLSCipherHeader],
	}
	for _, h := range elb.ResponseHeaders(own) {
		out.ResponseHeaders = append(out.ResponseHeaders, lb.Header(h))
	}
	return out
}

func seconds(v elb.Values, key string) time.Duration {
	return time.Duration(v.Int(key)) * time.Second
}

// groups lists the target groups that a load balancer forwards to, sorted by ARN. Their targets are
// connected and probed from one node of the load balancer.
func (c *compiler) groups(r state.Reader, b row.LoadBalancer, from string) (groups []lb.Group) {
	var arns []string
	for rule := range row.Rules.By(r, "balancer", b.ARN) {
		arns = append(arns, rule.TargetGroups()...)
	}
	slices.Sort(arns)
	for _, arn := range slices.Compact(arns) {
		if g, ok := row.TargetGroups.Get(r, arn); ok {
			groups = append(groups, c.group(r, b, g, from))
		}
	}
	return groups
}

func (c *compiler) group(
	r state.Reader, b row.LoadBalancer, g row.TargetGroup, from string,
) lb.Group {
	v := elb.OfGroup(g).Values(g.Attributes)
	out := lb.Group{
		ID: g.ARN, Protocol: lb.Protocol(g.Protocol), Version: lb.ProtocolVersion(g.ProtocolVersion),
		Node: from, Algorithm: lb.Algorithm(v[elb.Algorithm]), Stickiness: stickiness(v),
		SlowStart: seconds(v, elb.SlowStart), SameZoneOnly: v[elb.CrossZone] == "false",
		MinHealthy: v.Int(elb.MinHealthyCount), MinHealthyPercent: v.Int(elb.MinHealthyPercent),
		HealthCheck: healthCheck(g.HealthCheck),
	}
	if g.OfFunction() {
		out.Lambda, out.MultiValueHeaders = true, v.Bool(elb.MultiValueHeaders)
		out.Targets = c.functions(r, g)
		return out
	}
	for t := range row.Targets.Scan(r, g.ARN+"|") {
		addr, err := netip.ParseAddr(t.ID)
		_, unprobed := elb.Unprobed(b, true, t)
		if err != nil || unprobed && t.DrainingSince == nil {
			continue
		}
		port := uint16(t.Port)
		out.Targets = append(out.Targets, lb.Target{
			ID: t.ID, Port: port, Addr: netip.AddrPortFrom(addr, port), Zone: t.Zone,
			Draining:   t.DrainingSince != nil,
			LastHealth: c.health[lb.TargetKey{Group: g.ARN, ID: t.ID, Port: port}],
		})
	}
	return out
}

func stickiness(v elb.Values) lb.Stickiness {
	switch {
	case !v.Bool(elb.Stickiness):
		return lb.Stickiness{}
	case v[elb.StickinessType] == string(lb.AppCookie):
		return lb.Stickiness{
			Type: lb.AppCookie, Duration: seconds(v, elb.AppCookieDuration), Cookie: v[elb.AppCookieName],
		}
	}
	return lb.Stickiness{Type: lb.LBCookie, Duration: seconds(v, elb.LBCookieDuration)}
}

func healthCheck(h row.HealthCheck) lb.HealthCheck {
	var port uint16 // 0 is the port of the target
	if _, err := fmt.Sscanf(h.Port, "%d", &port); err != nil {
		port = 0
	}
	return lb.HealthCheck{
		Disabled: !h.Enabled, Protocol: lb.Protocol(h.Protocol), Port: port, Path: h.Path,
		Interval: time.Duration(h.IntervalSeconds) * time.Second,
		Timeout:  time.Duration(h.TimeoutSeconds) * time.Second, HealthyThreshold: h.HealthyThreshold,
		UnhealthyThreshold: h.UnhealthyThreshold, Matcher: cmp.Or(h.GRPCCode, h.HTTPCode),
	}
}
