// Package session is the far end of `aws ecs execute-command`: it gives a user's terminal to a
// process in a container, over the data channel of AWS Systems Manager Session Manager, as the
// Session Manager plugin of the AWS CLI speaks it.
//
// A session is one WebSocket connection. The client opens it with its token; then both sides send
// binary messages ([Message]) in two numbered streams, each of which the other acknowledges. We ask
// for a session with a terminal (handshake), run the process, and pass on keystrokes, output and the
// size of the window, until one side ends.
//
// The protocol is not documented; this follows what the plugin, which is open source, does
// (github.com/aws/session-manager-plugin).
package session

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/gorilla/websocket"

	"fairlead/internal/runtime"
)

const (
	// openTimeout bounds the time to the end of the handshake.
	openTimeout = 15 * time.Second
	// flushTimeout bounds the wait for the client to acknowledge the last output.
	flushTimeout = 5 * time.Second
	// idleTimeout ends a session in which nothing is typed or shown.
	// https://docs.aws.amazon.com/AmazonECS/latest/developerguide/ecs-exec.html
	idleTimeout = 20 * time.Minute
	// pieceSize is how much output goes into a message, as the agent of AWS does it.
	pieceSize = 1024
	// inputQueue is how many messages of keystrokes wait for a process that does not read; what
	// comes then is not acknowledged, and so sent again later.
	inputQueue = 256
)

// Run runs the session's process with the user's terminal, until it ends or ctx does.
type Run func(ctx context.Context, terminal runtime.Terminal) (exitCode int, err error)

// Serve serves the session with this id on a fresh connection, and closes that. open checks the
// client's token and returns what to run.
func Serve(ctx context.Context, conn *websocket.Conn, id string, open func(token string) (Run, error)) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(errClosed)
	defer conn.Close()
	s := &session{
		channel: newChannel(conn, time.Now), id: id, end: cancel,
		ready: make(chan struct{}), keys: make(chan []byte, inputQueue),
		sizes: make(chan runtime.Size, 1),
	}
	run, err := s.open(open)
	if err != nil {
		return fmt.Errorf("open session %s: %w", id, err)
	}
	var working sync.WaitGroup
	defer working.Wait()
	defer conn.Close() // ends the reader
	working.Go(s.read)
	working.Go(func() { s.keepSending(ctx) })
	if err := s.handshake(ctx); err != nil {
		return fmt.Errorf("open session %s: %w", id, err)
	}
	return s.run(ctx, run)
}

// session is one user's terminal.
type session struct {
	*channel
	id  string
	end context.CancelCauseFunc

	expected  int64             // the client's next sequence number; of the reader
	ready     chan struct{}     // closed when the client has answered the handshake
	answered  bool              // ready is closed; of the reader
	refused   string            // why the client cannot take part; before ready is closed
	keys      chan []byte       // closed by the reader at its end
	sizes     chan runtime.Size // the latest only
	lastInput []byte            // the rest of a piece of keys; of the process's reader
}

// open reads the first message, which carries the token.
func (s *session) open(open func(token string) (Run, error)) (Run, error) {
	s.conn.SetReadLimit(maxMessage)
	s.conn.SetReadDeadline(time.Now().Add(openTimeout))
	_, text, err := s.conn.ReadMessage()
	if err != nil {
		return nil, fmt.Errorf("read the token: %w", err)
	}
	var first struct{ TokenValue string }
	if err := json.Unmarshal(text, &first); err != nil {
		return nil, fmt.Errorf("read the token: %w", err)
	}
	return open(first.TokenValue)
}

// handshake asks the client for a terminal.
func (s *session) handshake(ctx context.Context) error {
	began := time.Now()
	request := map[string]any{
		"AgentVersion": "3.0.0.0",
		"RequestedClientActions": []any{map[string]any{
			"ActionType":       "SessionType",
			"ActionParameters": map[string]any{"SessionType": "InteractiveCommands"},
		}},
	}
	if err := s.sendJSON(PayloadHandshakeRequest, request); err != nil {
		return err
	}
	timeout := time.NewTimer(openTimeout)
	defer timeout.Stop()
	select {
	case <-s.ready:
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-timeout.C:
		return errors.New("the client does not answer the handshake")
	}
	if s.refused != "" {
		return fmt.Errorf("the client refuses the handshake: %s", s.refused)
	}
	return s.sendJSON(PayloadHandshakeComplete, map[string]any{
		"HandshakeTimeToComplete": time.Since(began), "CustomerMessage": "",
	})
}

func (s *session) sendJSON(payload PayloadType, content any) error {
	data, err := json.Marshal(content)
	if err != nil {
		return err
	}
	return s.send(payload, data)
}

