package lb

import (
	"bytes"
	"crypto/tls"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	ours "fairlead/internal/lb/http2"
)

func TestH2Bodies(t *testing.T) {
	addr := startTarget(t, func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		w.Header().Set("X-Len", fmt.Sprint(r.ContentLength))
		w.Write(b)
	})
	f := serve(t, groupOf("g", addr), secure(certFor(t, "c", false, "a.example")))
	c := httpsClient(t, true)
	var wg sync.WaitGroup
	for i := range 6 {
		wg.Go(func() {
			for _, size := range []int{0, 1, 20_000, 1 << 20} {
				for _, hide := range []bool{false, true} {
					sent := bytes.Repeat([]byte{byte(i)}, size)
					var body io.Reader = bytes.NewReader(sent)
					if hide {
						body = io.MultiReader(body)
					}
					resp, err := c.Post("https://"+f.addr()+"/", "x/y", body)
					if err != nil {
						t.Error(err)
						return
					}
					got, err := io.ReadAll(resp.Body)
					resp.Body.Close()
					if err != nil || !bytes.Equal(got, sent) || resp.ProtoMajor != 2 {
						t.Errorf("%s: %d bytes came back as %d (%v)", resp.Proto, size, len(got), err)
					}
				}
			}
		})
	}
	wg.Wait()
	if records := f.allRecords(); len(records) != 6*8 || records[0].Type != "h2" {
		t.Errorf("%d records, the first of type %s", len(records), records[0].Type)
	}
}

func TestH2Trailers(t *testing.T) {
	addr := startTarget(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Trailer", "X-Sum")
		io.Copy(w, r.Body)
		w.Header().Set("X-Sum", r.Trailer.Get("X-In"))
	})
	f := serve(t, groupOf("g", addr), secure(certFor(t, "c", false, "a.example")))
	req, _ := http.NewRequest("POST", "https://"+f.addr(), strings.NewReader("body"))
	req.ContentLength = -1
	req.Trailer = http.Header{"X-In": []string{"42"}}
	resp, err := httpsClient(t, true).Do(req)
	if err != nil {
		t.Fatal(err)
	}
	body, _ := io.ReadAll(resp.Body)
	resp.Body.Close()
	if string(body) != "body" || resp.Trailer.Get("X-Sum") != "42" {
		t.Errorf("body %q, trailers %v", body, resp.Trailer)
	}
}

// h2Raw is a connection of HTTP/2 on which a test says whatever it likes.
type h2Raw struct {
	*http2.Framer
	*tls.Conn
	t   *testing.T
	enc *hpack.Encoder
	buf bytes.Buffer
}

func (f *fixture) h2() *h2Raw {
	f.t.Helper()
	conn, err := tls.Dial("tcp", f.addr(), &tls.Config{InsecureSkipVerify: true,
		NextProtos: []string{"h2"}})
	if err != nil {
		f.t.Fatal(err)
	}
	f.t.Cleanup(func() { conn.Close() })
	conn.SetDeadline(time.Now().Add(10 * time.Second))
	h := &h2Raw{Framer: http2.NewFramer(conn, conn), Conn: conn, t: f.t}
	h.Framer.AllowIllegalWrites = true
	h.enc = hpack.NewEncoder(&h.buf)
	io.WriteString(conn, ours.Preface)
	h.WriteSettings()
	return h
}

// request sends the header block of a request; fields are names and values in turn.
func (h *h2Raw) request(id uint32, end bool, fields ...string) {
	if err := h.WriteHeaders(http2.HeadersFrameParam{StreamID: id, EndHeaders: true,
		EndStream: end, BlockFragment: h.encode(fields...)}); err != nil {
		h.t.Fatal(err)
	}
}

func (h *h2Raw) encode(fields ...string) []byte {
	h.buf.Reset()
	for i := 0; i < len(fields); i += 2 {
		h.enc.WriteField(hpack.HeaderField{Name: fields[i], Value: fields[i+1]})
	}
	return bytes.Clone(h.buf.Bytes())
}

// await reads frames until one of the wanted type; others are skipped.
func (h *h2Raw) await(want http2.FrameType) http2.Frame {
	h.t.Helper()
	for {
		f, err := h.ReadFrame()
		if err != nil {
			h.t.Fatalf("waiting for %v: %v", want, err)
		}
		if f.Header().Type == want {
			return f
		}
	}
}

var simple = []string{":method", "GET", ":scheme", "https", ":path", "/", ":authority", "a"}

