package lb

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// stream is what a client sends on one connection, to be read by three parsers: ours, that of
// net/http, and that of nginx.
type stream struct {
	name, text string
	// strange says that parsers may refuse it, each for itself; what they accept must be the same.
	strange bool
	// except is a parser that reads something else, for the reason in the comment there.
	except string
}

const hostLine = "Host: a\r\n"

// streams are requests that everybody has to read in the same way, and strange ones.
var streams = []stream{
	{name: "plain", text: "GET /a HTTP/1.1\r\n" + hostLine + "\r\n"},
	{name: "query", text: "GET /a?b=c&d=%20 HTTP/1.1\r\n" + hostLine + "\r\n"},
	{name: "pipelined", text: "GET /1 HTTP/1.1\r\n" + hostLine + "\r\nGET /2 HTTP/1.1\r\n" + hostLine + "\r\n"},
	{name: "sized", text: "POST /a HTTP/1.1\r\n" + hostLine + "Content-Length: 5\r\n\r\nhello"},
	{name: "sized, then another", text: "POST /a HTTP/1.1\r\n" + hostLine +
		"Content-Length: 5\r\n\r\nhelloGET /b HTTP/1.1\r\n" + hostLine + "\r\n"},
	{name: "empty body", text: "POST /a HTTP/1.1\r\n" + hostLine + "Content-Length: 0\r\n\r\n"},
	{name: "chunked", text: "POST /a HTTP/1.1\r\n" + hostLine +
		"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"},
	{name: "chunks", text: "POST /a HTTP/1.1\r\n" + hostLine +
		"Transfer-Encoding: chunked\r\n\r\n2\r\nhe\r\n03\r\nllo\r\n000\r\n\r\n"},
	{name: "chunk extension", text: "POST /a HTTP/1.1\r\n" + hostLine +
		"Transfer-Encoding: chunked\r\n\r\n5;x=y\r\nhello\r\n0\r\n\r\n"},
	{name: "upper-case size", text: "POST /a HTTP/1.1\r\n" + hostLine +
		"Transfer-Encoding: chunked\r\n\r\nA\r\n0123456789\r\n0\r\n\r\n"},
	{name: "chunked in capitals", text: "POST /a HTTP/1.1\r\n" + hostLine +
		"Transfer-Encoding: CHUNKED\r\n\r\n1\r\nx\r\n0\r\n\r\n"},
	{name: "chunked, then another", text: "POST /a HTTP/1.1\r\n" + hostLine +
		"Transfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\nGET /b HTTP/1.1\r\n" + hostLine + "\r\n"},
	{name: "absolute form", text: "GET http://a/b HTTP/1.1\r\n" + hostLine + "\r\n", strange: true},
	{name: "many fields", text: "GET /a HTTP/1.1\r\n" + hostLine + strings.Repeat("X-A: b\r\n", 60) + "\r\n"},
	{name: "blanks around a value", text: "GET /a HTTP/1.1\r\n" + hostLine + "X:   a  \r\n\r\n"},
	{name: "tabs around a host", text: "GET /a HTTP/1.1\r\nHost: \t a \t\r\n\r\n", strange: true},
	{name: "HTTP/1.0", text: "GET /a HTTP/1.0\r\n" + hostLine + "\r\n"},
	{name: "close", text: "GET /a HTTP/1.1\r\n" + hostLine + "Connection: close\r\n\r\n"},

	{name: "empty line before", text: "\r\nGET /a HTTP/1.1\r\n" + hostLine + "\r\n", strange: true},
	{name: "bare LF", text: "GET /a HTTP/1.1\nHost: a\n\n", strange: true},
	{name: "two lengths", text: "POST /a HTTP/1.1\r\n" + hostLine +
		"Content-Length: 1\r\nContent-Length: 2\r\n\r\nxy", strange: true},
	{name: "the same length twice", text: "POST /a HTTP/1.1\r\n" + hostLine +
		"Content-Length: 1\r\nContent-Length: 1\r\n\r\nx", strange: true},
	{name: "length list", text: "POST /a HTTP/1.1\r\n" + hostLine + "Content-Length: 1, 1\r\n\r\nx", strange: true},
	{name: "signed length", text: "POST /a HTTP/1.1\r\n" + hostLine + "Content-Length: +1\r\n\r\nx", strange: true},
	{name: "huge length", text: "POST /a HTTP/1.1\r\n" + hostLine +
		"Content-Length: 99999999999999999999\r\n\r\nx", strange: true},
	{name: "both framings", text: "POST /a HTTP/1.1\r\n" + hostLine +
		"Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n", strange: true},
	{name: "blank before colon", text: "POST /a HTTP/1.1\r\n" + hostLine + "Content-Length : 1\r\n\r\nx", strange: true},
	{name: "folded", text: "GET /a HTTP/1.1\r\n" + hostLine + "X: a\r\n b\r\n\r\n", strange: true},
	{name: "two hosts", text: "GET /a HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", strange: true},
	{name: "no host", text: "GET /a HTTP/1.1\r\n\r\n", strange: true},
	{name: "identity", text: "POST /a HTTP/1.1\r\n" + hostLine +
		"Transfer-Encoding: identity\r\nContent-Length: 1\r\n\r\nx", strange: true},
	{name: "gzip, chunked", text: "POST /a HTTP/1.1\r\n" + hostLine +
		"Transfer-Encoding: gzip, chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n", strange: true},
	{name: "chunked twice", text: "POST /a HTTP/1.1\r\n" + hostLine +
		"Transfer-Encoding: chunked, chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n", strange: true},
	{name: "chunked in HTTP/1.0", text: "POST /a HTTP/1.0\r\n" + hostLine +
		"Transfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n", strange: true,
		// net/http takes it for a request without a body; RFC 9112, section 6.1, has the framing of
		// HTTP/1.1 hold and the connection closed, which is what AWS does with Ambiguous requests.
		except: "net/http"},
	{name: "chunk with LF", text: "POST /a HTTP/1.1\r\n" + hostLine +
		"Transfer-Encoding: chunked\r\n\r\n1\nx\n0\n\n", strange: true},
	{name: "chunk longer than its size", text: "POST /a HTTP/1.1\r\n" + hostLine +
		"Transfer-Encoding: chunked\r\n\r\n1\r\nxy\r\n0\r\n\r\n", strange: true},
	{name: "negative chunk", text: "POST /a HTTP/1.1\r\n" + hostLine +
		"Transfer-Encoding: chunked\r\n\r\n-1\r\nx\r\n0\r\n\r\n", strange: true},
	{name: "blank in target", text: "GET /a b HTTP/1.1\r\n" + hostLine + "\r\n", strange: true},
	{name: "NUL in value", text: "GET /a HTTP/1.1\r\n" + hostLine + "X: a\x00b\r\n\r\n", strange: true},
	{name: "CR in value", text: "GET /a HTTP/1.1\r\n" + hostLine + "X: a\rb\r\n\r\n", strange: true},
	{name: "HTTP/1.2", text: "GET /a HTTP/1.2\r\n" + hostLine + "\r\n", strange: true},
	{name: "HTTP/2.0", text: "GET /a HTTP/2.0\r\n" + hostLine + "\r\n", strange: true},
	{name: "lower-case method", text: "get /a HTTP/1.1\r\n" + hostLine + "\r\n", strange: true},
	{name: "body of GET", text: "GET /a HTTP/1.1\r\n" + hostLine + "Content-Length: 1\r\n\r\nx", strange: true},
}

