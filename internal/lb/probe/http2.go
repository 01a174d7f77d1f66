package probe

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// stream is the only stream of a probe's connection.
const stream = 1

// askHTTP2 asks over HTTP/2 with prior knowledge. For GRPC it calls the path as a method with an
// empty message and returns the gRPC status; else it returns the HTTP status.
func askHTTP2(conn net.Conn, c *Check, host string) (int, error) {
	fr := http2.NewFramer(conn, conn)
	fr.ReadMetaHeaders = hpack.NewDecoder(4<<10, nil)
	fr.MaxHeaderListSize = maxAnswer
	if err := sendHTTP2(conn, fr, c, host); err != nil {
		return 0, fmt.Errorf("send request: %w", err)
	}
	return readHTTP2(fr, c.Version == "GRPC")
}

func sendHTTP2(conn net.Conn, fr *http2.Framer, c *Check, host string) error {
	grpc := c.Version == "GRPC"
	method := "GET"
	if grpc {
		method = "POST"
	}
	fields := []string{":method", method, ":scheme", schemeOf(c), ":authority", host,
		":path", c.Path, "user-agent", userAgent}
	if grpc {
		fields = append(fields, "content-type", "application/grpc", "te", "trailers")
	}
	var block bytes.Buffer
	enc := hpack.NewEncoder(&block)
	for i := 0; i < len(fields); i += 2 {
		if err := enc.WriteField(hpack.HeaderField{Name: fields[i], Value: fields[i+1]}); err != nil {
			return err
		}
	}
	if _, err := io.WriteString(conn, http2.ClientPreface); err != nil {
		return err
	}
	err := errors.Join(
		fr.WriteSettings(http2.Setting{ID: http2.SettingEnablePush, Val: 0}),
		fr.WriteHeaders(http2.HeadersFrameParam{StreamID: stream, BlockFragment: block.Bytes(),
			EndHeaders: true, EndStream: !grpc}),
	)
	if grpc {
		emptyMessage := make([]byte, 5)
		err = errors.Join(err, fr.WriteData(stream, true, emptyMessage))
	}
	return err
}

func schemeOf(c *Check) string {
	if c.Protocol == "HTTPS" {
		return "https"
	}
	return "http"
}

// readHTTP2 reads frames until the answer is known.
func readHTTP2(fr *http2.Framer, grpc bool) (int, error) {
	for {
		f, err := fr.ReadFrame()
		if err != nil {
			return 0, fmt.Errorf("read answer: %w", err)
		}
		switch f := f.(type) {
		case *http2.SettingsFrame:
			if !f.IsAck() {
				err = fr.WriteSettingsAck()
			}
		case *http2.PingFrame:
			if !f.IsAck() {
				err = fr.WritePing(true, f.Data)
			}
		case *http2.GoAwayFrame, *http2.RSTStreamFrame:
			err = errors.New("target refused the request")
		case *http2.MetaHeadersFrame:
			if code, ok := codeOf(f, grpc); ok {
				return code, nil
			}
			if f.StreamEnded() {
				err = errors.New("answer without a status")
			}
		}
		if err != nil {
			return 0, err
		}
	}
}

// codeOf finds the status in a head or in trailers.
func codeOf(f *http2.MetaHeadersFrame, grpc bool) (int, bool) {
	name := ":status"
	if grpc {
		name = "grpc-status"
	}
	for _, h := range f.Fields {
		if h.Name == name {
			code, err := strconv.Atoi(h.Value)
			return code, err == nil && code >= 200 || grpc && err == nil
		}
	}
	return 0, false
}