func TestH2MalformedRequests(t *testing.T) {
	f := serve(t, groupOf("g", startTarget(t, func(http.ResponseWriter, *http.Request) {})),
		secure(certFor(t, "c", false, "a.example")))
	h := f.h2()
	id := uint32(1)
	for name, fields := range map[string][]string{
		"upper case":        append(simple[:8:8], "X-Upper", "v"),
		"connection":        append(simple[:8:8], "connection", "close"),
		"transfer-encoding": append(simple[:8:8], "transfer-encoding", "chunked"),
		"te":                append(simple[:8:8], "te", "gzip"),
		"late pseudo":       append([]string{"x", "y"}, simple...),
		"unknown pseudo":    append(simple[:8:8], ":nope", "v"),
		"twice":             append(simple[:8:8], ":path", "/2"),
		"no path":           {":method", "GET", ":scheme", "https", ":authority", "a"},
		"newline":           append(simple[:8:8], "x", "a\nb: c"),
		"blank in path":     {":method", "GET", ":scheme", "https", ":path", "/a b", ":authority", "a"},
		"length and end":    append(simple[:8:8], "content-length", "3"),
	} {
		h.request(id, true, fields...)
		rst := h.await(http2.FrameRSTStream).(*http2.RSTStreamFrame)
		if rst.StreamID != id || rst.ErrCode != http2.ErrCodeProtocol {
			t.Errorf("%s: %v", name, rst)
		}
		id += 2
	}
	h.request(id, true, simple...)
	if h.await(http2.FrameHeaders).Header().StreamID != id {
		t.Error("the connection does not work any more")
	}
}

// A client that only resets, or sends frames to no end, is sent away.
func TestH2Floods(t *testing.T) {
	f := serve(t, groupOf("g", startTarget(t, func(w http.ResponseWriter, r *http.Request) {
		<-r.Context().Done()
	})), secure(certFor(t, "c", false, "a.example")))
	floods := map[string]func(h *h2Raw, i uint32) error{
		"rapid reset": func(h *h2Raw, i uint32) error {
			h.WriteHeaders(http2.HeadersFrameParam{StreamID: 2*i + 1, EndHeaders: true,
				EndStream: true, BlockFragment: h.encode(simple...)})
			return h.WriteRSTStream(2*i+1, http2.ErrCodeCancel)
		},
		"ping":     func(h *h2Raw, i uint32) error { return h.WritePing(false, [8]byte{}) },
		"settings": func(h *h2Raw, i uint32) error { return h.WriteSettings() },
		"priority": func(h *h2Raw, i uint32) error {
			return h.WritePriority(1, http2.PriorityParam{StreamDep: 3})
		},
	}
	for name, flood := range floods {
		h := f.h2()
		start := time.Now()
		go func() {
			for i := range uint32(5 * nuisanceBurst) {
				if flood(h, i) != nil {
					return
				}
			}
		}()
		away := h.await(http2.FrameGoAway).(*http2.GoAwayFrame)
		if away.ErrCode != http2.ErrCodeEnhanceYourCalm {
			t.Errorf("%s: %v", name, away)
		}
		h.Close()
		t.Log(name, time.Since(start))
	}
}

func TestH2ContinuationFlood(t *testing.T) {
	f := serve(t, groupOf("g"), secure(certFor(t, "c", false, "a.example")))
	h := f.h2()
	h.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: h.encode(simple...)})
	go func() {
		for h.WriteContinuation(1, false, make([]byte, 10_000)) == nil {
		}
	}()
	if away := h.await(http2.FrameGoAway).(*http2.GoAwayFrame); away.ErrCode !=
		http2.ErrCodeEnhanceYourCalm {
		t.Errorf("%v", away)
	}
}

// A header list that is small on the wire and large in memory is refused with 400.
func TestH2HeaderBomb(t *testing.T) {
	f := serve(t, groupOf("g"), secure(certFor(t, "c", false, "a.example")))
	h := f.h2()
	fields := simple[:8:8]
	for range 100 {
		fields = append(fields, "bomb", strings.Repeat("x", 3000))
	}
	h.request(1, true, fields...)
	h.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
	head := h.await(http2.FrameHeaders).(*http2.MetaHeadersFrame)
	if head.PseudoValue("status") != "400" {
		t.Errorf("%v", head)
	}
}

