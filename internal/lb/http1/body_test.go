package http1

import (
	"bufio"
	"bytes"
	"io"
	"net/http/httputil"
	"strings"
	"testing"
)

// decode feeds in to b in pieces of the given size and returns the data and what was not used.
func decode(b *Body, in []byte, piece int) (data, rest []byte, err error) {
	for len(in) > 0 && !b.Done() {
		d, n, err := b.Next(in[:min(piece, len(in))])
		if err != nil {
			return data, in, err
		}
		data = append(data, d...)
		in = in[n:]
	}
	return data, in, nil
}

func TestChunked(t *testing.T) {
	in := "3\r\nabc\r\n0A;x=\"y\"\r\n0123456789\r\n0\r\nT: v\r\nU: w\r\n\r\nnext"
	for piece := 1; piece <= len(in); piece++ {
		var b Body
		b.StartChunked()
		data, rest, err := decode(&b, []byte(in), piece)
		if err != nil || string(data) != "abc0123456789" || string(rest) != "next" || !b.Done() {
			t.Fatalf("pieces of %d: data %q, rest %q, %v", piece, data, rest, err)
		}
		if string(b.Trailers()) != "T: v\r\nU: w\r\n" {
			t.Fatalf("trailers %q", b.Trailers())
		}
	}
}

func TestChunkedWithoutTrailers(t *testing.T) {
	var b Body
	b.StartChunked()
	data, rest, err := decode(&b, []byte("0\r\n\r\n"), 100)
	if err != nil || len(data) > 0 || len(rest) > 0 || !b.Done() || len(b.Trailers()) > 0 {
		t.Fatalf("%q %q %v %v", data, rest, err, b.Done())
	}
}

func TestMalformedChunks(t *testing.T) {
	for _, in := range []string{
		"\r\n", "x\r\n", "-1\r\n", "0x1\r\n", "1\nab", "1\r\nab", "1\r\na\n", "1\r\na\rb",
		"1234567890abcdef0\r\n", " 1\r\n", "1;a\nb\r\n", "1\rx", "0\r\nT: v\n\r\n", "0\r\nT\rv\r\n",
		"1;" + strings.Repeat("e", maxChunkLine+1),
		"0\r\n" + strings.Repeat("T: v\r\n", maxTrailers/6+1),
	} {
		var b Body
		b.StartChunked()
		if data, _, err := decode(&b, []byte(in), len(in)); err == nil {
			t.Errorf("%.40q accepted as %q, done %v", in, data, b.Done())
		}
	}
}

func TestSizedBody(t *testing.T) {
	var b Body
	b.StartSized(5)
	data, rest, _ := decode(&b, []byte("hello world"), 3)
	if string(data) != "hello" || string(rest) != " world" {
		t.Fatalf("data %q, rest %q", data, rest)
	}
}

// FuzzChunked checks our decoder against net/http's: whatever we accept, it must read the same way
// (it accepts more), and the data must not depend on how the stream is cut.
func FuzzChunked(f *testing.F) {
	f.Add([]byte("3\r\nabc\r\n0\r\n\r\n"), 1)
	f.Add([]byte("a;b\r\n0123456789\r\n0\r\nT: v\r\n\r\nrest"), 4)
	f.Fuzz(func(t *testing.T, in []byte, piece int) {
		var whole, cut Body
		whole.StartChunked()
		cut.StartChunked()
		data, rest, err := decode(&whole, in, len(in)+1)
		data2, rest2, err2 := decode(&cut, in, max(1, piece%16))
		if !bytes.Equal(data, data2) && err == nil || (err == nil) != (err2 == nil) {
			t.Fatalf("%q: %q (%v) in one piece, %q (%v) in several", in, data, err, data2, err2)
		}
		if err != nil || !whole.Done() {
			return
		}
		if !bytes.Equal(rest, rest2) {
			t.Fatalf("%q: rest %q and %q", in, rest, rest2)
		}
		theirs, err := io.ReadAll(httputil.NewChunkedReader(bufio.NewReader(bytes.NewReader(in))))
		if err == nil && !bytes.Equal(theirs, data) {
			t.Fatalf("%q: we read %q, net/http %q", in, data, theirs)
		}
	})
}

func TestAppendChunk(t *testing.T) {
	for _, n := range []int{1, 15, 16, 255, 256, 65536, 100000} {
		body := bytes.Repeat([]byte("x"), n)
		out := append(AppendChunk(nil, body), "0\r\n\r\n"...)
		var b Body
		b.StartChunked()
		data, rest, err := decode(&b, out, len(out))
		if err != nil || !bytes.Equal(data, body) || len(rest) > 0 || !b.Done() {
			t.Errorf("%d bytes: decoded %d, %v", n, len(data), err)
		}
	}
}
