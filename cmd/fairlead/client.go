package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"fairlead/internal/admin"
)

// defaultListen is where the API answers unless told otherwise.
const defaultListen = "127.0.0.1:4566"

// endpointFlag adds --endpoint, which names the running Fairlead a command talks to.
func endpointFlag(cmd *cobra.Command) *string {
	def := cmp.Or(os.Getenv("AWS_ENDPOINT_URL"), "http://"+defaultListen)
	return cmd.Flags().String("endpoint", def, "URL of the running fairlead (or AWS_ENDPOINT_URL)")
}

// call makes a request to one of Fairlead's own endpoints and decodes its answer into out.
func call(ctx context.Context, endpoint, method, path string, body io.Reader, out any) error {
	answer, err := open(ctx, endpoint, method, path, body)
	if err != nil {
		return err
	}
	defer answer.Close()
	if err := json.NewDecoder(answer).Decode(out); err != nil {
		return fmt.Errorf("read the answer of %s: %w", path, err)
	}
	return nil
}

// open makes a request to one of Fairlead's own endpoints and returns the body of its answer.
func open(
	ctx context.Context, endpoint, method, path string, body io.Reader,
) (io.ReadCloser, error) {
	url := strings.TrimSuffix(endpoint, "/") + "/_fairlead/" + path
	req, err := http.NewRequestWithContext(ctx, method, url, body)
	if err != nil {
		return nil, fmt.Errorf("address fairlead: %w", err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, fmt.Errorf("%w\nIs fairlead running? Start it with: sudo fairlead serve", err)
	}
	if resp.StatusCode != http.StatusOK {
		defer resp.Body.Close()
		return nil, refusal(resp)
	}
	return resp.Body, nil
}

func refusal(resp *http.Response) error {
	var r admin.Refusal
	if json.NewDecoder(resp.Body).Decode(&r) != nil || r.Error == "" {
		return fmt.Errorf("%s answered %s", resp.Request.URL, resp.Status)
	}
	return errors.New(r.Error)
}
