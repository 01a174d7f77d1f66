package session

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"time"
)

// Message is one message of the data channel: a header of fixed layout, all integers big-endian,
// and a payload.
type Message struct {
	Type     string // of at most typeLen bytes
	Created  time.Time
	Sequence int64
	Flags    uint64
	ID       [16]byte // a UUID
	Payload  PayloadType
	Data     []byte
}

// The types of messages.
const (
	InputData   = "input_stream_data"
	OutputData  = "output_stream_data"
	Acknowledge = "acknowledge"
	Closed      = "channel_closed"
)

// PayloadType says what the payload of a stream's message is.
type PayloadType uint32

// The payload types that a session with a terminal uses.
const (
	PayloadNone              PayloadType = 0
	PayloadOutput            PayloadType = 1 // bytes of the terminal, in both directions
	PayloadSize              PayloadType = 3
	PayloadHandshakeRequest  PayloadType = 5
	PayloadHandshakeResponse PayloadType = 6
	PayloadHandshakeComplete PayloadType = 7
	PayloadFlag              PayloadType = 10
)

// terminate is the value of a PayloadFlag with which the client ends the session.
const terminate = 2

// The layout of the header. Its first field says how long it is without the payload's length.
const (
	typeAt     = 4
	typeLen    = 32
	versionAt  = typeAt + typeLen
	createdAt  = versionAt + 4
	sequenceAt = createdAt + 8
	flagsAt    = sequenceAt + 8
	idAt       = flagsAt + 8
	digestAt   = idAt + 16
	payloadAt  = digestAt + sha256.Size
	lengthAt   = payloadAt + 4
	headerLen  = lengthAt + 4

	schemaVersion = 1
)

// maxMessage bounds a message in bytes; the client sends a kilobyte at a time.
const maxMessage = 256 << 10

var errMessage = errors.New("malformed message")

// Parse reads a message; its data point into b.
func Parse(b []byte) (m Message, err error) {
	switch {
	case len(b) < headerLen:
		return m, fmt.Errorf("%w: %d bytes are less than a header", errMessage, len(b))
	case binary.BigEndian.Uint32(b) != lengthAt:
		return m, fmt.Errorf("%w: header of another length", errMessage)
	case int(binary.BigEndian.Uint32(b[lengthAt:])) != len(b)-headerLen:
		return m, fmt.Errorf("%w: payload of another length", errMessage)
	}
	m = Message{
		Type:     string(bytes.Trim(b[typeAt:versionAt], " \x00")),
		Created:  time.UnixMilli(int64(binary.BigEndian.Uint64(b[createdAt:]))),
		Sequence: int64(binary.BigEndian.Uint64(b[sequenceAt:])),
		Flags:    binary.BigEndian.Uint64(b[flagsAt:]),
		Payload:  PayloadType(binary.BigEndian.Uint32(b[payloadAt:])),
		Data:     b[headerLen:],
	}
	// The halves of the identifier are swapped on the wire.
	copy(m.ID[8:], b[idAt:])
	copy(m.ID[:8], b[idAt+8:])
	if digest := sha256.Sum256(m.Data); len(m.Data) > 0 && !bytes.Equal(digest[:], b[digestAt:payloadAt]) {
		return m, fmt.Errorf("%w: the digest does not fit", errMessage)
	}
	return m, nil
}

// Append appends the message in the form of the wire.
func (m *Message) Append(b []byte) []byte {
	b = binary.BigEndian.AppendUint32(b, lengthAt)
	b = append(b, bytes.Repeat([]byte(" "), typeLen)...)
	copy(b[len(b)-typeLen:], m.Type)
	b = binary.BigEndian.AppendUint32(b, schemaVersion)
	b = binary.BigEndian.AppendUint64(b, uint64(m.Created.UnixMilli()))
	b = binary.BigEndian.AppendUint64(b, uint64(m.Sequence))
	b = binary.BigEndian.AppendUint64(b, m.Flags)
	b = append(append(b, m.ID[8:]...), m.ID[:8]...)
	digest := sha256.Sum256(m.Data)
	b = append(b, digest[:]...)
	b = binary.BigEndian.AppendUint32(b, uint32(m.Payload))
	b = binary.BigEndian.AppendUint32(b, uint32(len(m.Data)))
	return append(b, m.Data...)
}

// uuid writes an identifier as text.
func uuid(id [16]byte) string {
	return fmt.Sprintf("%x-%x-%x-%x-%x", id[:4], id[4:6], id[6:8], id[8:10], id[10:])
}
