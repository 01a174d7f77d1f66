package balancer

import (
	"flag"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	api "fairlead/internal/api/elbv2"
	"fairlead/internal/elb"
	"fairlead/internal/lb"
	"fairlead/internal/row"
	"fairlead/internal/state"
	"fairlead/internal/state/statetest"
)

var update = flag.Bool("update", false, "rewrite testdata")

// TestCompile compiles worlds of rows and compares the tables with testdata/NAME.txt.
func TestCompile(t *testing.T) {
	worlds := map[string]struct {
		door, lambda string
		fill         func(t *testing.T, tx *state.Tx)
	}{
		"balancer":   {"", "", fillBalancer},
		"rules":      {"", "", fillRules},
		"targets":    {"", "", fillTargets},
		"frontdoor":  {"127.0.0.1", "", fillDoor},
		"functions":  {"", "http://127.0.0.1:9000", fillFunctions},
		"noendpoint": {"", "", fillFunctions},
	}
	for name, world := range worlds {
		t.Run(name, func(t *testing.T) {
			store := open(t)
			statetest.Update(t, store, func(tx *state.Tx) { world.fill(t, tx) })
			door, _ := netip.ParseAddr(world.door)
			c := newCompiler(door)
			c.lambda = world.lambda
			spec, notes := c.compile(store.View())
			got := dump(spec) + strings.Join(notes, "\n")
			path := filepath.Join("testdata", name+".txt")
			if *update {
				if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if got != string(want) {
				t.Errorf("got\n%s\nwant\n%s", got, want)
			}
			if _, err := lb.Compile(spec); err != nil {
				t.Error(err)
			}
		})
	}
}

// fillBalancer: an internet-facing load balancer with attributes, an internal one, one whose
// devices do not exist yet.
func fillBalancer(t *testing.T, tx *state.Tx) {
	putGroup(tx, "app", nil)
	b := putBalancer(tx, "web", "internet-facing", 1, "app")
	b.Attributes = map[string]string{
		elb.IdleTimeout: "120", elb.ClientKeepAlive: "600", elb.DesyncMitigationMode: "strictest",
		elb.DropInvalidHeaders: "true", elb.PreserveHostHeader: "true", elb.TLSHeaders: "true",
		elb.XFFClientPort: "true", elb.XFFProcessingMode: "remove", elb.HTTP2: "false",
	}
	row.LoadBalancers.Put(tx, b)
	l := putListener(tx, b, 443, "HTTPS", validation(), forward("app"))
	l.SSLPolicy = "ELBSecurityPolicy-TLS13-1-2-2021-06"
	l.Certificate = putCertificate(t, tx, "app", "app.test")
	l.Certificates = []string{putCertificate(t, tx, "shop", "*.shop.test", "shop.test")}
	l.Attributes = map[string]string{
		elb.ServerHeader: "false", elb.TLSVersionHeader: "X-TLS",
		"routing.http.response.x_frame_options.header_value": "DENY",
	}
	row.Listeners.Put(tx, l)

	putGroup(tx, "back", nil)
	putBalancer(tx, "back", "internal", 2, "back")
	early := putBalancer(tx, "early", "internal", 3, "back")
	for _, n := range early.Nodes {
		row.NetworkInterfaces.Delete(tx, scope.Key(n.ENI))
	}
}

// validation asks for a token.
func validation() api.Action {
	return api.Action{Type: api.ActionTypeEnumJwtValidation, Order: new(int32(1)),
		JwtValidationConfig: &api.JwtValidationActionConfig{
			JwksEndpoint: new("https://me/jwks.json"), Issuer: new("https://me"),
			AdditionalClaims: []api.JwtValidationActionAdditionalClaim{{
				Name:   new("scope"),
				Format: api.JwtValidationActionAdditionalClaimFormatEnumSpaceSeparatedValues,
				Values: []string{"read", "write"},
			}},
		}}
}

// fillRules: every condition and action.
func fillRules(_ *testing.T, tx *state.Tx) {
	for _, g := range []string{"blue", "green"} {
		putGroup(tx, g, nil)
	}
	b := putBalancer(tx, "web", "internal", 1, "blue")
	l, _ := row.First(row.Listeners.By(tx, "balancer", b.ARN))
	split := forward("blue", "green")
	split.ForwardConfig.TargetGroups[1].Weight = new(int32(9))
	split.ForwardConfig.TargetGroupStickinessConfig = &api.TargetGroupStickinessConfig{
		Enabled: new(true), DurationSeconds: new(int32(60)),
	}
	putRule(tx, l, 5, []api.RuleCondition{
		{Field: new("host-header"), Values: []string{"*.example.com"}},
		{Field: new("path-pattern"), RegexValues: []string{"^/v[0-9]+/"}},
	}, split)
	row.Rules.Put(tx, row.Rule{
		Scope: scope, ARN: l.ARN + "/rule/rewriting", Listener: l.ARN, LoadBalancer: b.ARN, Priority: 7,
		Conditions: []api.RuleCondition{{Field: new("path-pattern"), Values: []string{"/old/*"}}},
		Actions:    []api.Action{forward("blue")},
		Transforms: []api.RuleTransform{
			{Type: api.TransformTypeEnumUrlRewrite, UrlRewriteConfig: &api.UrlRewriteConfig{
				Rewrites: []api.RewriteConfig{{Regex: new("^/old/"), Replace: new("/")}},
			}},
			{Type: api.TransformTypeEnumHostHeaderRewrite, HostHeaderRewriteConfig: &api.HostHeaderRewriteConfig{
				Rewrites: []api.RewriteConfig{{Regex: new("(.*)"), Replace: new("$1.internal")}},
			}},
		},
	})
	putRule(tx, l, 2, []api.RuleCondition{
		{Field: new("http-header"), HttpHeaderConfig: &api.HttpHeaderConditionConfig{
			HttpHeaderName: new("X-Env"), Values: []string{"test*"},
		}},
		{Field: new("query-string"), QueryStringConfig: &api.QueryStringConditionConfig{
			Values: []api.QueryStringKeyValuePair{{Key: new("v"), Value: new("2")}, {Value: new("3")}},
		}},
	}, api.Action{Type: api.ActionTypeEnumRedirect, RedirectConfig: &api.RedirectActionConfig{
		Protocol: new("HTTPS"), Host: new("#{host}"), Port: new("443"), Path: new("/#{path}"),
		Query: new("#{query}"), StatusCode: api.RedirectActionStatusCodeEnumHTTP301,
	}})
	putRule(tx, l, 3, []api.RuleCondition{
		{Field: new("http-request-method"), HttpRequestMethodConfig: &api.HttpRequestMethodConditionConfig{
			Values: []string{"PUT"},
		}},
		{Field: new("source-ip"), SourceIpConfig: &api.SourceIpConditionConfig{
			Values: []string{"10.0.0.0/8"},
		}},
	}, api.Action{Type: api.ActionTypeEnumFixedResponse, FixedResponseConfig: &api.FixedResponseActionConfig{
		StatusCode: new("405"), ContentType: new("text/plain"), MessageBody: new("no"),
	}})
}

// fillTargets: groups with attributes, and targets in every state.
func fillTargets(_ *testing.T, tx *state.Tx) {
	putGroup(tx, "app", map[string]string{
		elb.Algorithm: "least_outstanding_requests", elb.Stickiness: "true",
		elb.StickinessType: "app_cookie", elb.AppCookieName: "SESSION", elb.AppCookieDuration: "60",
		elb.MinHealthyCount: "2", elb.MinHealthyPercent: "50",
	})
	zonal := putGroup(tx, "zonal", map[string]string{elb.CrossZone: "false", elb.SlowStart: "30"})
	zonal.ProtocolVersion = "GRPC"
	zonal.HealthCheck.Port, zonal.HealthCheck.GRPCCode, zonal.HealthCheck.HTTPCode = "9000", "0-12", ""
	row.TargetGroups.Put(tx, zonal)
	putGroup(tx, "unused", nil)
	b := putBalancer(tx, "web", "internal", 1, "app")
	putListener(tx, b, 81, "HTTP", forward("zonal"))
	putTarget(tx, "app", "10.0.1.10", "eu-west-1a", nil)
	putTarget(tx, "app", "10.0.1.11", "eu-west-1b", &start)
	putTarget(tx, "app", "10.0.1.12", "eu-west-1c", nil) // not a zone of the load balancer
	putTarget(tx, "app", "192.168.0.1", "all", nil)
	putTarget(tx, "unused", "10.0.1.10", "eu-west-1a", nil)
	row.TargetHealths.Put(tx, row.TargetHealth{
		TargetGroup: groupARN("app"), ID: "10.0.1.10", Port: 8080, State: "unhealthy",
	})
}

// fillFunctions: two groups of functions, one with everything.
func fillFunctions(_ *testing.T, tx *state.Tx) {
	putFunction(tx, "plain", "hello", nil)
	g := putFunction(tx, "full", "hello:live", map[string]string{elb.MultiValueHeaders: "true"})
	g.HealthCheck.Enabled, g.HealthCheck.Path = true, "/health"
	row.TargetGroups.Put(tx, g)
	row.TargetHealths.Put(tx, row.TargetHealth{
		TargetGroup: g.ARN, ID: scope.ARN("lambda", "function:hello:live"), State: "unhealthy",
	})
	putBalancer(tx, "web", "internal", 1, "plain")
	b, _ := row.LoadBalancers.Get(tx, arn("loadbalancer/app/web/1"))
	putListener(tx, b, 81, "HTTP", forward("full"))
}

// fillDoor: three load balancers share ports; two claim the same host name.
func fillDoor(t *testing.T, tx *state.Tx) {
	for i, name := range []string{"one", "two", "three"} {
		putGroup(tx, name, nil)
		b := putBalancer(tx, name, "internal", byte(i), name)
		l, _ := row.First(row.Listeners.By(tx, "balancer", b.ARN))
		putRule(tx, l, 1, []api.RuleCondition{{
			Field: new("host-header"), Values: []string{name + ".Example.com", "shared.example.com"},
		}}, forward(name))
		if name == "three" {
			putListener(tx, b, 8080, "HTTP", forward(name))
			continue
		}
		secure := putListener(tx, b, 443, "HTTPS", forward(name))
		secure.Certificate = putCertificate(t, tx, name, "*."+name+".test", "both.test")
		row.Listeners.Put(tx, secure)
	}
	b, _ := row.LoadBalancers.Get(tx, arn("loadbalancer/app/three/1"))
	putListener(tx, b, 443, "HTTP", forward("three")) // cannot share the port with HTTPS
}

// Equal rows must give equal tables, or every pass would swap.
func TestCompileIsStable(t *testing.T) {
	store := open(t)
	statetest.Update(t, store, func(tx *state.Tx) { fillDoor(t, tx) })
	c := newCompiler(netip.MustParseAddr("127.0.0.1"))
	first, _ := c.compile(store.View())
	second, _ := c.compile(store.View())
	if !reflect.DeepEqual(first, second) {
		t.Errorf("first\n%s\nsecond\n%s", dump(first), dump(second))
	}
}

func TestCompileNamesBrokenCertificate(t *testing.T) {
	store := open(t)
	statetest.Update(t, store, func(tx *state.Tx) {
		putGroup(tx, "app", nil)
		b := putBalancer(tx, "web", "internal", 1, "app")
		l := putListener(tx, b, 443, "HTTPS", forward("app"))
		l.Certificate = "arn:aws:acm:eu-west-1:123456789012:certificate/gone"
		row.Listeners.Put(tx, l)
	})
	spec, notes := newCompiler(netip.Addr{}).compile(store.View())
	if len(spec.Listeners) != 1 || len(notes) != 1 || !strings.Contains(notes[0], "certificate/gone") {
		t.Errorf("%d listeners, notes %q", len(spec.Listeners), notes)
	}
}

// dump writes a table in the fewest words that still say everything.
func dump(spec lb.TableSpec) string {
	var b strings.Builder
	for _, l := range spec.Listeners {
		fmt.Fprintf(&b, "listener %s %s %s:%d\n", short(l.ID), l.LoadBalancer, l.Protocol, l.Port)
		fmt.Fprintf(&b, "  dns %s\n  names %q\n  attributes %+v\n", l.DNSName, l.Names, l.Attributes)
		for _, bind := range l.Binds {
			fmt.Fprintf(&b, "  bind %+v\n", bind)
		}
		if l.TLS != nil {
			fmt.Fprintf(&b, "  tls %q", l.TLS.Policy)
			for _, c := range l.TLS.Certificates {
				fmt.Fprintf(&b, " %s %v", short(c.ID), c.Cert.Leaf.DNSNames)
			}
			b.WriteString("\n")
		}
		for _, r := range l.Rules {
			fmt.Fprintf(&b, "  rule %d %+v %s\n", r.Priority, r.Conditions, dumpActions(r.Actions))
			for _, t := range r.Transforms {
				fmt.Fprintf(&b, "    transform %+q\n", t)
			}
		}
		fmt.Fprintf(&b, "  default %s\n", dumpActions(l.Default))
	}
	for _, g := range spec.Groups {
		targets := g.Targets
		g.Targets, g.ID = nil, short(g.ID)
		fmt.Fprintf(&b, "group %+v\n", g)
		for _, t := range targets {
			fmt.Fprintf(&b, "  target %+v\n", t)
		}
	}
	return b.String()
}

func dumpActions(actions []lb.Action) (s string) {
	for _, a := range actions {
		switch {
		case a.Forward != nil:
			s += fmt.Sprintf("forward sticky %v", a.Forward.Stickiness)
			for _, g := range a.Forward.Groups {
				s += fmt.Sprintf(" %s*%d", short(g.Group), g.Weight)
			}
		case a.Redirect != nil:
			s += fmt.Sprintf("redirect %+v", *a.Redirect)
		case a.FixedResponse != nil:
			s += fmt.Sprintf("fixed %+v", *a.FixedResponse)
		case a.JWTValidation != nil:
			s += fmt.Sprintf("jwt %+v, then ", *a.JWTValidation)
		}
	}
	return s
}

func short(arn string) string { return arn[strings.LastIndex(arn, ":")+1:] }
