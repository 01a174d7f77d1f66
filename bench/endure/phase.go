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

// holders starts processes that hold n connections together.
func (l *lab) holders(ctx context.Context, n int) (all []*child, sum tally, err error) {
	for first := 0; first < n; first += perHolder {
		c, err := spawn(ctx, "hold", l.at.HTTP, strconv.Itoa(min(perHolder, n-first)),
			strconv.Itoa(first))
		if err != nil {
			return all, sum, err
		}
		all = append(all, c)
		var t tally
		if err := c.read(&t); err != nil {
			return all, sum, err
		}
		sum = sum.plus(t)
	}
	return all, sum, nil
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
	all, first, err := l.holders(ctx, p.idle)
	defer endAll(all)
	if err != nil {
		return err
	}
	sleepUntil(ctx, time.Now().Add(p.hold))
	during, err := l.vitals()
	if err != nil {
		return err
	}
	var again tally
	for _, c := range all {
		var t tally
		if err := c.say("ask"); err != nil {
			return err
		}
		if err := c.read(&t); err != nil {
			return err
		}
		again = again.plus(t)
	}
	thousands := float64(during.Clients) / 1000
	fmt.Printf("idle: %d connections held for %v after one request each (%d failed); all asked "+
		"again: %d failed\n", during.Clients, p.hold, first.Failed, again.Failed)
	fmt.Printf("idle: per 1,000 connections %.0f KiB of heap, %.0f KiB resident; %d goroutines "+
		"(%d without connections)\n", float64(during.Heap-before.Heap)/1024/thousands,
		float64(during.Resident-before.Resident)/1024/thousands, during.Goroutines, before.Goroutines)
	return nil
}

// activePhase has all connections make requests now and then.
func activePhase(ctx context.Context, l *lab, p plan) error {
	all, _, err := l.holders(ctx, p.active)
	defer endAll(all)
	if err != nil {
		return err
	}
	const rate, seconds = 2000, 20
	for _, c := range all {
		if err := c.say(fmt.Sprintf("busy %d %d", rate/len(all), seconds)); err != nil {
			return err
		}
	}
	var sum tally
	for _, c := range all {
		var t tally
		if err := c.read(&t); err != nil {
			return err
		}
		sum = sum.plus(t)
	}
	fmt.Printf("active: %d connections, %d requests/s over all of them for %d s: %v\n", p.active,
		rate, seconds, sum)
	return nil
}