// TestDifferential has three parsers read the same bytes. They may refuse what is strange, each as
// it likes, but none may take it for another request than ours does: that is how requests are
// smuggled past whoever comes first.
func TestDifferential(t *testing.T) {
	var behindUs, behindNginx seen
	ours := serve(t, unprobed(groupOf("g", recorder(t, &behindUs))))
	nginx := startNginx(t, recorder(t, &behindNginx))
	for _, s := range streams {
		t.Run(s.name, func(t *testing.T) {
			behindUs.clear()
			behindNginx.clear()
			exchangeAll(t, ours.addr(), s.text)
			exchangeAll(t, nginx, s.text)
			us, rivals := behindUs.all(), map[string][]string{
				"net/http": readByGo(s.text), "nginx": behindNginx.all(),
			}
			for name, theirs := range rivals {
				if !s.strange && !slices.Equal(us, theirs) {
					t.Errorf("we read %q, %s %q", us, name, theirs)
				}
				n := min(len(us), len(theirs))
				if name != s.except && !slices.Equal(us[:n], theirs[:n]) {
					t.Errorf("we read %q, %s %q", us, name, theirs)
				}
			}
			if !s.strange && len(us) == 0 {
				t.Error("nobody has read a request")
			}
		})
	}
}

// note is a request as it is compared.
func note(r *http.Request, body []byte) string {
	return fmt.Sprintf("%s %s|%s", r.Method, r.URL.RequestURI(), body)
}

