package main

import (
	"github.com/spf13/cobra"

	"fairlead/internal/runtime/daemon"
)

// containerdCommand is the private containerd: serve starts it as a process of its own, which
// outlives Fairlead.
func containerdCommand() *cobra.Command {
	return &cobra.Command{
		Use:                daemon.Command,
		Short:              "Run the private containerd (started by serve)",
		Hidden:             true,
		DisableFlagParsing: true,
		RunE: func(cmd *cobra.Command, args []string) error {
			return daemon.ServeContainerd(cmd.Context(), args)
		},
	}
}
