package main

import (
	"bytes"
	"fmt"
	"os"
	"slices"
	"strconv"
	"time"
)

// latencyLog is the file of the lab in which h2load writes down every request.
const latencyLog = "latency.log"

// readDurations reads how long requests took from a log of h2load: lines of start, status and
// duration, with times in microseconds. It removes the file, to which h2load would append.
func readDurations(name string) ([]time.Duration, error) {
	b, err := os.ReadFile(name)
	if err != nil {
		return nil, err
	}
	var out []time.Duration
	for line := range bytes.Lines(b) {
		f := bytes.Fields(line)
		if len(f) < 3 || string(f[1]) != "200" {
			return nil, fmt.Errorf("request failed: %q", line)
		}
		us, err := strconv.Atoi(string(f[2]))
		if err != nil {
			return nil, fmt.Errorf("log of h2load: %w", err)
		}
		out = append(out, time.Duration(us)*time.Microsecond)
	}
	if len(out) == 0 {
		return nil, fmt.Errorf("no requests in the log of h2load")
	}
	slices.Sort(out)
	return out, os.Remove(name)
}

// quantile is a duration that the share q of sorted ones does not exceed.
func quantile(sorted []time.Duration, q float64) time.Duration {
	return sorted[min(int(q*float64(len(sorted))), len(sorted)-1)]
}

// latencies tells the medians of the rounds' median and p99, and the ratio of the p99 to that of the
// same round of ours.
func latencies(theirs, ours []sample) string {
	var p50, p99, ratios []float64
	for i, s := range theirs {
		p50 = append(p50, float64(quantile(s.durations, 0.5).Microseconds()))
		p99 = append(p99, float64(quantile(s.durations, 0.99).Microseconds()))
		ratios = append(ratios, p99[i]/float64(quantile(ours[i].durations, 0.99).Microseconds()))
	}
	return fmt.Sprintf("  p50 %.0f µs  p99 %.0f µs  p99 ratio %.2f [%.2f-%.2f]",
		median(p50), median(p99), median(ratios), slices.Min(ratios), slices.Max(ratios))
}
