package main

import (
	"context"
	"fmt"
	"strconv"
	"time"
)

// perHolder is how many connections one holding process has at most: the same limit holds for it as
// for the data plane.
const perHolder = 19_000

// holders starts processes that hold n connections together, those from number on.
func (l *lab) holders(ctx context.Context, n, number int) (all []*child, sum tally, err error) {
	for end := number + n; number < end; number += perHolder {
		c, err := l.spawn(ctx, "hold", l.at.HTTP, strconv.Itoa(min(perHolder, end-number)),
			strconv.Itoa(number))
		if err != nil {
			return all, sum, err
		}
		all = append(all, c)
	}
	sum, err = answers(all)
	return all, sum, err
}

// answers adds up what the processes report next.
func answers(all []*child) (sum tally, err error) {
	for _, c := range all {
		var t tally
		if err := c.read(&t); err != nil {
			return sum, err
		}
		sum = sum.plus(t)
	}
	return sum, nil
}

// tell gives all processes an order and adds up what they report.
func tell(all []*child, order string) (sum tally, err error) {
	for _, c := range all {
		if err := c.say(order); err != nil {
			return sum, err
		}
	}
	return answers(all)
}

// plus adds tallies up; the quantiles are the worse of both.
func (t tally) plus(o tally) tally {
	if t.First == "" {
		t.First = o.First
	}
	return tally{t.Asked + o.Asked, t.Failed + o.Failed, t.First, max(t.P50, o.P50), max(t.P99, o.P99)}
}

func endAll(all []*child) {
	for _, c := range all {
		c.end()
	}
}

// idlePhase holds idle connections and asks on all of them again.
func idlePhase(ctx context.Context, l *lab, p plan) error {
	before, err := l.vitals()
	if err != nil {
		return err
	}
	all, first, err := l.holders(ctx, p.idle, 0)
	defer endAll(all)
	if err != nil {
		return err
	}
	sleepUntil(ctx, time.Now().Add(p.hold))
	during, err := l.vitals()
	if err != nil {
		return err
	}
	again, err := tell(all, "ask")
	if err != nil {
		return err
	}
	thousands := float64(during.Clients) / 1000
	fmt.Printf("idle: %d connections held for %v after one request each: %v; all asked again: %v\n",
		during.Clients, p.hold, first, again)
	fmt.Printf("idle: per 1,000 connections %.0f KiB of heap, %.0f KiB resident; %d goroutines "+
		"(%d without connections)\n", float64(during.Heap-before.Heap)/1024/thousands,
		float64(during.Resident-before.Resident)/1024/thousands, during.Goroutines, before.Goroutines)
	return nil
}

// activePhase has all connections make requests now and then.
func activePhase(ctx context.Context, l *lab, p plan) error {
	all, _, err := l.holders(ctx, p.active, 0)
	defer endAll(all)
	if err != nil {
		return err
	}
	return busy(all, p)
}

// busyTime is how long connections are active.
const busyTime = 20 * time.Second

func busy(all []*child, p plan) error {
	sum, err := tell(all, fmt.Sprintf("busy %d %d", max(p.activeRate/len(all), 1),
		busyTime.Milliseconds()))
	if err == nil {
		fmt.Printf("active: %d connections, %d requests/s over all of them for %v: %v\n", p.active,
			p.activeRate, busyTime, sum)
	}
	return err
}

// bothPhase has active connections beside idle ones.
func bothPhase(ctx context.Context, l *lab, p plan) error {
	idle := p.idle
	if p.idle+p.active > p.clients {
		idle = p.clients - p.active
	}
	quiet, first, err := l.holders(ctx, idle, 0)
	defer endAll(quiet)
	if err != nil {
		return err
	}
	fmt.Printf("both: %d idle connections (%d failed)\n", idle, first.Failed)
	active, _, err := l.holders(ctx, p.active, idle)
	defer endAll(active)
	if err != nil {
		return err
	}
	if err := busy(active, p); err != nil {
		return err
	}
	v, err := l.vitals()
	if err != nil {
		return err
	}
	fmt.Printf("both: %d connections at once in one process: %d MiB of heap, %d MiB resident, "+
		"%d goroutines, %d files\n", v.Clients, v.Heap>>20, v.Resident>>20, v.Goroutines, v.Files)
	again, err := tell(quiet, "ask")
	fmt.Printf("both: the idle ones asked again: %d of %d failed %s\n", again.Failed, again.Asked,
		again.First)
	return err
}

// sleepUntil reports false when ctx ends before.
func sleepUntil(ctx context.Context, due time.Time) bool {
	t := time.NewTimer(time.Until(due))
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}
