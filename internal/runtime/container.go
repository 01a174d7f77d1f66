package runtime

import (
	"io"
	"syscall"
	"time"
)

// CPUUnitsPerCore is how many of AWS's CPU units one core has.
// https://docs.aws.amazon.com/AmazonECS/latest/developerguide/task_definition_parameters.html
const CPUUnitsPerCore = 1024

// Group is the cgroup of a task, which limits all its containers together.
type Group struct {
	// ID names the group, one path element without slashes.
	ID string
	// CPU is the ceiling in CPU units (1024 is one core); 0 is no ceiling.
	CPU int64
	// Memory is the hard limit in MiB; 0 is no limit.
	Memory int64
}

// Container is what a container is to be. ID, Image and LogPath are required.
type Container struct {
	// ID names the container: letters, digits, '-', '_' and '.', at most [MaxIDLength].
	ID string
	// Group is the ID of a group that EnsureGroup made; empty is a cgroup beside the groups.
	Group string
	// Image is a reference that EnsureImage has made available.
	Image string
	// Labels are returned by Status and List.
	Labels map[string]string

	// EntryPoint replaces the image's entry point; the image's command is then ignored.
	EntryPoint []string
	// Command replaces the image's command.
	Command []string
	// Env holds NAME=VALUE, which win over those of the image.
	Env []string
	// User is name, uid, name:group or uid:gid; empty is the image's.
	User string
	// WorkDir is absolute; empty is the image's.
	WorkDir string
	// Hostname of the container's UTS namespace; empty leaves that of the host.
	Hostname string

	// NetNS is the path of the network namespace to join. Empty is a new one with nothing in
	// it but loopback, [HostNetwork] that of the host.
	NetNS string
	// ResolvConf and Hosts are files of the host, mounted over /etc/resolv.conf and /etc/hosts.
	ResolvConf, Hosts string

	// CPU in CPU units is a share when cores are short (1024 weighs as one core), not a ceiling.
	CPU int64
	// Memory is the hard limit in MiB, upon which the kernel kills; 0 is none beside the group's.
	Memory int64
	// MemoryReservation is the soft limit in MiB; 0 is none.
	MemoryReservation int64
	// ShmSize is the size of /dev/shm in MiB; 0 is 64.
	ShmSize int64

	// Mounts are added to the usual ones, in order.
	Mounts []Mount
	// ReadOnlyRoot mounts the root file system read-only.
	ReadOnlyRoot bool
	// Ulimits replace the runtime's defaults by name.
	Ulimits []Ulimit
	// CapAdd and CapDrop change Docker's default capabilities; "ALL" is all of them and names
	// may be with or without CAP_.
	CapAdd, CapDrop []string
	// Privileged lifts the confinement: all capabilities, all devices.
	Privileged bool
	// NoNewPrivileges keeps set-uid programs from gaining any.
	NoNewPrivileges bool
	// Sysctls are set in the container's namespaces.
	Sysctls map[string]string

	// LogPath is the absolute path of the file to which stdout and stderr are appended.
	LogPath string
}

// HostNetwork as a Container's NetNS is the network of the host.
const HostNetwork = "host"

// MaxIDLength limits the identifiers of containers and groups, as containerd does.
const MaxIDLength = 76

// Mount puts a directory or file of the host, or memory, into a container.
type Mount struct {
	// Source is an absolute path of the host; empty is memory (tmpfs).
	Source string
	// Target is an absolute path in the container.
	Target string
	// ReadOnly forbids writing.
	ReadOnly bool
	// SizeMiB limits a tmpfs; 0 is half of the machine's memory, the kernel's default.
	SizeMiB int64
	// Options are further mount options, such as noexec.
	Options []string
}

// Ulimit is a resource limit by Docker's name: nofile, nproc, core and so on; -1 is unlimited.
type Ulimit struct {
	Name       string
	Soft, Hard int64
}

// Phase is where a container is in its one-way life.
type Phase string

// The phases of a container.
const (
	// Created has not been started, or is being started.
	Created Phase = "CREATED"
	// Running has a process.
	Running Phase = "RUNNING"
	// Exited had a process; ExitCode and FinishedAt are true.
	Exited Phase = "EXITED"
	// Lost was started, but the runtime lost its process and exit code (the host restarted).
	Lost Phase = "LOST"
)

// Status is what the runtime knows of a container.
type Status struct {
	ID     string
	Labels map[string]string
	Group  string
	Image  string
	// Digest of the image the container was made of, "sha256:…".
	Digest string
	Phase  Phase
	// Pid of the first process, as the host sees it; 0 unless Running.
	Pid int
	// ExitCode is 128 + the signal's number if one ended the process. Lost has 255.
	ExitCode int
	// OOMKilled is whether the kernel killed a process of it for want of memory.
	OOMKilled bool
	// CreatedAt, StartedAt and FinishedAt are zero until they happen.
	CreatedAt, StartedAt, FinishedAt time.Time
}

// ExecSpec is a further process in a container.
type ExecSpec struct {
	// Args is the command, run without a shell.
	Args []string
	// Env is added to the container's.
	Env []string
	// WorkDir and User replace the container's; empty keeps them.
	WorkDir, User string
	// Timeout kills the process; 0 is none but ctx, which kills it as well.
	Timeout time.Duration
}

// Terminal is the user's side of a process's terminal.
type Terminal struct {
	// In is what the user types. Its end does not end the process; reading it may go on for a
	// while after the process has ended.
	In io.Reader
	// Out shows what the process writes.
	Out io.Writer
	// Sizes tells the size of the window whenever it changes.
	Sizes <-chan Size
}

// Size is that of a terminal's window, in characters.
type Size struct{ Columns, Rows uint16 }

// MaxExecOutput is how many bytes of an Exec's output are kept, the first ones.
// It is the quota of a health check's output in ECS's task metadata.
const MaxExecOutput = 1024

// ExecResult is how an Exec ended.
type ExecResult struct {
	// ExitCode is 128 + the signal's number if one ended the process.
	ExitCode int
	// Output is stdout and stderr as they came, cut at MaxExecOutput bytes.
	Output string
	// TimedOut is whether ExecSpec.Timeout ended it; ExitCode is then 137.
	TimedOut bool
}

// EventKind says what happened to a container.
type EventKind string

// What happens to containers.
const (
	EventStart  EventKind = "start"
	EventExit   EventKind = "exit"
	EventOOM    EventKind = "oom"
	EventDelete EventKind = "delete"
	// EventReset carries no ID: events may have been lost, list.
	EventReset EventKind = "reset"
)

// Event wakes whoever looks after a container.
type Event struct {
	Kind EventKind
	ID   string
}

// Stats measures a container at one moment. What the kernel does not tell is zero.
type Stats struct {
	At time.Time
	// CPU is the processor time used since the start.
	CPU time.Duration
	// Memory is the working set in bytes: usage without the page cache that can go at once.
	Memory int64
	// MemoryLimit in bytes, of the container or of its group; 0 is none.
	MemoryLimit int64
	// Pids is the number of tasks (threads) in the cgroup.
	Pids int64
	// RxBytes to TxErrors count on all devices of its network namespace except loopback.
	RxBytes, RxPackets, RxErrors int64
	TxBytes, TxPackets, TxErrors int64
}

// The signals that ECS sends to stop a container: the image's stop signal or SIGTERM first,
// SIGKILL when stopTimeout has passed.
const (
	StopSignal = syscall.SIGTERM
	KillSignal = syscall.SIGKILL
)
