package lb

import (
	"bytes"
	"log/slog"
	"net/netip"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/http2/hpack"
	"golang.org/x/sys/unix"

	"fairlead/internal/lb/http1"
	"fairlead/internal/lb/http2"
	"fairlead/internal/lb/poll"
)

// FuzzHeaderBlock: whatever request a header block of HTTP/2 makes, its head in the form of HTTP/1
// says the same and no more.
func FuzzHeaderBlock(f *testing.F) {
	var b bytes.Buffer
	encoder := hpack.NewEncoder(&b)
	for _, field := range []hpack.HeaderField{
		{Name: ":method", Value: "POST"}, {Name: ":scheme", Value: "https"},
		{Name: ":path", Value: "/a?b"}, {Name: ":authority", Value: "a.example"},
		{Name: "cookie", Value: "a=b"}, {Name: "cookie", Value: "c=d"}, {Name: "te", Value: "trailers"},
		{Name: "content-length", Value: "3"}, {Name: "x-a", Value: "b"},
	} {
		encoder.WriteField(field)
	}
	f.Add(b.Bytes(), false)
	f.Add([]byte{0x82, 0x84, 0x87, 0x41, 1, 'a'}, true)
	f.Fuzz(func(t *testing.T, block []byte, end bool) {
		var fields []hpack.HeaderField
		d := hpack.NewDecoder(4096, func(f hpack.HeaderField) { fields = append(fields, f) })
		d.SetMaxStringLength(maxList)
		if _, err := d.Write(block); err != nil || d.Close() != nil {
			return
		}
		var r, again http1.Request
		if !buildRequest(&r, fields, end) {
			return
		}
		head := string(r.Method) + " " + string(r.Target) + " HTTP/1.1\r\n"
		for _, field := range r.Fields {
			head += string(field.Name) + ": " + string(field.Value) + "\r\n"
		}
		if err := http1.ParseOwn([]byte(head+"\r\n"), &again); err != nil {
			t.Fatalf("%q: %v", head, err)
		}
		if len(again.Fields) != len(r.Fields) || string(again.Target) != string(r.Target) ||
			string(again.Method) != string(r.Method) {
			t.Fatalf("%q was read as %+v", head, again)
		}
	})
}

// fuzzLoop is a loop without a goroutine, whose only listener answers everything with 200.
type fuzzLoop struct {
	*loop
	acc     *acceptor
	defects strings.Builder
}

func newFuzzLoop(f testing.TB) *fuzzLoop {
	f.Helper()
	table, err := Compile(TableSpec{Listeners: []Listener{{
		ID: "l", LoadBalancer: "app/lb/1", Protocol: HTTP,
		Binds: []Bind{{Addr: netip.MustParseAddrPort("127.0.0.1:0")}},
		Default: []Action{{Type: ActionFixedResponse,
			FixedResponse: &FixedResponse{StatusCode: 200, ContentType: "text/plain", Body: "ok"}}},
	}}})
	if err != nil {
		f.Fatal(err)
	}
	fl := &fuzzLoop{}
	e := &Engine{log: slog.New(slog.NewTextHandler(&fl.defects, nil)), start: time.Now()}
	if fl.loop, err = newLoop(e, 0); err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() { fl.loop.closeAll() })
	e.loops = []*loop{fl.loop}
	fl.maxClients = 10
	lv, _ := e.makeLive(table)
	fl.apply(lv, nil)
	for _, front := range table.fronts {
		fl.acc = &acceptor{loop: fl.loop, front: front, bind: front.bind}
	}
	return fl
}

// feed gives a client's bytes to the loop, piece by piece, ends the stream and returns what the
// client has read.
func (fl *fuzzLoop) feed(t *testing.T, secure bool, pieces ...[]byte) []byte {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fds[1])
	fl.tick()
	info := connInfo{acc: fl.acc, remote: netip.MustParseAddrPort("127.0.0.1:1"), created: fl.now}
	if secure {
		s, err := fl.newSock(fds[0], nil, poll.Later)
		if err != nil {
			t.Fatal(err)
		}
		fl.newH2Conn(s, info)
	} else if _, err := fl.newClient(fds[0], info); err != nil {
		t.Fatal(err)
	}
	fl.clients++
	var out []byte
	turn := func() {
		for range 4 {
			fl.flushLazy()
			fl.poll.Wait(0, fl.settle, fl.flushLazy)
			fl.resume()
		}
		buf := make([]byte, 256<<10)
		for {
			n, err := unix.Read(fds[1], buf)
			if err != nil || n <= 0 {
				return
			}
			out = append(out, buf[:n]...)
		}
	}
	for _, p := range pieces {
		unix.Write(fds[1], p)
		turn()
	}
	unix.Shutdown(fds[1], unix.SHUT_WR)
	turn()
	unix.Close(fds[1])
	fds[1] = -1
	turn()
	for s := range fl.socks() {
		s.owner.abandon()
	}
	fl.settle()
	if text := fl.defects.String(); strings.Contains(text, "defect") {
		fl.defects.Reset()
		t.Fatal(text)
	}
	if n := len(fl.flights); n > 0 {
		t.Fatalf("%d requests are still in flight", n)
	}
	return out
}

// halves cuts in two, so that every parser also meets a beginning.
func halves(b []byte) [][]byte { return [][]byte{b[:len(b)/2], b[len(b)/2:]} }

// FuzzClient1 feeds whole connections of HTTP/1: nothing may panic, and what comes back is made of
// complete responses.
func FuzzClient1(f *testing.F) {
	fl := newFuzzLoop(f)
	f.Add([]byte("GET / HTTP/1.1\r\nHost: a\r\n\r\nPOST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc"))
	f.Add([]byte("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nX: y\r\n\r\n"))
	f.Add([]byte("GET / HTTP/1.0\r\n\r\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		out := fl.feed(t, false, halves(b)...)
		if bytes.Contains(b, []byte("HEAD")) {
			return // which responses have a body cannot be told from them alone
		}
		for len(out) > 0 {
			var r http1.Response
			n, err := http1.ParseResponse(out, &r, false)
			if err != nil {
				t.Fatalf("%q: %v", out, err)
			}
			out = out[n:]
			if r.Length > int64(len(out)) {
				t.Fatalf("a body of %d bytes is cut to %q", r.Length, out)
			}
			out = out[max(r.Length, 0):]
		}
	})
}

// FuzzClient2 feeds whole connections of HTTP/2: nothing may panic, and what comes back is made of
// complete frames.
func FuzzClient2(f *testing.F) {
	fl := newFuzzLoop(f)
	start := []byte(http2.Preface)
	start = http2.AppendHeader(start, http2.Settings, 0, 0, 0)
	get := http2.AppendHeader(bytes.Clone(start), http2.Headers, http2.EndHeaders|http2.EndStream, 1, 6)
	get = append(get, 0x82, 0x84, 0x87, 0x41, 1, 'a')
	f.Add(get)
	f.Add(http2.AppendGoAway(http2.AppendRST(bytes.Clone(get), 1, http2.Cancel), 0, http2.NoError, ""))
	f.Add(http2.AppendWindowUpdate(bytes.Clone(get), 0, 1000))
	f.Fuzz(func(t *testing.T, b []byte) {
		out := fl.feed(t, true, append([][]byte{start}, halves(b)...)...)
		var frame http2.Frame
		for len(out) > 0 {
			n, err := http2.ParseFrame(out, &frame)
			if err != nil || n == 0 {
				t.Fatalf("%q is no frame: %v", out, err)
			}
			out = out[n:]
		}
	})
}
