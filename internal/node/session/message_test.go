package session

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"testing"
	"time"
)

func TestMessageRoundTrip(t *testing.T) {
	m := Message{
		Type: InputData, Created: time.UnixMilli(1_795_000_000_123), Sequence: 7, Flags: 3,
		ID: [16]byte{0: 1, 7: 2, 8: 3, 15: 4}, Payload: PayloadOutput, Data: []byte("ls\r"),
	}
	wire := m.Append(nil)
	if len(wire) != headerLen+3 || binary.BigEndian.Uint32(wire) != 116 {
		t.Fatalf("%d bytes, header length %d", len(wire), binary.BigEndian.Uint32(wire))
	}
	// The identifier's second half comes first.
	if wire[64] != 3 || wire[71] != 4 || wire[72] != 1 || wire[79] != 2 {
		t.Errorf("identifier % x", wire[64:80])
	}
	got, err := Parse(wire)
	if err != nil || fmt.Sprint(got) != fmt.Sprint(m) {
		t.Errorf("got %v, %v, want %v", got, err, m)
	}
	wire[len(wire)-1] = 'x'
	if _, err := Parse(wire); !errors.Is(err, errMessage) {
		t.Errorf("a changed payload: %v", err)
	}
}

func FuzzParse(f *testing.F) {
	m := Message{Type: Acknowledge, Data: []byte(`{"AcknowledgedMessageSequenceNumber":1}`)}
	f.Add(m.Append(nil))
	f.Add([]byte{})
	f.Add(bytes.Repeat([]byte{0, 0, 0, 116}, 30))
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := Parse(b)
		if err != nil {
			return
		}
		again, err := Parse(m.Append(nil))
		if err != nil || fmt.Sprint(again) != fmt.Sprint(m) {
			t.Errorf("%v became %v, %v", m, again, err)
		}
	})
}

func TestDigestIsOfThePayload(t *testing.T) {
	m := Message{Type: OutputData, Data: []byte("abc")}
	want := sha256.Sum256([]byte("abc"))
	if got := m.Append(nil)[digestAt:payloadAt]; !bytes.Equal(got, want[:]) {
		t.Errorf("digest % x", got)
	}
}
