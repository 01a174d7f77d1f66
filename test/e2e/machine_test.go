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

// containerdSocket is the socket of the instance's private containerd.
func (p *process) containerdSocket() string {
	hash := fmt.Sprintf("%x", sha256.Sum256([]byte(filepath.Join(p.dir, "containerd"))))[:12]
	return filepath.Join("/run/fairlead", hash, "containerd.sock")
}

// containerd calls do with a client of the instance's private containerd.
func (f *fairlead) containerd(do func(context.Context, *client.Client) error) {
	f.t.Helper()
	c, err := client.New(f.containerdSocket(), client.WithTimeout(10*time.Second))
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

// nothingRuns fails the test when a service, task or load balancer, a container or a snapshot is
// left. Only images that were pulled or loaded would keep theirs, and the tests have none.
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
				left = fmt.Errorf("snapshot %s", s.Name)
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

// dialIn has a thread enter the namespace and come back. One that stayed there could be the first
// thread of the process, by which /proc/self shows the process.
func dialIn(ctx context.Context, path, network, address string) (net.Conn, error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	home, err := netns.Get()
	if err != nil {
		return nil, fmt.Errorf("open the thread's network namespace: %w", err)
	}
	defer home.Close()
	there, err := netns.GetFromPath(path)
	if err != nil {
		return nil, fmt.Errorf("open the network namespace %s: %w", path, err)
	}
	defer there.Close()
	if err := netns.Set(there); err != nil {
		return nil, fmt.Errorf("enter the network namespace %s: %w", path, err)
	}
	conn, err := new(net.Dialer).DialContext(ctx, network, address)
	if back := netns.Set(home); back != nil {
		panic(back) // the thread is of no more use to anybody
	}
	return conn, err
}
