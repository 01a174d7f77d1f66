package session_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"fairlead/internal/node/session"
	"fairlead/internal/node/session/sessiontest"
	"fairlead/internal/runtime"
)

// serve runs sessions of run, for the token "secret", and connects to one.
func serve(t *testing.T, run session.Run) *sessiontest.Plugin {
	t.Helper()
	ending := make(chan struct{})
	open := func(_ context.Context, id, token string) (session.Run, error) {
		if id != "s1" || token != "secret" {
			return nil, errors.New("no such session")
		}
		return run, nil
	}
	server := httptest.NewServer(session.Handler(open, ending, slog.New(slog.DiscardHandler)))
	t.Cleanup(func() { close(ending); server.Close() })
	return sessiontest.Dial(t,
		"ws"+strings.TrimPrefix(server.URL, "http")+session.Path+"s1?role=publish_subscribe")
}

func TestSession(t *testing.T) {
	p := serve(t, func(_ context.Context, terminal runtime.Terminal) (int, error) {
		size := <-terminal.Sizes
		fmt.Fprintf(terminal.Out, "%dx%d\n", size.Columns, size.Rows)
		line := make([]byte, 3)
		if _, err := io.ReadFull(terminal.In, line); err != nil {
			return 0, err
		}
		fmt.Fprintf(terminal.Out, "you typed %q\n", line)
		return 0, nil
	})
	p.Shake("secret")
	p.Send(session.PayloadSize, `{"cols":120,"rows":40}`)
	p.Send(session.PayloadOutput, "l")
	p.Send(session.PayloadOutput, "s\r")
	shown, why := p.Rest()
	if shown != "120x40\nyou typed \"ls\\r\"\n" || why != "" {
		t.Errorf("shown %q, closed because %q", shown, why)
	}
}

// TestOutputIsSentAgain: what the client drops before its terminal is ready comes again, in order,
// and a process that writes a lot waits for the client.
func TestOutputIsSentAgain(t *testing.T) {
	long := strings.Repeat("0123456789abcdef", 16<<10) // more than a window
	p := serve(t, func(_ context.Context, terminal runtime.Terminal) (int, error) {
		_, err := io.WriteString(terminal.Out, long)
		return 0, err
	})
	p.Shake("secret")
	p.Deaf = 10
	if shown, why := p.Rest(); shown != long || why != "" {
		t.Errorf("%d bytes shown of %d, closed because %q", len(shown), len(long), why)
	}
}

// TestInputIsTakenOnce: a message that comes again is acknowledged and not typed again.
func TestInputIsTakenOnce(t *testing.T) {
	p := serve(t, func(_ context.Context, terminal runtime.Terminal) (int, error) {
		keys := make([]byte, 2)
		_, err := io.ReadFull(terminal.In, keys)
		fmt.Fprintf(terminal.Out, "%s", keys)
		return 0, err
	})
	p.Shake("secret")
	p.Send(session.PayloadOutput, "a")
	p.Next--
	p.Send(session.PayloadOutput, "a")
	p.Next += 5
	p.Send(session.PayloadOutput, "z") // ahead of its turn
	p.Next -= 6
	p.Send(session.PayloadOutput, "b")
	if shown, _ := p.Rest(); shown != "ab" {
		t.Errorf("the process read %q", shown)
	}
}

func TestTokenIsChecked(t *testing.T) {
	p := serve(t, func(context.Context, runtime.Terminal) (int, error) {
		t.Error("a session was run without its token")
		return 0, nil
	})
	p.Token("wrong")
	if _, _, err := p.Conn.ReadMessage(); err == nil {
		t.Error("the connection stays open")
	}
}

// TestClientEnds: the process is stopped when the client asks for it, leaves, or breaks the protocol.
func TestClientEnds(t *testing.T) {
	broken := session.Message{Type: session.InputData, Payload: session.PayloadOutput, Data: []byte("x")}
	wire := broken.Append(nil)
	wire[len(wire)-1] ^= 1 // the digest does not fit any more
	for name, end := range map[string]func(p *sessiontest.Plugin){
		"asks":   func(p *sessiontest.Plugin) { p.Send(session.PayloadFlag, "\x00\x00\x00\x02") },
		"leaves": func(p *sessiontest.Plugin) { p.Conn.Close() },
		"breaks": func(p *sessiontest.Plugin) { p.Conn.WriteMessage(websocket.BinaryMessage, wire) },
	} {
		t.Run(name, func(t *testing.T) {
			stopped := make(chan struct{})
			p := serve(t, func(ctx context.Context, _ runtime.Terminal) (int, error) {
				<-ctx.Done()
				close(stopped)
				return 137, ctx.Err()
			})
			p.Shake("secret")
			end(p)
			select {
			case <-stopped:
			case <-time.After(20 * time.Second):
				t.Error("the process goes on")
			}
		})
	}
}

func TestProcessThatCannotRun(t *testing.T) {
	p := serve(t, func(context.Context, runtime.Terminal) (int, error) {
		return 0, errors.New(`exec: "bash": not found`)
	})
	p.Shake("secret")
	if _, why := p.Rest(); !strings.Contains(why, `"bash": not found`) {
		t.Errorf("closed because %q", why)
	}
}

func TestRefusedHandshake(t *testing.T) {
	p := serve(t, func(context.Context, runtime.Terminal) (int, error) {
		t.Error("a session was run though the client refused")
		return 0, nil
	})
	p.Token("secret")
	p.Receive()
	p.Send(session.PayloadHandshakeResponse, `{"ProcessedClientActions":[{"ActionStatus":3,"Error":"no"}]}`)
	for {
		if _, _, err := p.Conn.ReadMessage(); err != nil {
			return
		}
	}
}
