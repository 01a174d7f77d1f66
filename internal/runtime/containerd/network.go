package containerd

import (
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"

	"fairlead/internal/runtime"
)

// readNetwork adds up the devices in the network namespace of a process.
func readNetwork(pid int, stats *runtime.Stats) {
	file, err := os.Open(fmt.Sprintf("/proc/%d/net/dev", pid))
	if err != nil {
		return // it has just exited
	}
	defer file.Close()
	text, err := io.ReadAll(file)
	if err != nil {
		return
	}
	sumDevices(string(text), stats)
}

// sumDevices reads lines such as
//
//	eth0: 1000 10 0 0 0 0 0 0 2000 20 0 0 0 0 0 0
//
// received bytes, packets, errors and five more, then the same as sent.
func sumDevices(text string, stats *runtime.Stats) {
	for line := range strings.Lines(text) {
		device, counters, ok := strings.Cut(line, ":")
		fields := strings.Fields(counters)
		if !ok || strings.TrimSpace(device) == "lo" || len(fields) < 11 {
			continue
		}
		for i, sum := range map[int]*int64{
			0: &stats.RxBytes, 1: &stats.RxPackets, 2: &stats.RxErrors,
			8: &stats.TxBytes, 9: &stats.TxPackets, 10: &stats.TxErrors,
		} {
			n, err := strconv.ParseInt(fields[i], 10, 64)
			if err == nil {
				*sum += n
			}
		}
	}
}
