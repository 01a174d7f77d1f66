package elb

import (
	"strings"
	"testing"

	"fairlead/internal/aws"
	"fairlead/internal/row"
)

// TestAttributeValues takes one attribute of each kind of check to its limits.
func TestAttributeValues(t *testing.T) {
	balancer := OfBalancer(row.LoadBalancer{Scheme: "internet-facing"})
	group := OfGroup(row.TargetGroup{})
	https := OfListener(row.Listener{Protocol: "HTTPS"})
	hsts := headerKey("Strict-Transport-Security")
	for _, c := range []struct {
		of         Attributes
		key, value string
		ok         bool
	}{
		{balancer, IdleTimeout, "1", true}, {balancer, IdleTimeout, "4000", true},
		{balancer, IdleTimeout, "0", false}, {balancer, IdleTimeout, "4001", false},
		{balancer, IdleTimeout, "sixty", false}, {balancer, IdleTimeout, "", false},
		{balancer, HTTP2, "false", true}, {balancer, HTTP2, "False", false},
		{balancer, "access_logs.s3.bucket", "any", true},
		{balancer, "access_logs.s3.enabled", "true", false},
		{group, SlowStart, "0", true}, {group, SlowStart, "30", true}, {group, SlowStart, "29", false},
		{group, MinHealthyPercent, "off", true}, {group, MinHealthyPercent, "101", false},
		{group, AppCookieName, "SESSION", true}, {group, AppCookieName, "AWSALBTG", false},
		{group, AppCookieName, "a=b", false},
		{https, hsts, "max-age=1; includeSubDomains", true}, {https, hsts, "a\nb", false},
		{https, hsts, strings.Repeat("x", maxHeaderValue+1), false},
		{https, TLSVersionHeader, "X-TLS", true}, {https, TLSVersionHeader, "X:TLS", false},
		{https, TLSVersionHeader, "", false},
	} {
		unknown := func(key string) *aws.Fault { t.Fatalf("no attribute %s", key); return nil }
		_, err := c.of.Apply(nil, []Setting{{c.key, c.value}}, unknown)
		if (err == nil) != c.ok {
			t.Errorf("%s = %q: %v", c.key, c.value, err)
		}
	}
}

// Every standard value must be a permitted one: clients send back what they have read.
func TestStandardsArePermitted(t *testing.T) {
	for _, of := range []Attributes{
		OfBalancer(row.LoadBalancer{Scheme: "internal"}), OfGroup(row.TargetGroup{}),
		OfGroup(row.TargetGroup{TargetType: "lambda"}),
		OfListener(row.Listener{Protocol: "HTTPS"}), OfListener(row.Listener{Protocol: "HTTP"}),
	} {
		for _, a := range of {
			if fault := a.check(a.Key, a.Standard); fault != nil {
				t.Errorf("%s: %v", a.Key, fault)
			}
		}
	}
}

func TestApplyLeavesTheOldValues(t *testing.T) {
	of, old := OfGroup(row.TargetGroup{}), map[string]string{Stickiness: "true"}
	set, err := of.Apply(old, []Setting{{Stickiness, "false"}, {DeregistrationDelay, "5"}}, nil)
	if err != nil || len(set) != 1 || set[DeregistrationDelay] != "5" {
		t.Errorf("set %v, %v", set, err)
	}
	if old[Stickiness] != "true" || len(old) != 1 {
		t.Errorf("the old values became %v", old)
	}
	v := of.Values(set)
	if v.Int(DeregistrationDelay) != 5 || v.Bool(Stickiness) || v.Int(MinHealthyPercent) != 0 {
		t.Errorf("values %v", v)
	}
}

func TestUnprobed(t *testing.T) {
	b := row.LoadBalancer{Nodes: []row.LoadBalancerNode{{Zone: "eu-west-1a"}}}
	draining := row.Target{Zone: "eu-west-1a", DrainingSince: new(row.Target{}.RegisteredAt)}
	for _, c := range []struct {
		inUse bool
		t     row.Target
		want  string
	}{
		{true, row.Target{Zone: "eu-west-1a"}, ""}, {true, row.Target{Zone: AllZones}, ""},
		{true, row.Target{}, ""}, {true, row.Target{Zone: "eu-west-1b"}, "unused"},
		{true, draining, "draining"}, {false, draining, "unused"}, {false, row.Target{}, "unused"},
	} {
		if h, _ := Unprobed(b, c.inUse, c.t); h.State != c.want {
			t.Errorf("in use %v, %+v: %q, want %q", c.inUse, c.t, h.State, c.want)
		}
	}
}

func TestFunctionOf(t *testing.T) {
	const prefix = "arn:aws:lambda:eu-west-1:123456789012:function:"
	for text, want := range map[string]Function{
		prefix + "hello":         {"eu-west-1", "hello", ""},
		prefix + "a-B_9:live":    {"eu-west-1", "a-B_9", "live"},
		prefix + "hello:7":       {"eu-west-1", "hello", "7"},
		prefix + "hello:$LATEST": {"eu-west-1", "hello", "$LATEST"},
	} {
		if f, ok := FunctionOf(text); !ok || f != want {
			t.Errorf("%s: %+v, %v", text, f, ok)
		}
	}
	for _, text := range []string{"", "hello", prefix, prefix + "a:", prefix + "a:b:c", prefix + "a/b",
		prefix + "a?Qualifier=b", prefix + strings.Repeat("x", 65), prefix + "a\n",
		"arn:aws:lambda:eu-west-1:1:function:hello", "arn:aws:lambda::123456789012:function:hello",
		"arn:aws:ecs:eu-west-1:123456789012:function:hello",
		"arn:aws:lambda:eu-west-1:123456789012:layer:hello"} {
		if f, ok := FunctionOf(text); ok {
			t.Errorf("%q is read as %+v", text, f)
		}
	}
}
