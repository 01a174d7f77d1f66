package lb

const (
	// bufSize is the first size of a buffer, in bytes; a response head fits.
	bufSize = 4 << 10
	// smallBuf and largeBuf are the capacities up to which a buffer is one of its class, and
	// keepSmall and keepLarge how many of a class wait for their next use: at most 6 MiB per loop, and
	// usually two, whatever has passed through.
	smallBuf, keepSmall = 16 << 10, 256
	largeBuf, keepLarge = 128 << 10, 16
)

// bufPool keeps the buffers of a loop that no connection needs at the moment. Small and large ones are
// apart: otherwise every place of a small one would hold a large one in the end.
type bufPool struct{ small, large stock[[]byte] }

// get returns an empty buffer for about n bytes.
func (p *bufPool) get(n int) []byte {
	from, size := &p.small, bufSize
	if n > smallBuf {
		from, size = &p.large, n
	}
	if b, ok := from.take(); ok {
		return b
	}
	return make([]byte, 0, size)
}

// grow returns b, or a buffer that takes its place, with room for n more bytes.
func (p *bufPool) grow(b []byte, n int) []byte {
	if cap(b)-len(b) >= n {
		return b
	}
	bigger := append(p.get(len(b)+n), b...)
	p.put(b)
	return bigger
}

// put takes a buffer back. The caller forgets it.
func (p *bufPool) put(b []byte) {
	switch n := cap(b); {
	case n == 0 || n > largeBuf:
	case n > smallBuf:
		p.large.add(b[:0], keepLarge)
	default:
		p.small.add(b[:0], keepSmall)
	}
}
