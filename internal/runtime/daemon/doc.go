// Package daemon is the containerd that Fairlead carries in its own binary.
//
// [ServeContainerd] is that containerd: the binary executes itself again with a hidden
// sub-command, because containerd keeps global state and must outlive Fairlead. [Start] finds
// the one that runs for a data directory or spawns it in a session of its own; [Daemon.Run]
// brings it back, with growing pauses, when it dies; [Daemon.Stop] ends it. Containers belong to
// their shims and notice none of that.
//
// Who runs is known by a lock and not by a number: containerd holds the lock of its pid file as
// long as it lives, so a file that a killed one left behind misleads nobody.
package daemon
