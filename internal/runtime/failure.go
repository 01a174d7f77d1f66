package runtime

import "errors"

// ErrNotFound is a container, group or image that does not exist.
var ErrNotFound = errors.New("not found")

// ErrNotRunning is a container that has not been started or has exited.
var ErrNotRunning = errors.New("not running")

// Reason is the prefix by which ECS names what went wrong in a container's reason field.
// https://docs.aws.amazon.com/AmazonECS/latest/developerguide/stopped-task-error-codes.html
type Reason string

// The reasons of a Failure.
const (
	CannotPullContainer   Reason = "CannotPullContainerError"
	CannotCreateContainer Reason = "CannotCreateContainerError"
	CannotStartContainer  Reason = "CannotStartContainerError"
	OutOfMemory           Reason = "OutOfMemoryError"
)

// Failure is an error that users read in a task's stoppedReason and a container's reason.
type Failure struct {
	Reason  Reason
	Message string
	// Retry is whether the same call may succeed later: the registry did not answer, say.
	Retry bool
	// Err is the cause, for logs.
	Err error
}

// Error is "CannotPullContainerError: message", as ECS words it.
func (f *Failure) Error() string { return string(f.Reason) + ": " + f.Message }

// Unwrap returns the cause.
func (f *Failure) Unwrap() error { return f.Err }
