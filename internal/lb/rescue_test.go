package lb

import (
	"errors"
	"io"
	"log/slog"
	"net/http"
	"os"
	"testing"

	"fairlead/internal/lb/poll"
)

// faulty is an owner that fails on every occasion.
type faulty struct {
	sockOwner
	where string
}

func (f faulty) onEvent() {
	if f.where == "event" {
		panic("a defect, for the test")
	}
}

func (f faulty) Expired() { panic("a defect, for the test") }

// A panic in one connection costs that connection only, wherever it happens.
func TestPanicIsContained(t *testing.T) {
	f := serve(t, unprobed(groupOf("g", startTarget(t, func(w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, "x")
	}))))
	for _, where := range []string{"event", "timer"} {
		victim, other := f.raw(hello), f.raw("")
		victim.Read(make([]byte, 1))
		f.onLoops(func(l *loop) {
			l.log = slog.New(slog.DiscardHandler)
			for s := range l.socks() {
				c, ok := s.owner.(*client)
				if !ok || c.info.remote.String() != victim.LocalAddr().String() {
					continue
				}
				bad := faulty{sockOwner: c, where: where}
				s.owner = bad
				if where == "timer" {
					l.wheel.Set(&poll.Timer{H: bad}, l.now)
				}
			}
		})
		io.WriteString(victim, hello)
		if _, err := io.Copy(io.Discard, victim); errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("%s: the connection is still there", where)
		}
		io.WriteString(other, hello)
		if _, err := other.Read(make([]byte, 1)); err != nil {
			t.Errorf("%s: another connection: %v", where, err)
		}
		other.Close()
	}
	waitFor(t, func() bool { return f.Stats().LoadBalancers["app/lb/1"].ActiveConnections == 0 })
}
