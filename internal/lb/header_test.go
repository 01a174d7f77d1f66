package lb

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"testing"

	"golang.org/x/net/http2"
)

// mirror is a target that answers with the head of the request that it got.
func mirror(t *testing.T) netip.AddrPort {
	return rawTarget(t, func(c net.Conn, r *bufio.Reader) {
		for {
			head := readHead(r)
			if head == "" {
				return
			}
			io.WriteString(c, "HTTP/1.1 200 OK\r\nServer: t\r\nTransfer-Encoding: chunked\r\n\r\n")
			c.Write([]byte(strings.Join([]string{hexLen(head), head, "0", "", ""}, "\r\n")))
		}
	})
}

func hexLen(s string) string {
	const digits = "0123456789abcdef"
	n, out := len(s), ""
	for ; n > 0; n >>= 4 {
		out = string(digits[n&15]) + out
	}
	return out
}

// value finds a field in a head; "-" if it is not there, values of repeated fields with " & ".
func value(head, name string) string {
	var found []string
	for line := range strings.SplitSeq(head, "\r\n") {
		if n, v, ok := strings.Cut(line, ": "); ok && strings.EqualFold(n, name) {
			found = append(found, v)
		}
	}
	if found == nil {
		return "-"
	}
	return strings.Join(found, " & ")
}

func TestHeaderRules(t *testing.T) {
	target := unprobed(groupOf("g", mirror(t)))
	for _, c := range []struct {
		name    string
		change  func(*Listener)
		request string // lines after the first
		field   string
		want    string
	}{
		{"xff absent", nil, "Host: a", "X-Forwarded-For", "127.0.0.1"},
		{"xff appended", nil, "Host: a|X-Forwarded-For: 1.1.1.1, 2.2.2.2", "X-Forwarded-For",
			"1.1.1.1, 2.2.2.2, 127.0.0.1"},
		{"xff of several lines", nil, "Host: a|X-Forwarded-For: 1.1.1.1|x-forwarded-for: 2.2.2.2",
			"X-Forwarded-For", "1.1.1.1, 2.2.2.2, 127.0.0.1"},
		{"xff preserved", func(l *Listener) { l.Attributes.XFF = XFFPreserve },
			"Host: a|X-Forwarded-For: 1.1.1.1", "X-Forwarded-For", "1.1.1.1"},
		{"xff preserved and absent", func(l *Listener) { l.Attributes.XFF = XFFPreserve },
			"Host: a", "X-Forwarded-For", "-"},
		{"xff removed", func(l *Listener) { l.Attributes.XFF = XFFRemove },
			"Host: a|X-Forwarded-For: 1.1.1.1", "X-Forwarded-For", "-"},
		{"proto replaced", nil, "Host: a|X-Forwarded-Proto: https", "X-Forwarded-Proto", "http"},
		{"port replaced", func(l *Listener) { l.Port = 8080 }, "Host: a|X-Forwarded-Port: 1",
			"X-Forwarded-Port", "8080"},
		{"forwarded host passes", nil, "Host: a|X-Forwarded-Host: b", "X-Forwarded-Host", "b"},
		{"keep-alive is hop by hop", nil, "Host: a|Keep-Alive: timeout=5", "Keep-Alive", "-"},
		{"proxy-connection is hop by hop", nil, "Host: a|Proxy-Connection: x", "Proxy-Connection", "-"},
		{"te is hop by hop", nil, "Host: a|TE: trailers", "TE", "-"},
		{"nominated", nil, "Host: a|Connection: close, X-A|X-A: b", "X-A", "-"},
		{"upgrade without connection", nil, "Host: a|Upgrade: websocket", "Upgrade", "-"},
		{"upgrade", nil, "Host: a|Upgrade: websocket|Connection: upgrade", "Upgrade", "websocket"},
		{"upgrade's connection", nil, "Host: a|Upgrade: websocket|Connection: upgrade",
			"Connection", "Upgrade"},
		{"cookies pass", nil, "Host: a|Cookie: AWSALB=x; b=c", "Cookie", "AWSALB=x; b=c"},
		{"underscore passes", nil, "Host: a|x_user: 1", "x_user", "1"},
		{"underscore dropped", func(l *Listener) { l.Attributes.DropInvalidHeaders = true },
			"Host: a|x_user: 1", "x_user", "-"},
		{"no TLS headers without TLS", func(l *Listener) { l.Attributes.TLSHeaders = true },
			"Host: a", "x-amzn-tls-version", "-"},
	} {
		t.Run(c.name, func(t *testing.T) {
			change := c.change
			if change == nil {
				change = func(*Listener) {}
			}
			f := serve(t, target, change)
			_, head := f.ask("GET / HTTP/1.1\r\n" + strings.ReplaceAll(c.request, "|", "\r\n") +
				"\r\n\r\n")
			if got := value(head, c.field); got != c.want {
				t.Errorf("%s = %q, want %q\n%s", c.field, got, c.want, head)
			}
		})
	}
}