func TestH2TooManyStreams(t *testing.T) {
	f := serve(t, groupOf("g", startTarget(t, func(w http.ResponseWriter, r *http.Request) {
		<-r.Context().Done()
	})), secure(certFor(t, "c", false, "a.example")))
	h := f.h2()
	for i := range uint32(maxStreams + 1) {
		h.request(2*i+1, true, simple...)
	}
	rst := h.await(http2.FrameRSTStream).(*http2.RSTStreamFrame)
	if rst.StreamID != 2*maxStreams+1 || rst.ErrCode != http2.ErrCodeRefusedStream {
		t.Errorf("%v", rst)
	}
}

// A client with a tiny window gets everything, and does not block another.
func TestH2FlowControl(t *testing.T) {
	const size = 300_000
	f := serve(t, groupOf("g", startTarget(t, func(w http.ResponseWriter, r *http.Request) {
		w.Write(make([]byte, size))
	})), secure(certFor(t, "c", false, "a.example")))
	h := f.h2()
	h.WriteSettings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: 100})
	h.request(1, true, simple...)
	h.request(3, true, simple...)
	got := map[uint32]int{}
	for got[1] < size || got[3] < size {
		data := h.await(http2.FrameData).(*http2.DataFrame)
		n := uint32(len(data.Data()))
		got[data.StreamID] += int(n)
		if n > 0 {
			h.WriteWindowUpdate(0, n)
			h.WriteWindowUpdate(data.StreamID, n+uint32(got[data.StreamID]/10)+1)
		}
	}
	if got[1] != size || got[3] != size {
		t.Errorf("received %v", got)
	}
}

// TestH2LeavesInTwoSteps sends a request after the first GOAWAY, as one that was on its way when it
// came, and another right after the answer to the PING, as Go's client may: both are answered. The
// last GOAWAY comes later.
func TestH2LeavesInTwoSteps(t *testing.T) {
	addr := startTarget(t, func(http.ResponseWriter, *http.Request) {})
	f := serve(t, groupOf("g", addr), secure(certFor(t, "c", false, "a.example")),
		func(l *Listener) { l.Attributes.IdleTimeout = time.Second })
	h := f.h2()
	first := h.await(http2.FrameGoAway).(*http2.GoAwayFrame)
	if first.LastStreamID != 1<<31-1 || first.ErrCode != http2.ErrCodeNo {
		t.Errorf("the first GOAWAY is %v", first)
	}
	ping := h.await(http2.FramePing).(*http2.PingFrame)
	answered := func(id uint32) {
		t.Helper()
		h.request(id, true, simple...)
		if head := h.await(http2.FrameHeaders); head.Header().StreamID != id {
			t.Errorf("answered is %v, want stream %d", head, id)
		}
	}
	answered(1)
	h.WritePing(true, ping.Data)
	answered(3)
	if last := h.await(http2.FrameGoAway).(*http2.GoAwayFrame); last.LastStreamID != 3 {
		t.Errorf("the last GOAWAY is %v", last)
	}
}

// TestH2LeavesUnanswered keeps a client from staying by not answering the PING; its request is answered.
func TestH2LeavesUnanswered(t *testing.T) {
	t.Parallel()
	release := make(chan struct{})
	addr := startTarget(t, func(http.ResponseWriter, *http.Request) { <-release })
	f := serve(t, groupOf("g", addr), secure(certFor(t, "c", false, "a.example")))
	h := f.h2()
	h.request(1, true, simple...)
	h.await(http2.FrameSettings)
	f.onLoops(func(l *loop) { l.retire() })
	h.await(http2.FrameGoAway)
	if last := h.await(http2.FrameGoAway).(*http2.GoAwayFrame); last.LastStreamID != 1 {
		t.Errorf("the last GOAWAY is %v", last)
	}
	h.request(3, true, simple...)
	if rst := h.await(http2.FrameRSTStream).(*http2.RSTStreamFrame); rst.StreamID != 3 ||
		rst.ErrCode != http2.ErrCodeRefusedStream {
		t.Errorf("a stream after the last GOAWAY: %v", rst)
	}
	close(release)
	if head := h.await(http2.FrameHeaders); head.Header().StreamID != 1 {
		t.Errorf("answered is %v", head)
	}
}

func TestH2Expired(t *testing.T) {
	f := serve(t, groupOf("g"), secure(certFor(t, "c", false, "a.example")),
		func(l *Listener) { l.Attributes.IdleTimeout = time.Second })
	h := f.h2()
	if away := h.await(http2.FrameGoAway).(*http2.GoAwayFrame); away.ErrCode != http2.ErrCodeNo {
		t.Errorf("%v", away)
	}
}
