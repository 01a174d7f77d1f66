package service

import (
	"container/heap"
	"time"
)

// alarms says which services are due when: a heap by time, and each service's time. Entries of the
// heap whose time is no longer the service's are skipped.
type alarms struct {
	queue *queue
	at    map[string]time.Time
}

type alarm struct {
	service string
	at      time.Time
}

func newAlarms() alarms { return alarms{queue: &queue{}, at: map[string]time.Time{}} }

// set makes a service due at a time, if it is not due before; the zero time asks for nothing.
func (a alarms) set(service string, at time.Time) {
	if at.IsZero() {
		return
	}
	if have, ok := a.at[service]; ok && !at.Before(have) {
		return
	}
	a.at[service] = at
	heap.Push(a.queue, alarm{service, at})
}

// first returns the earliest time at which a service is due.
func (a alarms) first() (at time.Time, ok bool) {
	for a.queue.Len() > 0 {
		next := (*a.queue)[0]
		if a.at[next.service].Equal(next.at) {
			return next.at, true
		}
		heap.Pop(a.queue)
	}
	return at, false
}

// take removes and returns the services that are due.
func (a alarms) take(now time.Time) (due []string) {
	for {
		at, ok := a.first()
		if !ok || at.After(now) {
			return due
		}
		next := heap.Pop(a.queue).(alarm)
		delete(a.at, next.service)
		due = append(due, next.service)
	}
}

// queue implements heap.Interface.
type queue []alarm

func (q queue) Len() int           { return len(q) }
func (q queue) Less(i, j int) bool { return q[i].at.Before(q[j].at) }
func (q queue) Swap(i, j int)      { q[i], q[j] = q[j], q[i] }
func (q *queue) Push(x any)        { *q = append(*q, x.(alarm)) }

func (q *queue) Pop() any {
	old := *q
	last := old[len(old)-1]
	*q = old[:len(old)-1]
	return last
}
