package http2

import (
	"bytes"
	"fmt"
	"io"
	"strings"
	"testing"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// What we encode, the decoder of x/net must read, for all statuses and names.
func TestEncodedBlocks(t *testing.T) {
	var b []byte
	var want []string
	for _, status := range []int{100, 200, 204, 206, 304, 400, 404, 418, 500, 503} {
		b = AppendStatus(b, status)
		want = append(want, fmt.Sprintf(":status=%d", status))
	}
	names := []string{"X-Custom", "Content-Type", "date", strings.Repeat("long-", 60)}
	for _, names2 := range staticNames {
		for _, n := range names2 {
			names = append(names, n.name)
		}
	}
	for _, name := range names {
		for _, value := range []string{"", "v", strings.Repeat("value ", 5), strings.Repeat("\xff", 300)} {
			b = AppendField(b, []byte(name), []byte(value))
			want = append(want, strings.ToLower(name)+"="+value)
		}
	}
	fields, err := hpack.NewDecoder(4096, nil).DecodeFull(b)
	if err != nil {
		t.Fatal(err)
	}
	for i, f := range fields {
		if got := f.Name + "=" + f.Value; got != want[i] {
			t.Errorf("field %d: %.60q, want %.60q", i, got, want[i])
		}
	}
	if len(fields) != len(want) {
		t.Errorf("%d fields, want %d", len(fields), len(want))
	}
}

// What x/net writes, we parse, and every prefix is incomplete.
func TestParseFrame(t *testing.T) {
	var buf bytes.Buffer
	fr := http2.NewFramer(&buf, nil)
	fr.WriteDataPadded(3, true, []byte("hello"), make([]byte, 7))
	for i := range buf.Len() {
		var f Frame
		if n, err := ParseFrame(buf.Bytes()[:i], &f); n != 0 || err != nil {
			t.Fatalf("prefix of %d bytes: %d, %v", i, n, err)
		}
	}
	var f Frame
	n, err := ParseFrame(buf.Bytes(), &f)
	if err != nil || n != buf.Len() || f.Type != Data || f.Stream != 3 || !f.Has(EndStream) {
		t.Fatalf("%+v, %d, %v", f, n, err)
	}
	if p, err := f.Unpad(); err != nil || string(p) != "hello" {
		t.Errorf("%q, %v", p, err)
	}
}

// What we write, x/net reads.
func TestAppendedFrames(t *testing.T) {
	b := AppendWindowUpdate(nil, 5, 1000)
	b = AppendRST(b, 7, Cancel)
	b = AppendGoAway(b, 9, EnhanceYourCalm, "slow down")
	b = AppendHeader(b, Settings, 0, 0, 6)
	b = AppendSetting(b, MaxConcurrentStreams, 128)
	fr := http2.NewFramer(io.Discard, bytes.NewReader(b))
	var got []string
	for {
		f, err := fr.ReadFrame()
		if err != nil {
			break
		}
		got = append(got, f.Header().Type.String())
		if g, ok := f.(*http2.GoAwayFrame); ok && string(g.DebugData()) != "slow down" {
			t.Errorf("debug data %q", g.DebugData())
		}
	}
	if want := "[WINDOW_UPDATE RST_STREAM GOAWAY SETTINGS]"; fmt.Sprint(got) != want {
		t.Errorf("%v, want %v", got, want)
	}
}

func TestBrokenFrames(t *testing.T) {
	for name, f := range map[string]Frame{
		"pad without length":    {Type: Data, Flags: Padded},
		"pad longer than frame": {Type: Data, Flags: Padded, Payload: []byte{2, 0}},
		"priority cut short":    {Type: Headers, Flags: HasPrio, Payload: []byte{0, 0, 0, 0}},
		"depends on itself":     {Type: Headers, Flags: HasPrio, Stream: 1, Payload: []byte{0, 0, 0, 1, 0}},
		"padding over priority": {Type: Headers, Flags: HasPrio | Padded, Payload: []byte{1, 0, 0, 0, 3, 0}},
	} {
		if p, err := f.Unpad(); err == nil {
			t.Errorf("%s: accepted as %q", name, p)
		}
	}
	for _, p := range [][]byte{{0}, {0, 2, 0, 0, 0, 2}, {0, 4, 0x80, 0, 0, 0}, {0, 5, 0, 0, 0, 1}} {
		if err := EachSetting(p, func(SettingID, uint32) {}); err == nil {
			t.Errorf("settings %v accepted", p)
		}
	}
}

func FuzzParseFrame(f *testing.F) {
	f.Add([]byte{0, 0, 1, 0, 9, 0, 0, 0, 1, 0})
	f.Fuzz(func(t *testing.T, in []byte) {
		var fr Frame
		n, err := ParseFrame(in, &fr)
		if err != nil || n == 0 {
			return
		}
		if n > len(in) || len(fr.Payload) != n-HeaderLen {
			t.Fatalf("%d of %d bytes, payload %d", n, len(in), len(fr.Payload))
		}
		fr.Unpad()
		EachSetting(fr.Payload, func(SettingID, uint32) {})
	})
}
