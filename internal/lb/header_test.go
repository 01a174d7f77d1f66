package lb

import (
	"bufio"
	"io"
	"net"
	"net/netip"
	"strings"
	"testing"
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
		{"host on the default port", func(l *Listener) { l.Port = 80 }, "Host: EXAMPLE.com:80",
			"Host", "example.com"},
		{"host on another port", func(l *Listener) { l.Port = 8080 }, "Host: Example.com", "Host",
			"example.com:8080"},
		{"host with port on another port", func(l *Listener) { l.Port = 8080 },
			"Host: example.com:8080", "Host", "example.com:8080"},
		{"host preserved", func(l *Listener) { l.Port, l.Attributes.PreserveHost = 8080, true },
			"Host: Example.com", "Host", "Example.com"},
		{"first of two hosts", func(l *Listener) { l.Port = 80 }, "Host: a|Host: b", "Host", "a"},
		{"IPv6 host", func(l *Listener) { l.Port = 80 }, "Host: [::1]:80", "Host", "[::1]"},
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
