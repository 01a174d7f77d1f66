// Command proxy runs the data plane from a configuration file, for the benchmarks.
package main

import (
	"context"
	"flag"
	"log/slog"
	"net/http"
	_ "net/http/pprof" // the profile is part of the benchmark's report
	"os"
	"os/signal"
	"syscall"

	"fairlead/internal/lb/lbfile"
)

func main() {
	config := flag.String("config", "", "configuration file")
	loops := flag.Int("loops", 0, "event loops; 0 is one per CPU")
	pprof := flag.String("pprof", "", "address for profiles; empty is off")
	flag.Parse()
	if *pprof != "" {
		go func() { slog.Error("serve profiles", "error", http.ListenAndServe(*pprof, nil)) }()
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := lbfile.Run(ctx, *config, *loops, slog.Default()); err != nil {
		slog.Error("run load balancer", "error", err)
		os.Exit(1)
	}
}
