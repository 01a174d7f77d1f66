package http1

// Oversized holds a request that ParseRequest has not seen, one of HTTP/2, to the limits that
// ParseRequest enforces. It returns nil for one that keeps them.
func (r *Request) Oversized() *Error {
	if len(r.Method)+len(r.Target) > MaxLine {
		return errURILong
	}
	for _, f := range r.Fields {
		if len(f.Name)+len(f.Value) > MaxLine {
			return errFieldLong
		}
	}
	return nil
}
