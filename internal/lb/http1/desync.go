package http1

// Class says how dangerous it is to forward a request, see
// github.com/aws/http-desync-guardian and the ALB guide, "Desync mitigation mode".
type Class uint8

// The classes, from harmless to dangerous. Requests of class Severe are mostly not parsed at all:
// ParseRequest returns an error for them, whatever the mode, because their framing is unknowable.
const (
	Compliant Class = iota
	Acceptable
	Ambiguous
	Severe
)

// String is the name of the class in access logs.
func (c Class) String() string {
	return [...]string{"Compliant", "Acceptable", "Ambiguous", "Severe"}[c]
}

// classify raises the class; the first reason found at the highest class is kept.
func (r *Request) classify(c Class, reason string) {
	if c > r.Class {
		r.Class, r.Reason = c, reason
	}
}

// classifyFraming finds what is odd about how the body is framed.
func (p *parser) classifyFraming() {
	r := p.req
	if p.te && p.lengths > 0 {
		r.classify(Ambiguous, "BothTeClPresent")
	}
	if p.likeTE && p.likeCL {
		r.classify(Severe, "SuspiciousTeClPresent")
	}
	bodiless := string(r.Method) == "GET" || string(r.Method) == "HEAD"
	switch {
	case p.te && (bodiless || r.Minor == 0):
		r.classify(Ambiguous, "UndefinedTransferEncodingSemantics")
	case bodiless && p.lengths > 0 && p.length > 0:
		r.classify(Ambiguous, "UndefinedContentLengthSemantics")
	case bodiless && p.lengths > 0:
		r.classify(Acceptable, "GetHeadZeroContentLength")
	}
}

// lookAlike says whether a name would be Transfer-Encoding or Content-Length for a sloppy parser:
// one that ignores blanks, control characters and underscores, or folds letters beyond ASCII.
func (p *parser) lookAlike(name []byte) bool {
	switch {
	case foldsTo(name, "transferencoding"):
		p.likeTE = true
	case foldsTo(name, "contentlength"):
		p.likeCL = true
	default:
		return false
	}
	p.req.classify(Ambiguous, "SuspiciousHeader")
	return true
}

// foldsTo compares the letters of name with want, ignoring all that is no letter or digit. The
// letters ſ (C5 BF) and ı (C4 B1) count as s and i.
func foldsTo(name []byte, want string) bool {
	j := 0
	for i := 0; i < len(name); i++ {
		c := name[i]
		switch {
		case c == 0xc5 && i+1 < len(name) && name[i+1] == 0xbf:
			c, i = 's', i+1
		case c == 0xc4 && i+1 < len(name) && name[i+1] == 0xb1:
			c, i = 'i', i+1
		case c >= 'A' && c <= 'Z':
			c |= 0x20
		case c < 'a' || c > 'z':
			continue
		}
		if j == len(want) || want[j] != c {
			return false
		}
		j++
	}
	return j == len(want)
}
