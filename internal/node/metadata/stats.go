package metadata

import (
	"context"
	goruntime "runtime"
	"sync"
	"time"

	"fairlead/internal/runtime"
)

// Stats is the part of Docker's statistics that is true here: what the kernel counts.
// https://docs.docker.com/reference/api/engine/ (ContainerStats)
type Stats struct {
	ID          string             `json:"id"`
	Name        string             `json:"name"`
	Read        time.Time          `json:"read"`
	PreRead     time.Time          `json:"preread"`
	PidsStats   Pids               `json:"pids_stats"`
	CPUStats    CPU                `json:"cpu_stats"`
	PreCPUStats CPU                `json:"precpu_stats"`
	MemoryStats Memory             `json:"memory_stats"`
	Networks    map[string]Traffic `json:"networks"`
	Rates       Rates              `json:"network_rate_stats"`
}

// Pids counts the threads of a container.
type Pids struct {
	Current int64 `json:"current"`
}

// CPU is processor time in nanoseconds.
type CPU struct {
	Usage struct {
		Total int64 `json:"total_usage"`
	} `json:"cpu_usage"`
	// System is the time that passed on all processors together.
	System int64 `json:"system_cpu_usage"`
	Online int   `json:"online_cpus"`
}

// Memory is in bytes.
type Memory struct {
	Usage int64 `json:"usage"`
	Limit int64 `json:"limit,omitempty"`
}

// Traffic counts what went through the task's interface.
type Traffic struct {
	RxBytes   int64 `json:"rx_bytes"`
	RxPackets int64 `json:"rx_packets"`
	RxErrors  int64 `json:"rx_errors"`
	TxBytes   int64 `json:"tx_bytes"`
	TxPackets int64 `json:"tx_packets"`
	TxErrors  int64 `json:"tx_errors"`
}

// Rates are in bytes per second since the measurement before.
type Rates struct {
	Rx float64 `json:"rx_bytes_per_sec"`
	Tx float64 `json:"tx_bytes_per_sec"`
}

// samples remembers the last measurement of each container, which the next one is compared with.
type samples struct {
	source Source
	start  time.Time

	mu   sync.Mutex // guards last
	last map[string]runtime.Stats
}

func newSamples(source Source) *samples {
	return &samples{source: source, start: time.Now(), last: map[string]runtime.Stats{}}
}

func (s *samples) take(ctx context.Context, c Container) (*Stats, error) {
	now, err := s.source.Stats(ctx, c.DockerID)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	before, ok := s.last[c.DockerID]
	s.last[c.DockerID] = now
	s.mu.Unlock()
	out := &Stats{
		ID: c.DockerID, Name: c.DockerName, Read: now.At, PreRead: before.At,
		PidsStats: Pids{now.Pids}, CPUStats: s.cpu(now),
		MemoryStats: Memory{now.Memory, now.MemoryLimit},
		Networks:    map[string]Traffic{"eth0": traffic(now)},
	}
	if ok {
		out.PreCPUStats = s.cpu(before)
		out.Rates = rates(before, now)
	}
	return out, nil
}

func (s *samples) cpu(m runtime.Stats) CPU {
	cpu := CPU{Online: goruntime.NumCPU()}
	cpu.Usage.Total = int64(m.CPU)
	cpu.System = int64(m.At.Sub(s.start)) * int64(cpu.Online)
	return cpu
}

func traffic(m runtime.Stats) Traffic {
	return Traffic{m.RxBytes, m.RxPackets, m.RxErrors, m.TxBytes, m.TxPackets, m.TxErrors}
}

func rates(before, now runtime.Stats) Rates {
	seconds := now.At.Sub(before.At).Seconds()
	if seconds <= 0 {
		return Rates{}
	}
	return Rates{
		Rx: float64(now.RxBytes-before.RxBytes) / seconds,
		Tx: float64(now.TxBytes-before.TxBytes) / seconds,
	}
}
