// Package plan decides. Its functions map what is known, and what time it is, to what is to be done:
// they read no clock, hold no state, start nothing and fail never, so that every rule of ECS is a
// table test and a whole cluster can be simulated.
//
// The service scheduler is [Service]. It is given an [Input] (one service, its deployments, its
// tasks, the health of their targets) and returns a [Plan]: tasks to start and to stop, events to
// write, the deployments as they are to be, and when to look again if nothing happens before. The
// controller that calls it performs the plan in one transaction; then the next input shows the plan
// done, and planning again finds nothing to do.
//
// [Daemon] and [PlaceOn] decide for container instances. No controller calls them yet: there are no
// container instances, and services that need them are refused.
package plan
