package lb

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"
)

// seen collects what a back end took for requests.
type seen struct {
	mu   sync.Mutex // guards list
	list []string
}

func (s *seen) add(text string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.list = append(s.list, text)
}

func (s *seen) all() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]string(nil), s.list...)
}

// naive is a back end with a careless parser: Content-Length wins over Transfer-Encoding, names are
// compared loosely, and a line may end with a bare LF. It answers every request with 200.
func naive(s *seen) func(net.Conn, *bufio.Reader) {
	return func(c net.Conn, r *bufio.Reader) {
		for {
			line, err := r.ReadString('\n')
			if err != nil {
				return
			}
			length, chunked := 0, false
			for {
				h, err := r.ReadString('\n')
				if err != nil {
					return
				}
				h = strings.ToLower(strings.TrimSpace(h))
				if h == "" {
					break
				}
				h = strings.NewReplacer("_", "-", " ", "").Replace(h)
				fmt.Sscanf(h, "content-length:%d", &length)
				chunked = chunked || strings.HasPrefix(h, "transfer-encoding:") &&
					strings.Contains(h, "chunked")
			}
			body := make([]byte, length)
			if length > 0 {
				io.ReadFull(r, body)
			} else if chunked {
				body = naiveChunks(r)
			}
			s.add(strings.TrimSpace(line) + "|" + string(body))
			io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
		}
	}
}

func naiveChunks(r *bufio.Reader) (body []byte) {
	for {
		line, err := r.ReadString('\n')
		var n int
		fmt.Sscanf(line, "%x", &n)
		if err != nil || n == 0 {
			r.ReadString('\n')
			return body
		}
		chunk := make([]byte, n+2)
		io.ReadFull(r, chunk)
		body = append(body, chunk[:n]...)
	}
}

// TestSmuggling sends requests that two parsers could read differently, to a strict back end
// (net/http) and to a careless one. Neither may ever see a request for /smuggled, and both must see
// the same requests.
func TestSmuggling(t *testing.T) {
	const hidden = "GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n"
	post := "POST /front HTTP/1.1\r\nHost: a\r\n"
	attacks := map[string]string{
		"CL.TE": post + "Content-Length: 6\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + hidden,
		"TE.CL": post + fmt.Sprintf("Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\n",
			len(hidden), hidden),
		"CL.CL":             post + "Content-Length: 0\r\nContent-Length: 40\r\n\r\n" + hidden,
		"CL list":           post + "Content-Length: 0, 40\r\n\r\n" + hidden,
		"CL sign":           post + "Content-Length: +40\r\n\r\n" + hidden,
		"TE underscore":     post + "Transfer_Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n" + hidden,
		"TE blank":          post + "Transfer-Encoding : chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n" + hidden,
		"TE tab":            post + "Transfer-Encoding:\tchunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n" + hidden,
		"TE vertical tab":   post + "Transfer-Encoding: \x0bchunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n" + hidden,
		"TE xchunked":       post + "Transfer-Encoding: xchunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n" + hidden,
		"TE folded":         post + "Transfer-Encoding:\r\n chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n" + hidden,
		"TE twice":          post + "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\nContent-Length: 5\r\n\r\n0\r\n\r\n" + hidden,
		"TE in field":       post + "X: y\r\n\tTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n" + hidden,
		"CL underscore":     post + "Content_Length: 40\r\n\r\n" + hidden[:0],
		"CL in GET":         "GET /front HTTP/1.1\r\nHost: a\r\nContent-Length: " + fmt.Sprint(len(hidden)) + "\r\n\r\n" + hidden,
		"chunk size 0x":     post + "Transfer-Encoding: chunked\r\n\r\n0x3\r\nabc\r\n0\r\n\r\n" + hidden,
		"chunk bare LF":     post + "Transfer-Encoding: chunked\r\n\r\n3\nabc\r\n0\r\n\r\n" + hidden,
		"chunk overflow":    post + "Transfer-Encoding: chunked\r\n\r\n10000000000000003\r\nabc\r\n0\r\n\r\n" + hidden,
		"chunk extension":   post + "Transfer-Encoding: chunked\r\n\r\n3;a=\"\n\"\r\nabc\r\n0\r\n\r\n" + hidden,
		"CR in header":      post + "X: a\rTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + hidden,
		"NUL in header":     post + "X: a\x00\r\n\r\n" + hidden,
		"LF in target":      "GET /front\nX HTTP/1.1\r\nHost: a\r\n\r\n" + hidden,
		"connection header": post + "Connection: Content-Length\r\nContent-Length: " + fmt.Sprint(len(hidden)) + "\r\n\r\n" + hidden,
	}
	for name, attack := range attacks {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var strict, careless seen
			strictAddr := startTarget(t, func(w http.ResponseWriter, r *http.Request) {
				b, _ := io.ReadAll(r.Body)
				strict.add(fmt.Sprintf("%s %s HTTP/1.1|%s", r.Method, r.RequestURI, b))
			})
			f1 := serve(t, unprobed(groupOf("g", strictAddr)))
			f2 := serve(t, unprobed(groupOf("g", rawTarget(t, naive(&careless)))))
			for _, f := range []*fixture{f1, f2} {
				c := f.raw(attack)
				c.SetDeadline(time.Now().Add(300 * time.Millisecond))
				io.Copy(io.Discard, c) // some of these wait for more
				c.Close()
				f.Close()
			}
			one, two := strict.all(), careless.all()
			for _, requests := range [][]string{one, two} {
				for _, r := range requests {
					if strings.HasPrefix(r, "GET /smuggled") {
						t.Errorf("smuggled: %q", requests)
					}
				}
			}
			if fmt.Sprint(one) != fmt.Sprint(two) {
				t.Errorf("the back ends saw different requests:\n%q\n%q", one, two)
			}
		})
	}
}
