// Package wire speaks the AWS wire protocols: it turns an HTTP request into a call of a handler
// with a typed input, and the handler's output or error into the protocol's own answer. It knows no
// service; services register their operations with [Handle].
package wire
