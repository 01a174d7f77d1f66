package http2

import "golang.org/x/net/http2/hpack"

// AppendStatus appends the :status of a response to a header block.
func AppendStatus(b []byte, status int) []byte {
	switch status { // the statuses of the static table (RFC 7541, appendix A)
	case 200:
		return append(b, 0x80|8)
	case 204:
		return append(b, 0x80|9)
	case 206:
		return append(b, 0x80|10)
	case 304:
		return append(b, 0x80|11)
	case 400:
		return append(b, 0x80|12)
	case 404:
		return append(b, 0x80|13)
	case 500:
		return append(b, 0x80|14)
	}
	b = append(b, 8, 3) // a literal without indexing whose name is that of entry 8
	return append(b, byte('0'+status/100%10), byte('0'+status/10%10), byte('0'+status%10))
}

// AppendField appends a field to a header block, as a literal that nobody remembers. The name is
// written in lower case.
func AppendField(b, name, value []byte) []byte {
	if i := staticIndex(name); i > 0 {
		b = appendInt(b, 0, 4, i)
	} else {
		b = append(b, 0)
		b = appendInt(b, 0, 7, len(name))
		for _, c := range name {
			if c >= 'A' && c <= 'Z' {
				c |= 0x20
			}
			b = append(b, c)
		}
	}
	return appendText(b, value)
}

// appendText appends a string, in Huffman code where that is shorter.
func appendText(b, s []byte) []byte {
	const worthwhile = 16 // bytes; short values are not worth counting
	if len(s) >= worthwhile {
		text := string(s)
		if n := int(hpack.HuffmanEncodeLength(text)); n < len(s)*3/4 {
			b = appendInt(b, 0x80, 7, n)
			return hpack.AppendHuffmanString(b, text)
		}
	}
	b = appendInt(b, 0, 7, len(s))
	return append(b, s...)
}

// appendInt appends an integer with a prefix of the given bits (RFC 7541, section 5.1).
func appendInt(b []byte, first byte, bits, v int) []byte {
	limit := 1<<bits - 1
	if v < limit {
		return append(b, first|byte(v))
	}
	b = append(b, first|byte(limit))
	for v -= limit; v >= 0x80; v >>= 7 {
		b = append(b, byte(v)|0x80)
	}
	return append(b, byte(v))
}

// staticIndex finds the names of the static table that occur often; the switch on the length makes
// it cheap for all others.
func staticIndex(name []byte) int {
	for _, e := range staticNames[min(len(name), len(staticNames)-1)] {
		if equalFold(name, e.name) {
			return e.index
		}
	}
	return 0
}

type staticName struct {
	name  string
	index int
}

// staticNames are entries of the static table by the length of their name.
var staticNames = [...][]staticName{
	3:  {{"age", 21}, {"via", 60}},
	4:  {{"date", 33}, {"etag", 34}, {"vary", 59}, {"host", 38}},
	5:  {{"allow", 22}, {":path", 4}},
	6:  {{"server", 54}, {"accept", 19}, {"cookie", 32}},
	7:  {{"expires", 36}, {":method", 2}, {":scheme", 6}, {"referer", 51}},
	8:  {{"location", 46}},
	10: {{"set-cookie", 55}, {":authority", 1}, {"user-agent", 58}},
	11: {{"retry-after", 53}},
	12: {{"content-type", 31}},
	13: {{"cache-control", 24}, {"last-modified", 44}, {"authorization", 23}, {"accept-ranges", 18}},
	14: {{"content-length", 28}},
	15: {{"accept-encoding", 16}, {"accept-language", 17}},
	16: {{"content-encoding", 26}, {"content-language", 27}, {"www-authenticate", 61}},
	17: {{"transfer-encoding", 57}, {"if-modified-since", 40}},
	19: {{"content-disposition", 25}},
	25: {{"strict-transport-security", 56}},
	27: {{"access-control-allow-origin", 20}},
	28: nil,
}

func equalFold(b []byte, lower string) bool {
	if len(b) != len(lower) {
		return false
	}
	for i, c := range b {
		if c >= 'A' && c <= 'Z' {
			c |= 0x20
		}
		if c != lower[i] {
			return false
		}
	}
	return true
}
