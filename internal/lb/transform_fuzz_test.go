package lb

import (
	"net/netip"
	"testing"

	"fairlead/internal/lb/http1"
)

// dryRun is an exchange that reads, transforms and writes heads, without connections.
func dryRun(fl *fuzzLoop, tr *transforms, preserve bool) *exchange {
	ln := &listener{Listener: Listener{DNSName: "lb.localhost", Port: 8080, Protocol: HTTP,
		Attributes: Attributes{XFF: XFFAppend, PreserveHost: preserve}}}
	ex := fl.newExchange(refused{}, &connInfo{acc: fl.acc, remote: netip.MustParseAddrPort("127.0.0.1:1")})
	ex.ln, ex.stats = ln, new(lbCounters)
	ex.act = &action{kind: ActionForward, transforms: tr}
	return ex
}

// refused is a client that takes pages and forgets them.
type refused struct{ downstream }

func (refused) sendGenerated(*exchange, *generated) {}
func (refused) finished(*exchange)                  {}

// FuzzTransform: whatever the transforms of a rule make of whatever request, it is refused or its
// head is read as one request: of the same method, with the same fields but for the host, and with the
// target and the host that the transforms have yielded.
func FuzzTransform(f *testing.F) {
	fl := newFuzzLoop(f)
	const get = "GET /a?b HTTP/1.1\r\nHost: a.example:8080\r\nX-A: b\r\n\r\n"
	f.Add("^/(.*)\\?(.*)$", "/$2?$1", "^(.*)\\.example$", "$1.internal", []byte(get), false)
	f.Add("$", "\r\nX: y", "$", "\r\nX: y\r\n\r\nGET / HTTP/1.1", []byte(get), true)
	f.Add(".", " HTTP/1.1", "", "", []byte("GET http://b/\x01 HTTP/1.0\r\nHost: a\r\nHost: b\r\n\r\n"), true)
	f.Fuzz(func(t *testing.T, url, newURL, host, newHost string, head []byte, preserve bool) {
		tr, err := compileTransforms(ActionForward, []Transform{
			{URLRewrite, url, newURL}, {HostHeaderRewrite, host, newHost}})
		if err != nil {
			return
		}
		var r, out http1.Request
		if _, err := http1.ParseRequest(head, &r); err != nil {
			return
		}
		ex := dryRun(fl, tr, preserve)
		defer fl.recycle()
		defer ex.end()
		if ex.read(&r) != nil {
			return
		}
		before := ex.appendHead(nil, &r)
		if !ex.transform() {
			if ex.status != 500 || ex.transformed.status == transformSuccess {
				t.Fatalf("refused with %d, %s", ex.status, ex.transformed.status)
			}
			return
		}
		after := ex.appendHead(nil, &r)
		if err := http1.ParseOwn(after, &out); err != nil {
			t.Fatalf("%q: %v", after, err)
		}
		if string(out.Method) != string(r.Method) || out.Minor != 1 || len(out.Target) > http1.MaxLine*3 {
			t.Fatalf("%q is another request than %q", after, head)
		}
		if got := ex.transformed.newTarget; got != nil && string(got) != string(out.Target) {
			t.Fatalf("target %q is read as %q", got, out.Target)
		}
		sameFields(t, before, after, ex.hostRewritten())
	})
}

// sameFields compares two heads, but for their targets, the trace, which is drawn by lot, and Host, of
// which there must be exactly one if it was rewritten.
func sameFields(t *testing.T, before, after []byte, rewritten bool) {
	t.Helper()
	fields := func(head []byte) (hosts int, all string) {
		var r http1.Request
		if err := http1.ParseOwn(head, &r); err != nil {
			t.Fatalf("%q: %v", head, err)
		}
		for _, f := range r.Fields {
			switch f.Kind {
			case http1.Host:
				hosts++
			case http1.XAmznTraceID:
			default:
				all += string(f.Name) + ": " + string(f.Value) + "\n"
			}
		}
		return hosts, all
	}
	hostsBefore, allBefore := fields(before)
	hosts, all := fields(after)
	if all != allBefore || rewritten && hosts != 1 || !rewritten && hosts != hostsBefore {
		t.Fatalf("%q became %q", before, after)
	}
}

// TestNoTransformCostsNothing: the head of a request of a rule without transforms is made without
// an allocation, and so is its record.
func TestNoTransformCostsNothing(t *testing.T) {
	fl := newFuzzLoop(t)
	ex := dryRun(fl, nil, false)
	var r http1.Request
	const get = "GET /a?b HTTP/1.1\r\nHost: a.example\r\nUser-Agent: x\r\nX-A: b\r\n\r\n"
	if _, err := http1.ParseRequest([]byte(get), &r); err != nil {
		t.Fatal(err)
	}
	var record AccessRecord
	batch := &recordBatch{}
	once := func() {
		ex.text, ex.reqFacts, batch.text = ex.text[:0], reqFacts{}, batch.text[:0]
		if ex.read(&r) != nil || ex.act.transforms != nil && !ex.transform() {
			t.Fatal("refused")
		}
		ex.head = ex.appendHead(ex.head[:0], &r)
		ex.fillRecord(&record, batch)
	}
	if n := testing.AllocsPerRun(100, once); n > 0 {
		t.Errorf("%v allocations", n)
	}
}
