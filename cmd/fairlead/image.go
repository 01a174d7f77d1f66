package main

import (
	"fmt"
	"io"
	"os"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"fairlead/internal/admin"
)

func imageCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "image",
		Short: "Load and list container images",
		Long: `Images are pulled from their registries when a task needs them. This command brings in
images without a registry: archives of docker save and OCI archives, plain or gzipped.`,
	}
	cmd.AddCommand(imageLoadCommand(), imageListCommand())
	return cmd
}

func imageLoadCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "load FILE",
		Short:   "Load the images of an archive (- is standard input)",
		Example: "  docker save my/app:v1 | fairlead image load -",
		Args:    cobra.ExactArgs(1),
	}
	endpoint := endpointFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		var archive io.Reader = cmd.InOrStdin()
		if args[0] != "-" {
			f, err := os.Open(args[0])
			if err != nil {
				return err
			}
			defer f.Close()
			archive = f
		}
		return printImages(cmd, *endpoint, "POST", archive)
	}
	return cmd
}

func imageListCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "ls", Short: "List the images", Args: cobra.NoArgs}
	endpoint := endpointFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		return printImages(cmd, *endpoint, "GET", nil)
	}
	return cmd
}

func printImages(cmd *cobra.Command, endpoint, method string, body io.Reader) error {
	var images []admin.Image
	if err := call(cmd.Context(), endpoint, method, "images", body, &images); err != nil {
		return err
	}
	w := tabwriter.NewWriter(cmd.OutOrStdout(), 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "IMAGE\tDIGEST\tSIZE")
	for _, i := range images {
		fmt.Fprintf(w, "%s\t%s\t%.1f MiB\n", i.Ref, i.Digest, float64(i.Size)/(1<<20))
	}
	return w.Flush()
}
