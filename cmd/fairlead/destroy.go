package main

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/spf13/cobra"
)

func destroyCommand() *cobra.Command {
	var o options
	cmd := &cobra.Command{
		Use:   "destroy",
		Short: "Remove everything of a Fairlead that does not run: containers, networks, data",
		Long: `Removes the containers, network namespaces, links, rules and files of the Fairlead of a data
directory. It must not be running. Use it to take Fairlead off a machine, or after an --ephemeral
one was killed.`,
		Args: cobra.NoArgs,
	}
	cmd.Flags().StringVar(&o.dataDir, "data-dir", defaultDataDir, "data directory to remove")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		o.listen, o.logLevel = "127.0.0.1:0", "info"
		cfg, err := o.config()
		if err != nil {
			return err
		}
		if _, err := os.Stat(cfg.dataDir); err != nil {
			return fmt.Errorf("there is no Fairlead to remove: %w", err)
		}
		i, err := startInstance(cmd.Context(), cfg)
		if err != nil {
			return err
		}
		defer i.close()
		return i.destroy()
	}
	return cmd
}

// destroy removes everything that the instance made on the machine, its data included.
func (i *instance) destroy() error {
	ctx, cancel := context.WithTimeout(context.Background(), removeTimeout)
	defer cancel()
	if i.daemon != nil { // it may have ended with us, and is needed once more
		if _, err := i.startDaemon(ctx); err != nil {
			return fmt.Errorf("remove everything: %w", err)
		}
	}
	err := errors.Join(i.runtime.Purge(ctx), i.host.Destroy(ctx))
	if i.daemon != nil {
		err = errors.Join(err, i.daemon.Remove(ctx))
	}
	if err != nil {
		return fmt.Errorf("remove everything: %w", err)
	}
	return os.RemoveAll(i.cfg.dataDir)
}
