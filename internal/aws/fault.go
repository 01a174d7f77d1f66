package aws

import (
	"fmt"
	"net/http"
)

// Fault is an error as AWS states it. Handlers return Faults; the wire package turns them into the
// protocol's own form, and any other error into an internal failure whose text never leaves the
// process.
type Fault struct {
	Code    string // e.g. "ClusterNotFoundException"
	Status  int    // HTTP status
	Message string
	Fields  map[string]any // further members of the error shape, by wire name
}

// NewFault returns a client fault (HTTP 400).
func NewFault(code, format string, args ...any) *Fault {
	return &Fault{Code: code, Status: http.StatusBadRequest, Message: fmt.Sprintf(format, args...)}
}

// NewFaultStatus returns a fault with a status of its own.
func NewFaultStatus(code string, status int, format string, args ...any) *Fault {
	return &Fault{Code: code, Status: status, Message: fmt.Sprintf(format, args...)}
}

// With returns the fault with one more member of its error shape set.
func (f *Fault) With(name string, value any) *Fault {
	if f.Fields == nil {
		f.Fields = map[string]any{}
	}
	f.Fields[name] = value
	return f
}

// Error implements error.
func (f *Fault) Error() string { return f.Code + ": " + f.Message }
