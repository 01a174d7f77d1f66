package lb

import (
	"bytes"
	"errors"

	"golang.org/x/net/http2/hpack"

	"fairlead/internal/lb/http2"
)

// headerBlock is a header block under way, over HEADERS and CONTINUATION frames.
type headerBlock struct {
	stream uint32 // 0 when there is none
	end    bool   // END_STREAM was set
	more   bool   // of a stream that is open: trailers
	buf    []byte
	refuse http2.Code // why the stream is refused, if it is; the block is decoded nevertheless
	fields []hpack.HeaderField
	size   int
}

func (c *h2link) continuation(f *http2.Frame) *http2.Error {
	if c.block.stream == 0 {
		return errInterleave
	}
	if err := c.role.nuisance(); err != nil {
		return err
	}
	return c.fragment(f.Payload, f.Has(http2.EndHeaders))
}

// startBlock begins a header block.
func (c *h2link) startBlock(f *http2.Frame) {
	c.block = headerBlock{stream: f.Stream, end: f.Has(http2.EndStream),
		buf: c.block.buf[:0], fields: c.block.fields[:0]}
}

// fragment adds to the header block and decodes it at its end.
func (c *h2link) fragment(p []byte, end bool) *http2.Error {
	b := &c.block
	if len(b.buf)+len(p) > maxBlock {
		return errBlock
	}
	if !end {
		b.buf = append(b.buf, p...)
		return nil
	}
	if len(b.buf) > 0 {
		b.buf = append(b.buf, p...)
		p = b.buf
	}
	if err := c.decode(p); err != nil {
		return err
	}
	id := b.stream
	b.stream, b.buf = 0, nil
	if b.refuse != http2.NoError {
		return &http2.Error{Code: b.refuse, Stream: id, Text: "stream refused"}
	}
	return c.role.onBlock(id)
}

// decode decodes a complete header block into block.fields.
func (c *h2link) decode(p []byte) *http2.Error {
	if c.before.is(p) {
		c.block.fields, c.block.size = c.block.fields[:c.before.fields], c.before.size
		return nil
	}
	_, err := c.decoder.Write(p)
	if err := errors.Join(err, c.decoder.Close()); err != nil {
		return errHPACK
	}
	c.before.keep(p, &c.block)
	return nil
}

// repeatable is the last header block, if it was of nothing but indices into HPACK's tables: it has not
// changed them, so the same bytes mean the same fields. Those are still where they were decoded to.
// Many clients send such a block again and again.
type repeatable struct {
	block  []byte // empty if the last block was another
	fields int
	size   int
}

// maxRepeatable is the length of the longest block that is remembered, in bytes; each is a field.
const maxRepeatable = 64

func (r *repeatable) is(p []byte) bool { return len(r.block) > 0 && bytes.Equal(r.block, p) }

func (r *repeatable) keep(p []byte, b *headerBlock) {
	r.block = r.block[:0]
	if len(p) > maxRepeatable || b.size > maxList {
		return
	}
	for _, c := range p {
		if c&0x80 == 0 { // RFC 7541, section 6: only indexed fields begin with a 1
			return
		}
	}
	r.block, r.fields, r.size = append(r.block, p...), len(b.fields), b.size
}

// emit takes a decoded field. What exceeds the limit is not kept; the message will be refused.
func (c *h2link) emit(f hpack.HeaderField) {
	if c.block.size += len(f.Name) + len(f.Value) + fieldOverhead; c.block.size <= maxList {
		c.block.fields = append(c.block.fields, f)
	}
}

// fieldOverhead is what a field counts for besides its texts (RFC 9113, section 6.5.2).
const fieldOverhead = 32
