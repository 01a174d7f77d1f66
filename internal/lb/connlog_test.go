package lb

import (
	"net/netip"
	"sync"
	"testing"
	"time"
)

func TestConnectionLog(t *testing.T) {
	var mu sync.Mutex // guards got
	var got []ConnRecord
	e, err := New(Config{Loops: 1, ConnectionLog: func(r ConnRecord) {
		mu.Lock()
		defer mu.Unlock()
		got = append(got, r)
	}})
	if err != nil {
		t.Fatal(err)
	}
	f := &fixture{Engine: e, t: t}
	ln := Listener{ID: "l", LoadBalancer: "app/lb/1", Port: 443, Default: forwardTo("g"),
		Binds: []Bind{{Addr: netip.MustParseAddrPort("127.0.0.1:0")}}}
	secure(certFor(t, "c", false, "a.example"))(&ln)
	ln.Attributes.ConnectionLog = true
	f.swap(TableSpec{Listeners: []Listener{ln}, Groups: []Group{groupOf("g")}})
	resp, err := httpsClient(t, true).Get("https://" + f.addr())
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	f.ask(hello) // no handshake
	f.Close()
	if len(got) != 2 {
		t.Fatalf("%d records: %+v", len(got), got)
	}
	if r := got[0]; r.TLSVersion != "TLSv1.3" || r.TLSCipher == "" || r.KeyExchange == "" ||
		r.ListenerPort != 443 || r.Failure != "" || r.TraceID == "" || r.Handshake <= 0 {
		t.Errorf("%+v", r)
	}
	if r := got[1]; r.Failure == "" || r.TLSVersion != "" {
		t.Errorf("%+v", r)
	}
}

func TestConnRecordLine(t *testing.T) {
	r := ConnRecord{Time: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), ListenerPort: 443,
		Client: netip.MustParseAddrPort("1.2.3.4:5"), TLSVersion: "TLSv1.3", TLSCipher: "C",
		KeyExchange: "X25519", Handshake: 12 * time.Millisecond, TraceID: "TID_1"}
	want := "2026-01-02T03:04:05.000000Z 1.2.3.4 5 443 TLSv1.3 C 0.012 \"-\" - - - TID_1 X25519\n"
	if got := string(r.AppendLine(nil)); got != want {
		t.Errorf("%q, want %q", got, want)
	}
}
