package lb

import (
	"fmt"
	"net/netip"
	"reflect"
	"strings"
	"testing"
	"time"
)

func TestAppendLine(t *testing.T) {
	at := time.Date(2026, 1, 2, 3, 4, 5, 678901000, time.UTC)
	r := AccessRecord{
		LoadBalancer: "app/lb/1", Type: "https", Created: at, Finished: at.Add(time.Second),
		Client: netip.MustParseAddrPort("1.2.3.4:5"), Target: netip.MustParseAddrPort("[::1]:80"),
		TargetKey: TargetKey{Group: "tg"}, RequestTime: 1500 * time.Microsecond,
		TargetTime: 2 * time.Second, ResponseTime: -1, Status: 200, TargetStatus: 201,
		Received: 10, Sent: 20, Method: "GET", URL: "https://a:443/\"x", Version: "HTTP/1.1",
		UserAgent: "a\\b\n", TLSCipher: "C", TLSVersion: "TLSv1.3", TraceID: "Root=1",
		ServerName: "a", Certificate: "arn", Priority: 3, Actions: "forward", Class: "Severe",
		ClassReason: "Because", ConnTraceID: "TID_1",
	}
	want := `https 2026-01-02T03:04:06.678901Z app/lb/1 1.2.3.4:5 [::1]:80 0.001 2.000 -1 200 201 ` +
		`10 20 "GET https://a:443/\x22x HTTP/1.1" "a\x5cb\x0a" C TLSv1.3 tg "Root=1" "a" "arn" 3 ` +
		`2026-01-02T03:04:05.678901Z "forward" "-" "-" "[::1]:80" "201" "Severe" "Because" TID_1 ` +
		`"-" "-" "-"` + "\n"
	if got := string(r.AppendLine(nil)); got != want {
		t.Errorf("\n%s\n%s", got, want)
	}
}

func BenchmarkAppendLine(b *testing.B) {
	r := AccessRecord{Created: time.Now(), Finished: time.Now(), Method: "GET",
		URL: "http://example.com:80/path", TraceID: "Root=1-6b02c8ca-ee97e9bf47bc3bbe7bce2f4a",
		Client: netip.MustParseAddrPort("1.2.3.4:5"), Target: netip.MustParseAddrPort("1.2.3.4:5")}
	var buf []byte
	for b.Loop() {
		buf = r.AppendLine(buf[:0])
	}
}

// TestTimesOfOneSecond: the two times of a line differ in their microseconds alone.
func TestTimesOfOneSecond(t *testing.T) {
	created := time.Date(2026, 1, 2, 3, 4, 5, 6000, time.UTC)
	for after, want := range map[time.Duration]string{
		time.Microsecond: "2026-01-02T03:04:05.000007Z", time.Second: "2026-01-02T03:04:06.000006Z",
	} {
		r := AccessRecord{Created: created, Finished: created.Add(after)}
		line := string(r.AppendLine(nil))
		if !strings.HasPrefix(line, "- "+want+" ") || !strings.Contains(line, " 2026-01-02T03:04:05.000006Z ") {
			t.Errorf("after %v: %s", after, line)
		}
	}
}

// TestEscapes has every byte at every place of a text that is looked at eight bytes at a time.
func TestEscapes(t *testing.T) {
	for c := range 256 {
		for at := range 20 {
			text := []byte("abcdefghijklmnopqrst")
			text[at] = byte(c)
			want := string(text)
			if c < ' ' || c >= 0x7f || c == '"' || c == '\\' {
				want = fmt.Sprintf("%s\\x%02x%s", text[:at], c, text[at+1:])
			}
			if got := string(appendEscaped(nil, string(text))); got != want {
				t.Fatalf("%q becomes %s, want %s", text, got, want)
			}
		}
	}
}

// TestClonesCanBeKept: the texts of records are written over, those of clones are not.
func TestClonesCanBeKept(t *testing.T) {
	ex := &exchange{loop: &loop{}, ln: &listener{}, conn: &connInfo{acc: &acceptor{}}}
	ex.method, ex.host, ex.target = []byte("GET"), []byte("a"), []byte("/b")
	ex.agent, ex.traceID = []byte("agent"), []byte("Root=1")
	var r AccessRecord
	batch := &recordBatch{}
	ex.fillRecord(&r, batch)
	kept := r.Clone()
	for i := range batch.text {
		batch.text[i] = 'x'
	}
	if kept.Method != "GET" || kept.URL != "http://a:0/b" || kept.UserAgent != "agent" ||
		kept.TraceID != "Root=1" || r.Method != "xxx" {
		t.Errorf("clone %+v of %+v", kept, r)
	}
}

// TestRecordsAreWrittenAnew: records are used again, so nothing of the one before may stay.
func TestRecordsAreWrittenAnew(t *testing.T) {
	stale := AccessRecord{Priority: 7, Retried: true}
	for _, field := range reflect.ValueOf(&stale).Elem().Fields() {
		switch field.Kind() {
		case reflect.String:
			field.SetString("stale")
		case reflect.Int, reflect.Int64:
			field.SetInt(7)
		}
	}
	now := time.Now()
	stale.Created, stale.Finished = now, now
	stale.Client, stale.Target = netip.MustParseAddrPort("1.2.3.4:5"), netip.MustParseAddrPort("1.2.3.4:5")
	stale.TargetKey = TargetKey{Group: "stale", ID: "stale", Port: 7}
	l := &loop{}
	ex := &exchange{loop: l, ln: &listener{}, conn: &connInfo{acc: &acceptor{}}}
	fresh := AccessRecord{}
	ex.fillRecord(&fresh, &recordBatch{})
	ex.fillRecord(&stale, &recordBatch{})
	if !reflect.DeepEqual(stale, fresh) {
		t.Errorf("got  %+v\nwant %+v", stale, fresh)
	}
}
