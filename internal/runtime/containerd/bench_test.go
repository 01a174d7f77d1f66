package containerd

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"fairlead/internal/runtime"
	"fairlead/internal/runtime/daemon"
)

// BenchmarkCold measures what a first start on an empty machine takes: containerd, the engine,
// the built-in image and its first container, each as a figure of its own.
func BenchmarkCold(b *testing.B) {
	if os.Geteuid() != 0 {
		b.Skip("containerd mounts and needs root")
	}
	for b.Loop() {
		lap := laps(b)
		run, err := os.MkdirTemp("/tmp", "fl-")
		check(b, err)
		data := b.TempDir()
		d, err := daemon.Start(b.Context(), daemon.Config{
			Exec: []string{"/proc/self/exe", daemon.Command}, Data: data, Run: run,
		})
		check(b, err)
		lap("containerd-ms")
		e, err := Open(b.Context(), Config{
			Address: d.Address(), Instance: "bench", Data: data, Run: run,
		})
		check(b, err)
		lap("open-ms")
		_, err = e.EnsureImage(b.Context(), runtime.HelloImage, runtime.Pull{})
		check(b, err)
		lap("image-ms")
		for i, name := range []string{"first-container-ms", "next-container-ms"} {
			c := runtime.Container{
				ID: fmt.Sprint("c", i), Image: runtime.HelloImage, LogPath: filepath.Join(data, "log"),
			}
			check(b, e.Create(b.Context(), c))
			check(b, e.Start(b.Context(), c.ID))
			lap(name)
		}
		check(b, e.Purge(context.Background()))
		check(b, e.Close())
		check(b, d.Remove(context.Background()))
	}
}

// laps returns a stopwatch that reports each named lap, of the last round.
func laps(b *testing.B) func(name string) {
	last := time.Now()
	return func(name string) {
		b.ReportMetric(float64(time.Since(last).Microseconds())/1000, name)
		last = time.Now()
	}
}

func check(b *testing.B, err error) {
	b.Helper()
	if err != nil {
		b.Fatal(err)
	}
}
