// Fairlead is Amazon ECS with Elastic Load Balancing on your own machines. This command is the
// whole of it: `fairlead serve` runs everything, the other sub-commands are small clients of it.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	if err := rootCommand().ExecuteContext(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "fairlead:", err)
		os.Exit(1)
	}
}

const rootHelp = `Fairlead is Amazon ECS with Elastic Load Balancing on your own machines.

It speaks the AWS protocols to unmodified clients (the Terraform AWS provider, the AWS CLI, the
SDKs) and does what they say: real containers with their own VPC addresses, load balancers that
carry traffic, health checks that probe, TLS with your certificates.

  sudo fairlead serve &                 start it
  eval "$(fairlead env)"                point AWS clients at it
  terraform apply                       or: aws ecs create-cluster …
  fairlead status                       see services, tasks, targets, health
  fairlead events --follow --plain      see what happens to them

The image fairlead/hello is built in, so that nothing has to be downloaded for a first try.`

func rootCommand() *cobra.Command {
	root := &cobra.Command{
		Use:           "fairlead",
		Short:         "Amazon ECS with Elastic Load Balancing on your own machines",
		Long:          rootHelp,
		SilenceUsage:  true,
		SilenceErrors: true,
	}
	root.CompletionOptions.HiddenDefaultCmd = true
	root.AddCommand(
		serveCommand(), envCommand(), statusCommand(), eventsCommand(), imageCommand(), certCommand(),
		lbCommand(), destroyCommand(), versionCommand(), containerdCommand(),
	)
	return root
}
