package main

import (
	"context"
	"fmt"
	"sync"
	"time"
)

const (
	// soakRate is the requests per second of each kind.
	soakRate = 40
	// sampleEvery and reloadEvery are the pauses of a soak.
	sampleEvery = 2 * time.Second
	reloadEvery = 5 * time.Second
)

// soakPhase keeps every kind of traffic up while tables are swapped, and looks whether the data plane
// grows.
func soakPhase(ctx context.Context, l *lab, p plan) error {
	ctx, cancel := context.WithTimeout(ctx, p.soak)
	defer cancel()
	before, err := l.vitals()
	if err != nil {
		return err
	}
	mix, leave := l.mix()
	tallies := make([]tally, len(mix))
	var driving sync.WaitGroup
	for i, k := range mix {
		driving.Go(func() { tallies[i] = drive(ctx, k, soakRate) })
	}
	driving.Go(func() {
		for sleepUntil(ctx, time.Now().Add(reloadEvery)) {
			if err := l.reload(); err != nil {
				fmt.Println("soak: reload:", err)
			}
		}
	})
	samples, err := l.sample(ctx)
	driving.Wait()
	if err != nil {
		return err
	}
	for i, k := range mix {
		fmt.Printf("soak: %s: %v\n", k.name, tallies[i])
	}
	growth(samples)
	leave()
	return l.residue(before)
}

// settleTime is what the data plane gets to see that its clients have left.
const settleTime = 3 * time.Second

// residue shows what is left when the clients have gone. Connections to targets are kept.
func (l *lab) residue(before vitals) error {
	sleepUntil(context.Background(), time.Now().Add(settleTime))
	after, err := l.vitals()
	fmt.Printf("soak: before any client and after all of them: %d and %d KiB of heap, %d and %d "+
		"goroutines, %d and %d files, %d clients left\n", before.Heap>>10, after.Heap>>10,
		before.Goroutines, after.Goroutines, before.Files, after.Files, after.Clients)
	return err
}

func (l *lab) sample(ctx context.Context) (all []vitals, err error) {
	for sleepUntil(ctx, time.Now().Add(sampleEvery)) {
		v, err := l.vitals()
		if err != nil {
			return all, err
		}
		all = append(all, v)
	}
	return all, nil
}

// growth compares the first minute with the last one, or the halves of a short run. The very first
// samples are left out: pools and caches fill then.
func growth(all []vitals) {
	const warming, minute = 5, int(time.Minute / sampleEvery)
	if len(all) <= warming+1 {
		fmt.Println("soak: too short to tell growth")
		return
	}
	all = all[warming:]
	n := min(minute, len(all)/2)
	first, last := all[:n], all[len(all)-n:]
	for _, of := range []struct {
		name string
		get  func(vitals) float64
	}{
		{"heap KiB", func(v vitals) float64 { return float64(v.Heap) / 1024 }},
		{"resident KiB", func(v vitals) float64 { return float64(v.Resident) / 1024 }},
		{"goroutines", func(v vitals) float64 { return float64(v.Goroutines) }},
		{"files", func(v vitals) float64 { return float64(v.Files) }},
	} {
		a, b := mean(first, of.get), mean(last, of.get)
		fmt.Printf("soak: %s: %.0f in the first %v, %.0f in the last (%+.1f %%)\n", of.name, a,
			time.Duration(n)*sampleEvery, b, 100*(b/a-1))
	}
}

func mean(all []vitals, get func(vitals) float64) float64 {
	sum := 0.0
	for _, v := range all {
		sum += get(v)
	}
	return sum / float64(len(all))
}
