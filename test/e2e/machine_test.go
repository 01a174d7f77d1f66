package e2e

import (
	"context"
	"crypto/sha256"
	"fmt"
	"net"
	"net/http"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"github.com/containerd/containerd/v2/client"
	"github.com/containerd/containerd/v2/core/snapshots"
	"github.com/containerd/containerd/v2/pkg/namespaces"
	"github.com/containerd/errdefs"
	"github.com/vishvananda/netns"
)

// containerd calls do with a client of the instance's private containerd.
func (f *fairlead) containerd(do func(context.Context, *client.Client) error) {
	f.t.Helper()
	hash := fmt.Sprintf("%x", sha256.Sum256([]byte(filepath.Join(f.dir, "containerd"))))[:12]
	c, err := client.New(filepath.Join("/run/fairlead", hash, "containerd.sock"),
		client.WithTimeout(10*time.Second))
	if err != nil {
		f.t.Fatal(err)
	}
	defer c.Close()
	ctx, cancel := context.WithTimeout(f.t.Context(), 10*time.Second)
	defer cancel()
	if err := do(namespaces.WithNamespace(ctx, "fairlead-"+f.tag()), c); err != nil {
		f.t.Fatal(err)
	}
}

// pids lists the containers with the process of each, 0 for one that has none.
func (f *fairlead) pids() map[string]int {
	f.t.Helper()
	all := map[string]int{}
	f.containerd(func(ctx context.Context, c *client.Client) error {
		containers, err := c.Containers(ctx)
		if err != nil {
			return fmt.Errorf("list containers: %w", err)
		}
		for _, container := range containers {
			task, err := container.Task(ctx, nil)
			switch {
			case errdefs.IsNotFound(err):
				all[container.ID()] = 0
			case err != nil:
				return fmt.Errorf("look at container %s: %w", container.ID(), err)
			default:
				all[container.ID()] = int(task.Pid())
			}
		}
		return nil
	})
	return all
}

// pid is the process of a task's first container.
func (f *fairlead) pid(taskID string) int {
	f.t.Helper()
	pid := f.pids()[taskID+"-0"]
	if pid == 0 {
		f.t.Fatalf("task %s has no process", taskID)
	}
	return pid
}

// nothingRuns fails the test when a service, task or load balancer, a container or a container's
// snapshot is left. Snapshots of images stay.
func (f *fairlead) nothingRuns() {
	f.t.Helper()
	status := f.status()
	if len(status.Services)+len(status.Tasks)+len(status.LoadBalancers) > 0 {
		f.t.Errorf("still there: %+v", status)
	}
	eventually(f.t, "containerd has nothing left", func() (left error) {
		f.containerd(func(ctx context.Context, c *client.Client) error {
			containers, err := c.Containers(ctx)
			if err != nil {
				return err
			}
			for _, container := range containers {
				left = fmt.Errorf("container %s", container.ID())
			}
			return c.SnapshotService("").Walk(ctx, func(_ context.Context, s snapshots.Info) error {
				if s.Kind == snapshots.KindActive {
					left = fmt.Errorf("snapshot %s", s.Name)
				}
				return nil
			})
		})
		return left
	})
}

// vpcNamespace and eniNamespace are where the network namespaces of a VPC and of a network
// interface are mounted.
func (p *process) vpcNamespace(id string) string { return filepath.Join(p.dir, "net", "vpc", id) }
func (p *process) eniNamespace(id string) string { return filepath.Join(p.dir, "net", "eni", id) }

// clientIn makes its connections in the network namespace mounted at path, a new one per request.
func clientIn(t *testing.T, path string) *http.Client {
	t.Helper()
	transport := &http.Transport{
		DisableKeepAlives: true,
		DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
			return dialIn(ctx, path, network, address)
		},
	}
	return &http.Client{Transport: transport, Timeout: 5 * time.Second}
}

func dialIn(ctx context.Context, path, network, address string) (conn net.Conn, err error) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread() // and never unlocked: the thread ends with the goroutine
		var namespace netns.NsHandle
		if namespace, err = netns.GetFromPath(path); err != nil {
			return
		}
		defer namespace.Close()
		if err = netns.Set(namespace); err == nil {
			conn, err = new(net.Dialer).DialContext(ctx, network, address)
		}
	}()
	<-done
	return conn, err
}