// run runs the process and tells the client of its end.
func (s *session) run(ctx context.Context, run Run) error {
	_, err := run(ctx, runtime.Terminal{In: (*keyboard)(s), Out: (*screen)(s), Sizes: s.sizes})
	why := ""
	switch cause := context.Cause(ctx); {
	case errors.Is(cause, errTerminated), cause == nil && err == nil:
		err = nil
	case cause != nil:
		err = cause
	default:
		why = "The command could not be run: " + err.Error()
	}
	impatient := time.AfterFunc(flushTimeout, func() { s.fail(errSilent) })
	s.flushed()
	impatient.Stop()
	s.tell(Closed, 0, map[string]any{
		"MessageId": uuid(newID()), "CreatedDate": time.Now().UTC().Format(time.RFC3339),
		"DestinationId": s.id, "SessionId": s.id, "MessageType": Closed, "SchemaVersion": 1,
		"Output": why,
	})
	return err
}

// keepSending sends again what gets lost, until the session ends.
func (s *session) keepSending(ctx context.Context) {
	tick := time.NewTicker(resendAfter / 2)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			s.fail(context.Cause(ctx))
			return
		case <-tick.C:
			s.resend()
		}
	}
}

// errTerminated is the end that the client asks for.
var errTerminated = errors.New("the client has ended the session")

// read takes what the client sends, until the connection ends.
func (s *session) read() {
	defer close(s.keys)
	for {
		s.active()
		kind, wire, err := s.conn.ReadMessage()
		if err != nil {
			s.end(fmt.Errorf("read from the client: %w", err))
			return
		}
		if kind != websocket.BinaryMessage {
			continue
		}
		m, err := Parse(wire)
		if err == nil {
			err = s.take(m)
		}
		if err != nil {
			s.end(err)
			return
		}
	}
}

// active starts the idle timeout anew.
func (s *session) active() { s.conn.SetReadDeadline(time.Now().Add(idleTimeout)) }

// take acts on one message.
func (s *session) take(m Message) error {
	switch m.Type {
	case Acknowledge:
		var ack acknowledgement
		if err := json.Unmarshal(m.Data, &ack); err != nil {
			return fmt.Errorf("%w: %w", errMessage, err)
		}
		s.acknowledged(ack.Sequence)
	case InputData:
		if m.Sequence > s.expected || m.Sequence == s.expected && !s.input(m) {
			return nil // the client will send it again
		}
		s.expected = max(s.expected, m.Sequence+1)
		return s.tell(Acknowledge, finalFlags, acknowledgement{
			Type: m.Type, ID: uuid(m.ID), Sequence: m.Sequence, Sequential: true,
		})
	}
	return nil
}

// finalFlags are those of an acknowledgement: the first and the last message of its stream.
const finalFlags = 3

type acknowledgement struct {
	Type       string `json:"AcknowledgedMessageType"`
	ID         string `json:"AcknowledgedMessageId"`
	Sequence   int64  `json:"AcknowledgedMessageSequenceNumber"`
	Sequential bool   `json:"IsSequentialMessage"`
}

// input takes the next message of the client's stream and says whether there was room for it.
func (s *session) input(m Message) bool {
	switch m.Payload {
	case PayloadOutput:
		select {
		case s.keys <- append([]byte(nil), m.Data...):
		default:
			return false
		}
	case PayloadSize:
		s.resized(m.Data)
	case PayloadHandshakeResponse:
		s.answer(m.Data)
	case PayloadFlag:
		if len(m.Data) == 4 && binary.BigEndian.Uint32(m.Data) == terminate {
			s.end(errTerminated)
		}
	}
	return true
}

// resized passes on the size of the window; one that nobody has looked at yet is replaced.
func (s *session) resized(data []byte) {
	var size struct{ Cols, Rows uint16 }
	if json.Unmarshal(data, &size) != nil || size.Cols == 0 || size.Rows == 0 {
		return
	}
	select {
	case <-s.sizes:
	default:
	}
	s.sizes <- runtime.Size{Columns: size.Cols, Rows: size.Rows}
}

// answer reads the client's part of the handshake.
func (s *session) answer(data []byte) {
	if s.answered {
		return
	}
	s.answered = true
	var response struct {
		ProcessedClientActions []struct {
			ActionStatus int
			Error        string
		}
	}
	err := json.Unmarshal(data, &response)
	if err != nil || len(response.ProcessedClientActions) != 1 {
		s.refused = "its answer is not understood"
	} else if a := response.ProcessedClientActions[0]; a.ActionStatus != 1 {
		s.refused = fmt.Sprintf("status %d %s", a.ActionStatus, a.Error)
	}
	close(s.ready)
}

// keyboard is what the process reads.
type keyboard session

// Read implements io.Reader.
func (k *keyboard) Read(p []byte) (int, error) {
	for len(k.lastInput) == 0 {
		keys, ok := <-k.keys
		if !ok {
			return 0, io.EOF
		}
		k.lastInput = keys
	}
	n := copy(p, k.lastInput)
	k.lastInput = k.lastInput[n:]
	return n, nil
}

// screen is what the process writes to.
type screen session

// Write implements io.Writer.
func (s *screen) Write(p []byte) (n int, err error) {
	(*session)(s).active()
	for len(p) > 0 {
		piece := p[:min(len(p), pieceSize)]
		if err := s.send(PayloadOutput, piece); err != nil {
			return n, err
		}
		n += len(piece)
		p = p[len(piece):]
	}
	return n, nil
}
