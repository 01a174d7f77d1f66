package main

import (
	"log/slog"
	"os"

	"github.com/spf13/cobra"

	"fairlead/internal/lb/lbfile"
)

const lbHelp = `Runs a load balancer alone, without the AWS APIs: listeners, certificates, rules, target groups and
targets come from a JSON file, which is read again whenever it changes. A file with a fault is
refused with the reason and changes nothing. It needs no root above port 1023.

  {
    "listeners": [{
      "id": "web", "protocol": "HTTP", "addresses": ["127.0.0.1:8080"],
      "rules": [{
        "priority": 1,
        "conditions": [{"field": "path-pattern", "values": ["/api/*"]}],
        "actions": [{"type": "forward", "target_groups": [{"id": "api"}]}]
      }],
      "default_actions": [{"type": "forward", "target_groups": [{"id": "web"}]}]
    }],
    "target_groups": [
      {"id": "web", "targets": [{"address": "127.0.0.1:9001"}, {"address": "127.0.0.1:9002"}]},
      {"id": "api", "targets": [{"address": "127.0.0.1:9003"}], "health_check": {"path": "/health"}}
    ]
  }

A target group of the type lambda has one function as its target. It is invoked over the Lambda
Invoke API at its endpoint, which the runtime interface emulator in Lambda's images serves (where
every function is called "function"), and "sam local start-lambda":

  {"id": "f", "type": "lambda",
   "targets": [{"endpoint": "http://127.0.0.1:9000", "function": "function"}]}

The JSON schema of the whole format: fairlead lb --schema`

func lbCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "lb",
		Short: "Run a load balancer alone, from a file",
		Long:  lbHelp,
		Args:  cobra.NoArgs,
	}
	file := cmd.Flags().String("config", "", "the file")
	loops := cmd.Flags().Int("loops", 0, "event loops; 0 is one per processor")
	schema := cmd.Flags().Bool("schema", false, "print the JSON schema of the file and end")
	cmd.MarkFlagsOneRequired("config", "schema")
	cmd.MarkFlagsMutuallyExclusive("config", "schema")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if *schema {
			text, err := lbfile.Schema()
			if err == nil {
				_, err = cmd.OutOrStdout().Write(text)
			}
			return err
		}
		return lbfile.Run(cmd.Context(), *file, *loops, slog.New(slog.NewTextHandler(os.Stderr, nil)))
	}
	return cmd
}
