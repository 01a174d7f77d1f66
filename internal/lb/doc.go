// Package lb is the data plane of the load balancer: it accepts connections, chooses targets,
// relays requests and responses, and probes the health of the targets.
//
// It is a library. It knows no AWS API, no store and no type of the rest of Fairlead; what it knows
// is the vocabulary: listeners, rules, target groups, targets. Whoever uses it
//
//  1. describes the wanted world as a [TableSpec] and compiles it ([Compile]) into an immutable
//     [Table],
//  2. hands the table to the [Engine] ([Engine.Swap]), as often as the world changes,
//  3. reads back what was seen: the health of targets ([Engine.Health]), counters ([Engine.Stats]),
//     records of served requests ([Config].AccessLog).
//
// A swap never disturbs traffic: requests in flight keep the table they started with. Health,
// outstanding requests and stickiness are keyed by (target group, target, port), see [TargetKey],
// never by address: an address that is reused by another task starts from nothing.
//
// Inside, every core runs one event loop with its own epoll instance, its own listening sockets
// (SO_REUSEPORT) and its own connections to targets; nothing is handed from loop to loop and the
// path of a request takes no lock. docs/design/request.md follows one request through the files.
package lb