// hostCases are the combinations of Host that the ALB guide documents ("Preserve host header"), with
// what is sent without and with that attribute.
var hostCases = []struct {
	name    string
	port    uint16 // of the listener
	request string // lines
	off, on string // Host at the target
}{
	{"default port", 80, "GET / HTTP/1.1|Host: example.com", "example.com", "example.com"},
	{"default port of HTTPS", 443, "GET / HTTP/1.1|Host: example.com", "example.com", "example.com"},
	{"port on 80", 80, "GET / HTTP/1.1|Host: example.com:80", "example.com", "example.com:80"},
	{"port on 443", 443, "GET / HTTP/1.1|Host: example.com:443", "example.com", "example.com:443"},
	{"any port is removed", 80, "GET / HTTP/1.1|Host: example.com:8080", "example.com", "example.com:8080"},
	{"other port", 8080, "GET / HTTP/1.1|Host: example.com", "example.com:8080", "example.com"},
	{"port on other port", 8080, "GET / HTTP/1.1|Host: example.com:8080", "example.com:8080",
		"example.com:8080"},
	{"upper case", 80, "GET / HTTP/1.1|Host: EXAMPLE.com", "example.com", "EXAMPLE.com"},
	{"upper case on other port", 8080, "GET / HTTP/1.1|Host: Example.COM:8080", "example.com:8080",
		"Example.COM:8080"},
	{"absolute form", 80, "GET http://line.example/ HTTP/1.1|Host: field.example", "line.example",
		"field.example"},
	{"absolute form with port", 80, "GET http://LINE.example:80/ HTTP/1.1|Host: field.example:1",
		"line.example", "field.example:1"},
	{"absolute form on other port", 8080, "GET http://line.example HTTP/1.1|Host: field.example",
		"line.example:8080", "field.example"},
	{"absolute form without Host", 80, "GET http://line.example/ HTTP/1.0", "line.example", "line.example"},
	{"HTTP/1.0 without Host", 80, "GET / HTTP/1.0", "lb.localhost", "lb.localhost"},
	{"HTTP/1.0 with Host", 80, "GET / HTTP/1.0|Host: A.example:80", "a.example", "A.example:80"},
	{"several", 80, "GET / HTTP/1.1|Host: A.example|Host: b.example:80", "a.example",
		"A.example & b.example:80"},
	{"IPv6", 80, "GET / HTTP/1.1|Host: [::1]:80", "[::1]", "[::1]:80"},
	{"IPv6 on other port", 8080, "GET / HTTP/1.1|Host: [::1]", "[::1]:8080", "[::1]"},
}

func TestHost(t *testing.T) {
	target := unprobed(groupOf("g", mirror(t)))
	for _, c := range hostCases {
		for preserve, want := range map[bool]string{false: c.off, true: c.on} {
			f := serve(t, target, func(l *Listener) { l.Port, l.Attributes.PreserveHost = c.port, preserve })
			_, head := f.ask(strings.ReplaceAll(c.request, "|", "\r\n") + "\r\n\r\n")
			if got := value(head, "Host"); got != want {
				t.Errorf("%s, preserve %v: %q, want %q", c.name, preserve, got, want)
			}
			f.Close()
		}
	}
}

// TestHostH2: the same for :authority, towards targets of either version. Next to it a client may send
// Host, which says nothing more.
func TestHostH2(t *testing.T) {
	cert := certFor(t, "c", false, "a.example")
	h2 := startH2Target(t, false, func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "%s %s\r\nHost: %s\r\n", r.Method, r.RequestURI, r.Host)
	})
	for _, g := range []Group{unprobed(groupOf("g", mirror(t))), h2Group(h2, HTTP2, HTTP)} {
		for _, c := range []struct {
			port               uint16
			authority, off, on string
		}{
			{443, "Example.com", "example.com", "Example.com"},
			{443, "example.com:443", "example.com", "example.com:443"},
			{8443, "example.com", "example.com:8443", "example.com"},
			{8443, "example.com:8443", "example.com:8443", "example.com:8443"},
		} {
			for preserve, want := range map[bool]string{false: c.off, true: c.on} {
				f := serve(t, g, secure(cert), func(l *Listener) {
					l.Port, l.Attributes.PreserveHost = c.port, preserve
				})
				h := f.h2()
				for id, extra := range [][]string{nil, {"host", c.authority}} {
					h.request(uint32(2*id+1), true, append([]string{":method", "GET", ":scheme", "https",
						":path", "/", ":authority", c.authority}, extra...)...)
					if got := value(h.body(), "Host"); got != want {
						t.Errorf("%s group, %s on %d, preserve %v: %q, want %q", g.Version, c.authority,
							c.port, preserve, got, want)
					}
				}
				f.Close()
			}
		}
	}
}

