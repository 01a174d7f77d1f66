// Package sessiontest is the client's side of a session, as the Session Manager plugin of the AWS
// CLI speaks it, for tests.
package sessiontest

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"fairlead/internal/node/session"
)

// patience bounds the whole session.
const patience = 30 * time.Second

// Plugin is the client of one session. Its methods fail the test when something goes wrong.
type Plugin struct {
	t        *testing.T
	Conn     *websocket.Conn
	Next     int64 // sequence number of what is sent next
	Deaf     int   // so many messages of the stream are dropped, unacknowledged, first
	expected int64
	ahead    map[int64]session.Message // came before their turn
}

// Dial connects to a stream URL.
func Dial(t *testing.T, url string) *Plugin {
	t.Helper()
	conn, _, err := websocket.DefaultDialer.Dial(url, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	conn.SetReadDeadline(time.Now().Add(patience))
	return &Plugin{t: t, Conn: conn, ahead: map[int64]session.Message{}}
}

// Token sends the first message.
func (p *Plugin) Token(token string) {
	p.t.Helper()
	first := map[string]string{"MessageSchemaVersion": "1.0", "TokenValue": token}
	if err := p.Conn.WriteJSON(first); err != nil {
		p.t.Fatal(err)
	}
}

// Receive returns the next message of the stream, in order, or the one that closes the channel.
func (p *Plugin) Receive() session.Message {
	p.t.Helper()
	for {
		if m, ok := p.ahead[p.expected]; ok {
			delete(p.ahead, p.expected)
			p.expected++
			return m
		}
		_, wire, err := p.Conn.ReadMessage()
		if err != nil {
			p.t.Fatal(err)
		}
		m, err := session.Parse(wire)
		if err != nil {
			p.t.Fatal(err)
		}
		switch {
		case m.Type == session.Closed:
			return m
		case m.Type != session.OutputData:
		case p.Deaf > 0:
			p.Deaf--
		default:
			p.acknowledge(m)
		}
	}
}

func (p *Plugin) acknowledge(m session.Message) {
	p.t.Helper()
	p.Write(session.Message{Type: session.Acknowledge, Flags: 3,
		Data: fmt.Appendf(nil, `{"AcknowledgedMessageSequenceNumber":%d}`, m.Sequence)})
	if m.Sequence >= p.expected {
		p.ahead[m.Sequence] = m
	}
}

// Send sends the next message of our stream.
func (p *Plugin) Send(payload session.PayloadType, data string) {
	p.t.Helper()
	p.Write(session.Message{Type: session.InputData, Sequence: p.Next, Payload: payload,
		Data: []byte(data)})
	p.Next++
}

// Write sends a message.
func (p *Plugin) Write(m session.Message) {
	p.t.Helper()
	m.Created, m.ID = time.Now(), [16]byte{15: 1}
	if err := p.Conn.WriteMessage(websocket.BinaryMessage, m.Append(nil)); err != nil {
		p.t.Fatal(err)
	}
}

// Shake sends the token and does the handshake.
func (p *Plugin) Shake(token string) {
	p.t.Helper()
	p.Token(token)
	request := p.Receive()
	if request.Payload != session.PayloadHandshakeRequest ||
		!strings.Contains(string(request.Data), `"SessionType":"InteractiveCommands"`) {
		p.t.Fatalf("handshake request is %d %s", request.Payload, request.Data)
	}
	p.Send(session.PayloadHandshakeResponse,
		`{"ClientVersion":"1.2.0.0","ProcessedClientActions":[{"ActionStatus":1}]}`)
	if complete := p.Receive(); complete.Payload != session.PayloadHandshakeComplete {
		p.t.Fatalf("after the handshake comes %d", complete.Payload)
	}
}

// Until reads what is shown until it contains the text.
func (p *Plugin) Until(text string) (shown string) {
	p.t.Helper()
	for !strings.Contains(shown, text) {
		m := p.Receive()
		if m.Type == session.Closed {
			p.t.Fatalf("the session ended: %s; shown: %q, without %q", m.Data, shown, text)
		}
		shown += string(m.Data)
	}
	return shown
}

// Rest reads until the channel closes and returns what was shown and why it closed.
func (p *Plugin) Rest() (shown, why string) {
	p.t.Helper()
	for {
		m := p.Receive()
		if m.Type != session.Closed {
			shown += string(m.Data)
			continue
		}
		var content struct{ SessionId, Output string }
		err := json.Unmarshal(m.Data, &content)
		if err = errors.Join(err, nonEmpty(content.SessionId)); err != nil {
			p.t.Errorf("closed with %s: %v", m.Data, err)
		}
		return shown, content.Output
	}
}

func nonEmpty(id string) error {
	if id == "" {
		return errors.New("no session id")
	}
	return nil
}
