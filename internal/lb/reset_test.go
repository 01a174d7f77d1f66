package lb

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"

	"golang.org/x/net/http2"
)

// Requests that are reset in the packet that brings them reach no target and cost no connection to
// one; each is logged.
func TestResetAtOnce(t *testing.T) {
	var conns, requests atomic.Int64
	srv := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		requests.Add(1)
	}))
	srv.Config.ConnState = func(_ net.Conn, s http.ConnState) {
		if s == http.StateNew {
			conns.Add(1)
		}
	}
	srv.Start()
	t.Cleanup(srv.Close)
	g := unprobed(groupOf("g", netip.MustParseAddrPort(srv.Listener.Addr().String())))
	f := serve(t, g, secure(certFor(t, "c", false, "a.example")))
	h := f.h2()
	h.request(1, true, simple...)
	h.await(http2.FrameHeaders)
	const resets = 50
	var packet bytes.Buffer
	framer := http2.NewFramer(&packet, nil)
	id := uint32(1)
	for range resets {
		id += 2
		framer.WriteHeaders(http2.HeadersFrameParam{StreamID: id, EndHeaders: true, EndStream: true,
			BlockFragment: h.encode(simple...)})
		framer.WriteRSTStream(id, http2.ErrCodeCancel)
	}
	if _, err := h.Conn.Write(packet.Bytes()); err != nil {
		t.Fatal(err)
	}
	id += 2
	h.request(id, true, simple...)
	for h.await(http2.FrameHeaders).Header().StreamID != id {
	}
	if conns.Load() != 1 || requests.Load() != 2 {
		t.Errorf("%d connections, %d requests to the target, want 1 and 2", conns.Load(), requests.Load())
	}
	gone := 0
	for _, r := range f.allRecords() {
		if r.Status == 460 {
			gone++
		}
	}
	if gone != resets {
		t.Errorf("%d records of requests that were reset, want %d", gone, resets)
	}
}

// resettingTarget speaks HTTP/2 and resets every stream with a code, after a head or before.
func resettingTarget(t *testing.T, code http2.ErrCode, head bool) netip.AddrPort {
	return rawTarget(t, func(c net.Conn, r *bufio.Reader) {
		io.ReadFull(r, make([]byte, len(http2.ClientPreface)))
		fr := http2.NewFramer(c, r)
		fr.WriteSettings()
		for {
			f, err := fr.ReadFrame()
			if err != nil {
				return
			}
			h, ok := f.(*http2.HeadersFrame)
			if !ok {
				continue
			}
			if head {
				const status200 = 0x88 // RFC 7541, appendix A
				fr.WriteHeaders(http2.HeadersFrameParam{StreamID: h.StreamID, EndHeaders: true,
					BlockFragment: []byte{status200}})
			}
			fr.WriteRSTStream(h.StreamID, code)
		}
	})
}

// A gRPC client sees the reset of the target, others a 502, or the end of a response that has begun.
func TestTargetResetsStream(t *testing.T) {
	for _, c := range []struct {
		name, contentType string
		head              bool
		want              http2.ErrCode // 0 is a 502
		status            int           // of the record
		counted           uint64        // of ELB502
	}{
		{"gRPC, before the head", "application/grpc", false, http2.ErrCodeCancel, 502, 1},
		{"gRPC, after the head", "application/grpc", true, http2.ErrCodeCancel, 200, 0},
		{"other, before the head", "text/plain", false, 0, 502, 1},
		{"other, after the head", "text/plain", true, http2.ErrCodeInternal, 200, 0},
	} {
		f := serve(t, h2Group(resettingTarget(t, http2.ErrCodeCancel, c.head), GRPC, HTTP),
			secure(certFor(t, "c", false, "a.example")))
		req, _ := http.NewRequest("POST", "https://"+f.addr()+"/pkg.Service/Method", strings.NewReader("x"))
		req.Header.Set("Content-Type", c.contentType)
		resp, err := h2Transport(t).RoundTrip(req)
		if err == nil {
			_, err = io.ReadAll(resp.Body)
			resp.Body.Close()
		}
		var reset http2.StreamError
		switch errors.As(err, &reset); {
		case reset.Code != c.want:
			t.Errorf("%s: %v, want a reset with %v", c.name, err, c.want)
		case c.want == 0 && (err != nil || resp.StatusCode != 502):
			t.Errorf("%s: %v, %v, want a 502", c.name, resp, err)
		}
		if rs := f.allRecords(); len(rs) != 1 || rs[0].Status != c.status {
			t.Errorf("%s: records %+v", c.name, rs)
		}
		if got := f.Stats().LoadBalancers["app/lb/1"].ELB502; got != c.counted {
			t.Errorf("%s: %d times 502 counted, want %d", c.name, got, c.counted)
		}
	}
}

func TestGRPCStatus(t *testing.T) {
	for status, want := range map[int]string{400: "13", 401: "16", 403: "7", 404: "12", 405: "2", 460: "2",
		500: "2", 502: "14", 503: "14", 504: "14", 562: "2"} {
		if got, message := grpcStatus(status); got != want || message == "" {
			t.Errorf("%d is gRPC's %s %q, want %s", status, got, message, want)
		}
	}
}
