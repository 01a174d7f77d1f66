package containerd

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/containerd/containerd/v2/client"
	"github.com/containerd/containerd/v2/core/remotes"
	"github.com/containerd/containerd/v2/core/remotes/docker"
	"github.com/containerd/errdefs"
	"github.com/containerd/log"
	"github.com/sirupsen/logrus"

	"fairlead/internal/runtime"
)

// Limits of a conversation with a registry. The body of a layer may take as long as it takes.
const (
	registryDialTimeout   = 10 * time.Second
	registryHeaderTimeout = 30 * time.Second
)

// pull downloads the image and unpacks it on the way.
func (e *Engine) pull(ctx context.Context, name string, pull runtime.Pull) (client.Image, error) {
	// The client logs what it also returns.
	quiet := logrus.New()
	quiet.SetOutput(io.Discard)
	ctx = log.WithLogger(ctx, logrus.NewEntry(quiet))
	pulled, err := e.client.Pull(ctx, name,
		client.WithPullUnpack,
		client.WithPullLabels(pinLabels(pull)),
		client.WithPullSnapshotter(e.config.Snapshotter),
		client.WithResolver(resolver(pull)))
	if err != nil {
		return nil, pullFailure(wordAsFargate(err), !permanent(err))
	}
	return pulled, nil
}

// resolver speaks to registries over TLS, and over plain HTTP to those on this machine.
func resolver(pull runtime.Pull) remotes.Resolver {
	transport := &http.Transport{
		Proxy:                 http.ProxyFromEnvironment,
		DialContext:           (&net.Dialer{Timeout: registryDialTimeout}).DialContext,
		TLSHandshakeTimeout:   registryDialTimeout,
		ResponseHeaderTimeout: registryHeaderTimeout,
		ForceAttemptHTTP2:     true,
		MaxIdleConnsPerHost:   4,
		IdleConnTimeout:       registryHeaderTimeout,
	}
	web := &http.Client{Transport: transport}
	authorizer := docker.NewDockerAuthorizer(
		docker.WithAuthClient(web),
		docker.WithAuthCreds(func(string) (string, string, error) {
			return pull.Username, pull.Password, nil
		}))
	return docker.NewResolver(docker.ResolverOptions{
		Hosts: docker.ConfigureDefaultRegistries(
			docker.WithClient(web),
			docker.WithAuthorizer(authorizer),
			docker.WithPlainHTTP(docker.MatchLocalhost)),
	})
}

// permanent is whether asking again will not help.
func permanent(err error) bool {
	return errdefs.IsNotFound(err) || errdefs.IsUnauthorized(err) ||
		errdefs.IsPermissionDenied(err) || errdefs.IsInvalidArgument(err) ||
		errors.Is(err, docker.ErrInvalidAuthorization)
}

// wordAsFargate gives containerd's error the words that Fargate, itself on containerd, uses:
// "pull image manifest has been retried 1 time(s): failed to resolve ref …".
// https://docs.aws.amazon.com/AmazonECS/latest/developerguide/task_cannot_pull_image.html
func wordAsFargate(err error) error {
	text := err.Error()
	rest, ok := strings.CutPrefix(text, `failed to resolve reference "`)
	if !ok {
		return err
	}
	rest = strings.Replace(rest, `": `, ": ", 1)
	return &worded{
		text: "pull image manifest has been retried 1 time(s): failed to resolve ref " + rest,
		err:  err,
	}
}

// worded is an error with another text.
type worded struct {
	text string
	err  error
}

func (w *worded) Error() string { return w.text }
func (w *worded) Unwrap() error { return w.err }

func pullFailure(err error, retry bool) error {
	if failure, ok := errors.AsType[*runtime.Failure](err); ok {
		return failure
	}
	return &runtime.Failure{
		Reason:  runtime.CannotPullContainer,
		Message: oneLine(err),
		Retry:   retry,
		Err:     fmt.Errorf("pull: %w", err),
	}
}
