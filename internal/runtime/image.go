package runtime

import (
	"strings"
	"syscall"
)

// PullPolicy says when EnsureImage asks the registry. Built-in images are never pulled.
type PullPolicy int

// The policies stand for ECS_IMAGE_PULL_BEHAVIOR.
// https://docs.aws.amazon.com/AmazonECS/latest/developerguide/ecs-agent-config.html
const (
	// PullDefault asks the registry and uses the local copy when that fails.
	PullDefault PullPolicy = iota
	// PullAlways asks the registry and fails when that fails, as Fargate does.
	PullAlways
	// PullPreferCached asks the registry only when there is no local copy.
	PullPreferCached
	// PullNever uses the local copy or fails.
	PullNever
)

// Pull is how to get an image.
type Pull struct {
	Policy PullPolicy
	// Username and Password are the task definition's repositoryCredentials; empty is anonymous.
	Username, Password string
	// Pin marks a reference by digest that is made here, and that nobody asked for by this name.
	Pin bool
}

// Pinned returns the reference of exactly the image that ref meant when it had this digest:
// "team/app:1" becomes "team/app@sha256:…".
func Pinned(ref, digest string) string {
	repository, _, _ := strings.Cut(ref, "@")
	if colon := strings.LastIndexByte(repository, ':'); colon > strings.LastIndexByte(repository, '/') {
		repository = repository[:colon]
	}
	return repository + "@" + digest
}

// ByDigest tells whether a reference names its image by digest, so that it can never mean another.
func ByDigest(ref string) bool { return strings.Contains(ref, "@") }

// Image is one that containers can be created of.
type Image struct {
	// Ref is the reference as it was asked for.
	Ref string
	// Digest of the manifest (or index) the reference points at, "sha256:…".
	Digest string
	// Size of its layers in bytes, as stored (compressed).
	Size int64
	// EntryPoint and Command are what runs unless the container says otherwise.
	EntryPoint, Command []string
	// Env, User and WorkDir are the image's.
	Env           []string
	User, WorkDir string
	// StopSignal is the one that asks for a graceful end; SIGTERM unless the image says.
	StopSignal syscall.Signal
	// ExposedPorts are "80/tcp" and so on, in order.
	ExposedPorts []string
	Labels       map[string]string
	// Pinned is whether Pull.Pin made the reference. Whoever pins removes it again.
	Pinned bool
}

// HelloImage is the repository of the image that Fairlead carries; every tag of it exists, and
// the process finds the tag in FAIRLEAD_HELLO_TAG.
const HelloImage = "fairlead/hello"