// recorder is a target that writes down what it is asked.
func recorder(t *testing.T, s *seen) netip.AddrPort {
	return startTarget(t, func(_ http.ResponseWriter, r *http.Request) {
		if body, err := io.ReadAll(r.Body); err == nil {
			s.add(note(r, body))
		}
	})
}

func (s *seen) clear() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.list = nil
}

// exchangeAll sends a stream, ends it and waits until the peer has ended its own. What it says does
// not matter here.
func exchangeAll(t *testing.T, addr, text string) {
	t.Helper()
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(2 * time.Second))
	io.WriteString(c, text)
	answers := bufio.NewReader(c)
	for range strings.Count(text, "HTTP/") {
		resp, err := http.ReadResponse(answers, nil)
		if err != nil {
			break // refused, or waiting for more that does not come
		}
		io.Copy(io.Discard, resp.Body)
		if resp.Close {
			break
		}
	}
}

// readByGo reads a stream with the parser of net/http.
func readByGo(text string) (list []string) {
	in := bufio.NewReader(strings.NewReader(text))
	for {
		r, err := http.ReadRequest(in)
		if err != nil {
			return list
		}
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return list
		}
		list = append(list, note(r, body))
	}
}

const nginxConf = `
worker_processes 1; daemon off; pid nginx.pid; error_log nginx.err; master_process off;
events { worker_connections 64; }
http {
  access_log off; client_body_temp_path t1; proxy_temp_path t2; fastcgi_temp_path t3;
  uwsgi_temp_path t4; scgi_temp_path t5;
  server {
    listen unix:DIR/nginx.sock;
    location / { proxy_pass http://TARGET; proxy_http_version 1.1; proxy_set_header Connection ""; }
  }
}
`

// startNginx starts nginx before a target and returns an address that leads to it.
func startNginx(t *testing.T, target netip.AddrPort) string {
	t.Helper()
	path, err := exec.LookPath("nginx")
	if err != nil {
		t.Skip("nginx is not installed: apt-get install nginx-light")
	}
	dir := t.TempDir()
	conf := strings.NewReplacer("DIR", dir, "TARGET", target.String()).Replace(nginxConf)
	if err := os.WriteFile(filepath.Join(dir, "nginx.conf"), []byte(conf), 0o644); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(path, "-p", dir, "-c", "nginx.conf")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Signal(syscall.SIGTERM)
		cmd.Wait()
	})
	socket := filepath.Join(dir, "nginx.sock")
	waitFor(t, func() bool {
		c, err := net.Dial("unix", socket)
		if err == nil {
			c.Close()
		}
		return err == nil
	})
	return bridge(t, socket)
}

// bridge is an address that leads to a Unix socket: nginx cannot be told to choose a free port.
func bridge(t *testing.T, socket string) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ln.Close() })
	go func() {
		for {
			c, err := ln.Accept()
			if errors.Is(err, net.ErrClosed) || err != nil {
				return
			}
			far, err := net.Dial("unix", socket)
			if err != nil {
				c.Close()
				continue
			}
			go func() { io.Copy(far, c); far.Close() }()
			go func() { io.Copy(c, far); c.Close() }()
		}
	}()
	return ln.Addr().String()
}
