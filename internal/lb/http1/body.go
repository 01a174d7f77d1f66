package http1

// Limits of chunked bodies; our own, bounds for hostile peers.
const (
	maxChunkLine = 4 << 10  // bytes of a chunk-size line with its extensions
	maxTrailers  = 16 << 10 // bytes of the trailer section
)

var (
	errChunk    = &Error{400, "malformed chunk"}
	errTrailers = &Error{400, "trailer section longer than 16 KiB"}
)

// Body finds the data of a message body in a stream of bytes. The zero Body is an empty body.
type Body struct {
	state   bodyState
	left    int64 // data bytes of the body or of the chunk still to come
	line    int   // bytes of the chunk-size line so far
	digits  int
	trailer []byte // the trailer section so far, if trailers are kept
}

type bodyState uint8

const (
	bodyDone bodyState = iota
	bodySized
	bodyUntilClose
	chunkSize
	chunkExt
	chunkSizeLF
	chunkData
	chunkDataCR
	chunkDataLF
	chunkTrailer
)

// StartSized begins a body of n bytes.
func (b *Body) StartSized(n int64) {
	*b = Body{trailer: b.trailer[:0], left: n}
	if n > 0 {
		b.state = bodySized
	}
}

// StartUntilClose begins a body that ends with the connection.
func (b *Body) StartUntilClose() { *b = Body{trailer: b.trailer[:0], state: bodyUntilClose} }

// StartChunked begins a chunked body.
func (b *Body) StartChunked() { *b = Body{trailer: b.trailer[:0], state: chunkSize} }

// Done says that the body is complete.
func (b *Body) Done() bool { return b.state == bodyDone }

// UntilClose says that the end of the connection is the end of the body.
func (b *Body) UntilClose() bool { return b.state == bodyUntilClose }

// Trailers returns the trailer section of a chunked body, lines with their ends.
func (b *Body) Trailers() []byte { return b.trailer }

// Sized returns how many bytes are still to come if the body is not chunked and has a length.
func (b *Body) Sized() (int64, bool) { return b.left, b.state == bodySized }

// Skip notes that n data bytes of a body with a length went past without Next.
func (b *Body) Skip(n int64) {
	if b.left -= n; b.left == 0 && b.state == bodySized {
		b.state = bodyDone
	}
}

// Next takes the next piece of the stream: n bytes are used up, data is the part of them that
// belongs to the body (nil if they were framing only). It uses up something unless p is empty or
// the body is done.
func (b *Body) Next(p []byte) (data []byte, n int, err error) {
	switch b.state {
	case bodyDone:
		return nil, 0, nil
	case bodyUntilClose:
		return p, len(p), nil
	case bodySized:
		data = p[:min(int64(len(p)), b.left)]
		b.Skip(int64(len(data)))
		return data, len(data), nil
	}
	return b.nextChunked(p)
}

// nextChunked reads framing byte by byte up to the data of a chunk.
func (b *Body) nextChunked(p []byte) (data []byte, n int, err error) {
	for n < len(p) && b.state != bodyDone {
		if b.state == chunkData {
			data = p[n:min(int64(len(p)), int64(n)+b.left)]
			if b.left -= int64(len(data)); b.left == 0 {
				b.state = chunkDataCR
			}
			return data, n + len(data), nil
		}
		if err := b.framing(p[n]); err != nil {
			return nil, n, err
		}
		n++
	}
	return nil, n, nil
}

// framing takes one byte that is not data. Line ends are CR LF and nothing else: this is where
// requests are smuggled.
func (b *Body) framing(c byte) error {
	switch b.state {
	case chunkSize:
		return b.sizeByte(c)
	case chunkExt:
		return b.extByte(c)
	case chunkSizeLF:
		if c != '\n' {
			return errChunk
		}
		if b.state = chunkData; b.left == 0 {
			b.state, b.line = chunkTrailer, 0
		}
	case chunkDataCR:
		if c != '\r' {
			return errChunk
		}
		b.state = chunkDataLF
	case chunkDataLF:
		if c != '\n' {
			return errChunk
		}
		b.state, b.left, b.line, b.digits = chunkSize, 0, 0, 0
	case chunkTrailer:
		return b.trailerByte(c)
	}
	return nil
}

// sizeByte takes a byte of the chunk size: up to 15 hexadecimal digits, so that no overflow can
// make two parsers disagree.
func (b *Body) sizeByte(c byte) error {
	if v, ok := hexDigit(c); ok {
		if b.digits++; b.digits > 15 {
			return errChunk
		}
		b.left = b.left<<4 | int64(v)
		return nil
	}
	if b.digits == 0 {
		return errChunk
	}
	switch c {
	case '\r':
		b.state = chunkSizeLF
	case ';', ' ', '\t':
		b.state = chunkExt
	default:
		return errChunk
	}
	return nil
}

func (b *Body) extByte(c byte) error {
	if b.line++; b.line > maxChunkLine || c < ' ' && c != '\r' && c != '\t' {
		return errChunk
	}
	if c == '\r' {
		b.state = chunkSizeLF
	}
	return nil
}

// trailerByte collects the trailer section; its end is an empty line.
func (b *Body) trailerByte(c byte) error {
	b.trailer = append(b.trailer, c)
	n := len(b.trailer)
	if n > maxTrailers {
		return errTrailers
	}
	if c != '\n' {
		if n > 1 && b.trailer[n-2] == '\r' || c == 0 {
			return errChunk
		}
		return nil
	}
	if n < 2 || b.trailer[n-2] != '\r' {
		return errChunk
	}
	if n == 2 || n >= 4 && b.trailer[n-3] == '\n' {
		b.trailer = b.trailer[:n-2]
		b.state = bodyDone
	}
	return nil
}

func hexDigit(c byte) (byte, bool) {
	switch {
	case c >= '0' && c <= '9':
		return c - '0', true
	case c >= 'a' && c <= 'f':
		return c - 'a' + 10, true
	case c >= 'A' && c <= 'F':
		return c - 'A' + 10, true
	}
	return 0, false
}

// AppendChunk appends data to dst as one chunk.
func AppendChunk(dst, data []byte) []byte {
	dst = AppendChunkSize(dst, len(data))
	dst = append(dst, data...)
	return append(dst, "\r\n"...)
}

// AppendChunkSize appends the line before the data of a chunk.
func AppendChunkSize(dst []byte, n int) []byte {
	const digits = "0123456789abcdef"
	shift := 0
	for n>>shift > 15 {
		shift += 4
	}
	for ; shift >= 0; shift -= 4 {
		dst = append(dst, digits[n>>shift&15])
	}
	return append(dst, "\r\n"...)
}
