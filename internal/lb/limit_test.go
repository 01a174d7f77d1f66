package lb

import (
	"io"
	"net/http"
	"testing"
)

// Beyond the limit of connections new ones are closed and counted, and the others go on.
func TestConnectionLimit(t *testing.T) {
	f := serve(t, unprobed(groupOf("g", startTarget(t, func(w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, "x")
	}))))
	const limit = 3
	f.onLoops(func(l *loop) { l.maxClients = limit })
	held := f.raw("")
	for range 40 {
		f.raw("")
	}
	rejected := func() uint64 { return f.Stats().LoadBalancers["app/lb/1"].RejectedConnectionCount }
	waitFor(t, func() bool { return rejected() == 41-limit*uint64(len(f.loops)) })
	io.WriteString(held, hello)
	if n, err := held.Read(make([]byte, 1)); n != 1 {
		t.Errorf("a connection within the limit: %v", err)
	}
}
