package main

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"
)

func envCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "env",
		Short: "Print the environment that points AWS clients at this Fairlead",
		Long: `Prints shell commands that point the AWS CLI, the SDKs and Terraform at Fairlead:

  eval "$(fairlead env)"

Credentials are placeholders: as long as no keys are configured (fairlead serve --access-key), any
well-formed ones are accepted on loopback.`,
		Args: cobra.NoArgs,
	}
	listen := cmd.Flags().String("listen", defaultListen, "address given to fairlead serve --listen")
	region := cmd.Flags().String("region", "us-east-1", "region to work in")
	key := cmd.Flags().String("access-key", "fairlead:fairlead", "access key as ID:SECRET")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		id, secret, ok := strings.Cut(*key, ":")
		if !ok || id == "" || secret == "" {
			return fmt.Errorf("--access-key %q is not ID:SECRET", *key)
		}
		for _, kv := range [][2]string{
			{"AWS_ENDPOINT_URL", "http://" + *listen},
			{"AWS_ACCESS_KEY_ID", id},
			{"AWS_SECRET_ACCESS_KEY", secret},
			{"AWS_REGION", *region},
			{"AWS_DEFAULT_REGION", *region},
			{"AWS_EC2_METADATA_DISABLED", "true"},
		} {
			fmt.Fprintf(cmd.OutOrStdout(), "export %s=%s\n", kv[0], quote(kv[1]))
		}
		fmt.Fprintln(cmd.OutOrStdout(), "unset AWS_PROFILE AWS_SESSION_TOKEN")
		return nil
	}
	return cmd
}

// quote makes s safe in a shell command.
func quote(s string) string { return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'" }
