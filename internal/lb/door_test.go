package lb

import (
	"net"
	"net/netip"
	"strings"
	"testing"
)

func fixed(body string) []Action {
	return []Action{{Type: ActionFixedResponse, FixedResponse: &FixedResponse{StatusCode: 200,
		ContentType: "text/plain", Body: body}}}
}

// freeAddr returns an address on which nobody listens.
func freeAddr(t *testing.T, host string) netip.AddrPort {
	t.Helper()
	ln, err := net.Listen("tcp", host+":0")
	if err != nil {
		t.Skipf("no address %s here: %v", host, err)
	}
	defer ln.Close()
	return netip.MustParseAddrPort(ln.Addr().String())
}

// On a shared address the Host decides: an exact name, then a wildcard, then the listener without
// names, if there is just one.
func TestSharedAddressByHost(t *testing.T) {
	shared := Bind{Addr: freeAddr(t, "127.0.0.1"), Shared: true}
	listener := func(id string, names ...string) Listener {
		return Listener{ID: id, LoadBalancer: id, Protocol: HTTP, Names: names,
			Binds: []Bind{shared}, Default: fixed(id)}
	}
	spec := TableSpec{Listeners: []Listener{listener("l", "a.example"),
		listener("wild", "*.example"), listener("b", "b.example")}}
	f := serveSpec(t, spec)
	hosts := map[string]string{"A.example:80": "l", "b.example": "b", "c.example": "wild",
		"example": "404", "other.org": "404"}
	check := func() {
		t.Helper()
		for host, want := range hosts {
			resp, body := f.ask("GET / HTTP/1.1\r\nHost: " + host + "\r\n\r\n")
			if resp.StatusCode == 404 {
				body = "404"
			}
			if body != want {
				t.Errorf("%s: %.20q, want %s", host, body, want)
			}
		}
	}
	check()
	spec.Listeners = append(spec.Listeners, listener("rest"))
	f.swap(spec)
	hosts["example"], hosts["other.org"] = "rest", "rest"
	check()
}

func TestRefusedTables(t *testing.T) {
	at := Bind{Addr: netip.MustParseAddrPort("127.0.0.1:80")}
	door := Bind{Addr: at.Addr, Shared: true}
	web := func(id string, b Bind, names ...string) Listener {
		return Listener{ID: id, Protocol: HTTP, Binds: []Bind{b}, Names: names, Default: fixed("")}
	}
	forward := func(groups ...WeightedGroup) []Action {
		return []Action{{Type: ActionForward, Forward: &Forward{Groups: groups}}}
	}
	acting := func(a []Action) TableSpec {
		return TableSpec{Listeners: []Listener{{ID: "l", Protocol: HTTP, Default: a}},
			Groups: []Group{{ID: "g", Protocol: HTTP}}}
	}
	grouped := func(g Group) TableSpec {
		g.ID = "g"
		return TableSpec{Groups: []Group{g}}
	}
	for want, spec := range map[string]TableSpec{
		"is also an address":   {Listeners: []Listener{web("a", at), web("b", at)}},
		"belongs to listener":  {Listeners: []Listener{web("a", door, "x"), web("b", door, "X")}},
		"appears twice":        {Listeners: []Listener{web("a", Bind{Addr: at.Addr}), web("a", Bind{Addr: netip.MustParseAddrPort("127.0.0.1:81")})}},
		"unknown target group": acting(forward(WeightedGroup{Group: "nope"})),
		"weight 1000":          acting(forward(WeightedGroup{Group: "g", Weight: 1000})),
		"want 1 to 5":          acting(forward()),
		"action":               acting([]Action{{Type: "authenticate-oidc"}}),
		"exactly one action":   acting(append(fixed(""), fixed("")...)),
		"want 2XX":             acting([]Action{{Type: ActionFixedResponse, FixedResponse: &FixedResponse{StatusCode: 302}}}),
		"want 301 or 302":      acting([]Action{{Type: ActionRedirect, Redirect: &Redirect{StatusCode: 307}}}),
		"algorithm":            grouped(Group{Protocol: HTTP, Algorithm: "fastest"}),
		"slow start":           grouped(Group{Protocol: HTTP, SlowStart: 1}),
		"has no address":       grouped(Group{Protocol: HTTP, Targets: []Target{{ID: "t"}}}),
		"app_cookie":           grouped(Group{Protocol: HTTP, Stickiness: Stickiness{Type: AppCookie}}),
		"matcher":              grouped(Group{Protocol: HTTP, HealthCheck: HealthCheck{Matcher: "x"}}),
		"protocol \"UDP\"":     grouped(Group{Protocol: "UDP"}),
		"idle timeout":         {Listeners: []Listener{{ID: "l", Protocol: HTTP, Default: fixed(""), Attributes: Attributes{IdleTimeout: 1}}}},
		"TLS settings":         {Listeners: []Listener{{ID: "l", Protocol: HTTPS, Default: fixed("")}}},
		"needs a certificate":  {Listeners: []Listener{{ID: "l", Protocol: HTTPS, Default: fixed(""), TLS: &TLS{}}}},
	} {
		if _, err := Compile(spec); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", want, err)
		}
	}
}

func TestIPv6(t *testing.T) {
	addr := freeAddr(t, "[::1]")
	target := rawTarget(t, naive(&seen{}))
	f := serve(t, unprobed(groupOf("g", target)), func(l *Listener) {
		l.Binds = []Bind{{Addr: addr}}
		l.Attributes.XFFClientPort = true
	})
	if resp, _ := f.ask("GET / HTTP/1.1\r\nHost: [::1]\r\n\r\n"); resp.StatusCode != 200 {
		t.Errorf("%d", resp.StatusCode)
	}
}