// body awaits the body of the next response.
func (h *h2Raw) body() (body string) {
	h.t.Helper()
	for {
		data := h.await(http2.FrameData).(*http2.DataFrame)
		if body += string(data.Data()); data.StreamEnded() {
			return body
		}
	}
}

// Of several Host fields rules see the first, whatever is sent.
func TestRulesSeeTheFirstHost(t *testing.T) {
	for _, preserve := range []bool{false, true} {
		f := serve(t, unprobed(groupOf("g", mirror(t))), func(l *Listener) {
			l.Attributes.PreserveHost = preserve
			for i, host := range []string{"second.example", "first.example"} {
				l.Rules = append(l.Rules, Rule{Priority: i + 1, Actions: l.Default,
					Conditions: []Condition{{Field: HostHeader, Values: []string{host}}}})
			}
		})
		f.ask("GET / HTTP/1.1\r\nHost: first.example\r\nHost: second.example\r\n\r\n")
		if rs := f.allRecords(); rs[0].Priority != 2 {
			t.Errorf("preserve %v: rule %d", preserve, rs[0].Priority)
		}
	}
}

func TestTraceID(t *testing.T) {
	f := serve(t, unprobed(groupOf("g", mirror(t))))
	for incoming, want := range map[string]string{
		"":                          "Root=1-*-*",
		"Root=1-a-b":                "Self=1-*-*;Root=1-a-b",
		"Self=1-c-d;Root=1-a-b;X=y": "Self=1-*-*;Root=1-a-b;X=y",
		"X=y":                       "Root=1-*-*;X=y",
	} {
		request := "GET / HTTP/1.1\r\nHost: a\r\n"
		if incoming != "" {
			request += "X-Amzn-Trace-Id: " + incoming + "\r\n"
		}
		_, head := f.ask(request + "\r\n")
		got := value(head, "X-Amzn-Trace-Id")
		first, rest, _ := strings.Cut(got, ";")
		parts := strings.Split(first, "-")
		if len(parts) != 3 || len(parts[1]) != 8 || len(parts[2]) != 24 {
			t.Fatalf("%q: %q", incoming, got)
		}
		got = parts[0] + "-*-*"
		if rest != "" {
			got += ";" + rest
		}
		if got != want {
			t.Errorf("%q becomes %q, want %q", incoming, got, want)
		}
	}
}

func TestTLSHeaders(t *testing.T) {
	f := serve(t, unprobed(groupOf("g", mirror(t))), secure(certFor(t, "c", false, "a")),
		func(l *Listener) { l.Attributes.TLSHeaders = true })
	resp, err := httpsClient(t, true).Get("https://" + f.addr())
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	head, _ := io.ReadAll(resp.Body)
	if v := value(string(head), "x-amzn-tls-version"); v != "TLSv1.3" {
		t.Errorf("version %q", v)
	}
	if v := value(string(head), "x-amzn-tls-cipher-suite"); !strings.HasPrefix(v, "TLS_") {
		t.Errorf("cipher %q", v)
	}
	if v := value(string(head), "X-Forwarded-Proto"); v != "https" {
		t.Errorf("proto %q", v)
	}
}

// The listener's headers are in every response, also in those made here, and replace the target's.
func TestResponseHeaders(t *testing.T) {
	set := func(l *Listener) {
		l.Attributes.ResponseHeaders = []Header{{"Server", "hidden"}, {"X-Frame-Options", "DENY"}}
	}
	for _, g := range []Group{unprobed(groupOf("g", mirror(t))), groupOf("g")} {
		resp, _ := serve(t, g, set).ask(hello)
		if resp.Header.Get("X-Frame-Options") != "DENY" || len(g.Targets) > 0 &&
			strings.Join(resp.Header.Values("Server"), ",") != "hidden" {
			t.Errorf("%d: %v", resp.StatusCode, resp.Header)
		}
	}
	resp, _ := serve(t, groupOf("g"), func(l *Listener) { l.Attributes.HideServerHeader = true }).ask(hello)
	if resp.Header.Get("Server") != "" {
		t.Errorf("Server %q", resp.Header.Get("Server"))
	}
}
