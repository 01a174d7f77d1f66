package main

import (
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"fairlead/internal/ca"
)

func certCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "cert",
		Short: "Issue certificates from the local certificate authority",
	}
	cmd.AddCommand(certNewCommand(), certRootCommand())
	return cmd
}

// authority opens the certificate authority of a data directory, and makes it the first time.
func authority(dataDir string) (*ca.Authority, error) {
	return ca.Open(filepath.Join(dataDir, "ca"), time.Now())
}

func certNewCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "new NAME...",
		Short: "Issue a certificate for host names",
		Long: `Issues a certificate for the given host names and writes what aws acm import-certificate (or
Terraform's aws_acm_certificate) wants: cert.pem, key.pem and chain.pem. Clients trust it once they
trust the root, see: fairlead cert root.`,
		Example: "  fairlead cert new --out certificate www.example.test '*.us-east-1.elb.localhost'",
		Args:    cobra.MinimumNArgs(1),
	}
	dataDir := cmd.Flags().String("data-dir", defaultDataDir, "data directory of the Fairlead")
	out := cmd.Flags().String("out", "certificate", "directory to write to")
	cmd.RunE = func(cmd *cobra.Command, names []string) error {
		a, err := authority(*dataDir)
		if err != nil {
			return err
		}
		cert, err := a.Issue(names, time.Now())
		if err != nil {
			return err
		}
		if err := os.MkdirAll(*out, 0o755); err != nil {
			return err
		}
		for _, f := range []struct {
			name    string
			content []byte
			mode    os.FileMode
		}{
			{"cert.pem", cert.Cert, 0o644}, {"key.pem", cert.Key, 0o600}, {"chain.pem", cert.Chain, 0o644},
		} {
			path := filepath.Join(*out, f.name)
			if err := os.WriteFile(path, f.content, f.mode); err != nil {
				return err
			}
			fmt.Fprintln(cmd.OutOrStdout(), "wrote", path)
		}
		return nil
	}
	return cmd
}

func certRootCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "root",
		Short: "Print the root certificate, for browsers and systems to trust",
		Example: `  fairlead cert root | sudo tee /usr/local/share/ca-certificates/fairlead.crt
  sudo update-ca-certificates`,
		Args: cobra.NoArgs,
	}
	dataDir := cmd.Flags().String("data-dir", defaultDataDir, "data directory of the Fairlead")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		a, err := authority(*dataDir)
		if err != nil {
			return err
		}
		_, err = cmd.OutOrStdout().Write(a.Root())
		return err
	}
	return cmd
}
