// Package http2 has the parts of HTTP/2 that need no connection: frames, settings, error codes and
// the encoding of header blocks. It parses in place and allocates nothing.
//
// Header blocks are decoded with golang.org/x/net/http2/hpack; they are encoded without a dynamic
// table, which costs some bytes and saves state and time on every connection.
package http2

import "encoding/binary"

// Preface is what a client sends first (RFC 9113, section 3.4).
const Preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"

// HeaderLen is the length of a frame header.
const HeaderLen = 9

// MaxFrame is the largest payload that we accept, the default of the protocol.
const MaxFrame = 16 << 10

// Type is the type of a frame.
type Type uint8

// The frame types of RFC 9113.
const (
	Data Type = iota
	Headers
	Priority
	RSTStream
	Settings
	PushPromise
	Ping
	GoAway
	WindowUpdate
	Continuation
)

// Flags of frames; their meaning depends on the type.
const (
	Ack        = 0x1
	EndStream  = 0x1
	EndHeaders = 0x4
	Padded     = 0x8
	HasPrio    = 0x20
)

// Code is an error code.
type Code uint32

// The error codes of RFC 9113, section 7.
const (
	NoError Code = iota
	ProtocolError
	InternalError
	FlowControlError
	SettingsTimeout
	StreamClosed
	FrameSizeError
	RefusedStream
	Cancel
	CompressionError
	ConnectError
	EnhanceYourCalm
	InadequateSecurity
	HTTP11Required
)

// Error is an offence of the peer against the protocol. Stream is 0 if it costs the connection.
type Error struct {
	Code   Code
	Stream uint32
	Text   string
}

// Error implements error.
func (e *Error) Error() string { return e.Text }

// Frame is a frame with its payload, which points into the buffer that was parsed.
type Frame struct {
	Type    Type
	Flags   uint8
	Stream  uint32
	Payload []byte
}

// Has says whether a flag is set.
func (f *Frame) Has(flag uint8) bool { return f.Flags&flag != 0 }

// ParseFrame parses the frame at the start of buf and returns its length, 0 if it is not complete.
func ParseFrame(buf []byte, f *Frame) (int, *Error) {
	if len(buf) < HeaderLen {
		return 0, nil
	}
	n := int(buf[0])<<16 | int(buf[1])<<8 | int(buf[2])
	if n > MaxFrame {
		return 0, &Error{Code: FrameSizeError, Text: "frame larger than SETTINGS_MAX_FRAME_SIZE"}
	}
	if len(buf) < HeaderLen+n {
		return 0, nil
	}
	f.Type, f.Flags = Type(buf[3]), buf[4]
	f.Stream = binary.BigEndian.Uint32(buf[5:]) &^ (1 << 31)
	f.Payload = buf[HeaderLen : HeaderLen+n]
	return HeaderLen + n, nil
}

// AppendHeader appends the header of a frame with a payload of n bytes.
func AppendHeader(b []byte, t Type, flags uint8, stream uint32, n int) []byte {
	b = append(b, byte(n>>16), byte(n>>8), byte(n), byte(t), flags)
	return binary.BigEndian.AppendUint32(b, stream)
}

// SetLength writes the payload length into the header of a frame that begins b.
func SetLength(b []byte, n int) { b[0], b[1], b[2] = byte(n>>16), byte(n>>8), byte(n) }

// SelfDependence is the text of the only error of Unpad that leaves the payload usable: it costs
// the stream, but the header block must be decoded nevertheless.
const SelfDependence = "stream depends on itself"

// Unpad removes the padding of a DATA or HEADERS frame, and the priority of the latter.
func (f *Frame) Unpad() ([]byte, *Error) {
	p := f.Payload
	pad := 0
	if f.Has(Padded) {
		if len(p) == 0 {
			return nil, &Error{Code: FrameSizeError, Text: "padded frame without pad length"}
		}
		pad, p = int(p[0]), p[1:]
	}
	if f.Type == Headers && f.Has(HasPrio) {
		if len(p) < 5 {
			return nil, &Error{Code: FrameSizeError, Text: "HEADERS too short for its priority"}
		}
		if binary.BigEndian.Uint32(p)&^(1<<31) == f.Stream {
			return p[5:], &Error{Code: ProtocolError, Text: SelfDependence}
		}
		p = p[5:]
	}
	if pad > len(p) {
		return nil, &Error{Code: ProtocolError, Text: "padding longer than the frame"}
	}
	return p[:len(p)-pad], nil
}

// SettingID names a setting.
type SettingID uint16

// The settings of RFC 9113, section 6.5.2.
const (
	HeaderTableSize      SettingID = 1
	EnablePush           SettingID = 2
	MaxConcurrentStreams SettingID = 3
	InitialWindowSize    SettingID = 4
	MaxFrameSize         SettingID = 5
	MaxHeaderListSize    SettingID = 6
)

// MaxWindow is the greatest flow-control window.
const MaxWindow = 1<<31 - 1

// AppendSetting appends one setting to the payload of a SETTINGS frame.
func AppendSetting(b []byte, id SettingID, v uint32) []byte {
	b = binary.BigEndian.AppendUint16(b, uint16(id))
	return binary.BigEndian.AppendUint32(b, v)
}

// EachSetting checks the payload of a SETTINGS frame and calls set for each of them.
func EachSetting(p []byte, set func(SettingID, uint32)) *Error {
	if len(p)%6 != 0 {
		return &Error{Code: FrameSizeError, Text: "SETTINGS with a broken length"}
	}
	for ; len(p) > 0; p = p[6:] {
		id, v := SettingID(binary.BigEndian.Uint16(p)), binary.BigEndian.Uint32(p[2:])
		switch {
		case id == EnablePush && v > 1:
			return &Error{Code: ProtocolError, Text: "SETTINGS_ENABLE_PUSH is not 0 or 1"}
		case id == InitialWindowSize && v > MaxWindow:
			return &Error{Code: FlowControlError, Text: "SETTINGS_INITIAL_WINDOW_SIZE too large"}
		case id == MaxFrameSize && (v < 16<<10 || v > 1<<24-1):
			return &Error{Code: ProtocolError, Text: "SETTINGS_MAX_FRAME_SIZE out of range"}
		}
		set(id, v)
	}
	return nil
}

// Uint32 reads the only value of a frame such as WINDOW_UPDATE or RST_STREAM.
func (f *Frame) Uint32() (uint32, *Error) {
	if len(f.Payload) != 4 {
		return 0, &Error{Code: FrameSizeError, Text: "frame must have four bytes"}
	}
	return binary.BigEndian.Uint32(f.Payload), nil
}

// AppendWindowUpdate appends a WINDOW_UPDATE frame.
func AppendWindowUpdate(b []byte, stream, n uint32) []byte {
	b = AppendHeader(b, WindowUpdate, 0, stream, 4)
	return binary.BigEndian.AppendUint32(b, n)
}

// AppendRST appends a RST_STREAM frame.
func AppendRST(b []byte, stream uint32, c Code) []byte {
	b = AppendHeader(b, RSTStream, 0, stream, 4)
	return binary.BigEndian.AppendUint32(b, uint32(c))
}

// AppendGoAway appends a GOAWAY frame.
func AppendGoAway(b []byte, last uint32, c Code, text string) []byte {
	b = AppendHeader(b, GoAway, 0, 0, 8+len(text))
	b = binary.BigEndian.AppendUint32(b, last)
	b = binary.BigEndian.AppendUint32(b, uint32(c))
	return append(b, text...)
}
