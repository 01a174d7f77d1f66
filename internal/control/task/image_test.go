package task

import (
	"log/slog"
	"strings"
	"testing"
	"time"

	"fairlead/internal/api/ecs"
	"fairlead/internal/node"
	"fairlead/internal/row"
	"fairlead/internal/runtime"
	"fairlead/internal/runtime/fake"
	"fairlead/internal/state"
	"fairlead/internal/state/statetest"
)

const service = "arn:aws:ecs:eu-west-1:123456789012:service/c/web"

// deploy makes a deployment of the service, with its revision.
func (w *world) deploy(id string) {
	w.t.Helper()
	statetest.Update(w.t, w.store, func(tx *state.Tx) {
		row.Deployments.Put(tx, row.Deployment{Service: service, ID: id, Revision: "revision/" + id})
		row.ServiceRevisions.Put(tx, row.ServiceRevision{ARN: "revision/" + id, Service: service})
	})
}

// push makes the tag mean another image, as a build does.
func (w *world) push(digest string) {
	w.runtime.AddImage(runtime.Image{Ref: "shop/web:1", Digest: digest}, fake.Hello)
}

// digests runs a task of a deployment, or a standalone one, and returns the digests of its images.
func (w *world) digests(n int, deployment string) string {
	w.t.Helper()
	id := strings.Repeat(string(rune('a'+n)), len(theID))
	arn := strings.Replace(taskARN, theID, id, 1)
	w.run(func(t *row.Task) {
		t.ARN, t.ID = arn, id
		if deployment != "" {
			t.Service, t.Deployment = service, deployment
		}
	})
	var found []string
	w.awaitTask(arn, "RUNNING", func(t row.Task) bool {
		found = nil
		for _, c := range t.Containers {
			status, err := w.runtime.Status(w.t.Context(), c.RuntimeID)
			if err != nil || status.Digest != c.ImageDigest {
				return false // not created yet
			}
			found = append(found, c.ImageDigest)
		}
		return t.LastStatus == row.TaskRunning
	})
	return strings.Join(found, " ")
}

// TestTasksOfADeploymentRunOneImage: what the first task finds behind a tag, all tasks of the
// revision run, however often the tag moves; a container may opt out.
func TestTasksOfADeploymentRunOneImage(t *testing.T) {
	free := ecs.ContainerDefinition{Name: new("free"), Image: new("shop/web:1"),
		VersionConsistency: ecs.VersionConsistencyDisabled}
	pinned := ecs.ContainerDefinition{Name: new("pinned"), Image: new("shop/web:1")}
	w := newWorld(t, pinned, free, app())
	hello := "sha256:" + strings.Repeat("0", 64)
	w.runtime.AddImage(runtime.Image{Ref: "fairlead/hello", Digest: hello}, fake.Hello)
	w.deploy("ecs-svc/1")
	w.push("sha256:v1")
	check := func(n int, deployment, want string) {
		t.Helper()
		if got := w.digests(n, deployment); got != want+" "+hello {
			t.Errorf("a task of %q runs %s, want %s", deployment, got, want)
		}
	}
	check(0, "ecs-svc/1", "sha256:v1 sha256:v1")
	w.push("sha256:v2")
	check(1, "ecs-svc/1", "sha256:v1 sha256:v2")
	w.deploy("ecs-svc/2") // as forceNewDeployment does
	check(2, "ecs-svc/2", "sha256:v2 sha256:v2")
	w.push("sha256:v3")
	w.stop()
	w.launch() // a restart forgets nothing
	check(3, "ecs-svc/1", "sha256:v1 sha256:v3")
	check(4, "", "sha256:v3 sha256:v3")
	revision, _ := row.ServiceRevisions.Get(w.store.View(), "revision/ecs-svc/1")
	if len(revision.Images) != 2 || revision.Images["pinned"] != "sha256:v1" ||
		revision.Images["app"] != hello {
		t.Errorf("the revision's images are %v", revision.Images)
	}
}

// TestFirstTaskDecides: of two tasks that find different images behind a tag, the one that writes
// first is right, and the other writes nothing.
func TestFirstTaskDecides(t *testing.T) {
	w := newWorld(t)
	w.deploy("ecs-svc/1")
	task := row.Task{Service: service, Deployment: "ecs-svc/1"}
	for _, c := range []struct {
		found []node.Resolved
		want  bool
		image string
	}{
		{[]node.Resolved{{Container: "a", Digest: "1", Movable: true}}, true, "1"},
		{[]node.Resolved{{Container: "a", Digest: "2", Movable: true}}, false, "1"},
		{[]node.Resolved{{Container: "a", Digest: "1", Movable: true}}, true, "1"},
		{[]node.Resolved{{Container: "a", Digest: "3"}}, true, "3"}, // built in, after an upgrade
	} {
		statetest.Update(t, w.store, func(tx *state.Tx) {
			if got := resolve(tx, task, c.found); got != c.want {
				t.Errorf("%+v: %v, want %v", c.found, got, c.want)
			}
		})
		revision, _ := row.RevisionOf(w.store.View(), task)
		if revision.Images["a"] != c.image {
			t.Errorf("after %+v: %v, want %s", c.found, revision.Images, c.image)
		}
	}
}

// TestPinnedImagesGo when neither a task nor a deployment needs them; what a tag names stays.
func TestPinnedImagesGo(t *testing.T) {
	w := newWorld(t, ecs.ContainerDefinition{Name: new("app"), Image: new("shop/web:1")})
	w.deploy("ecs-svc/1")
	w.push("sha256:v1")
	w.digests(0, "ecs-svc/1")
	w.push("sha256:v2")
	w.digests(1, "")
	w.stop()
	node := node.New(node.Config{Runtime: w.runtime, Dir: t.TempDir(), Now: time.Now})
	c := New(Config{Store: w.store, Node: node, Now: time.Now})
	images := func() string {
		t.Helper()
		needed := c.neededImages()
		err := node.PruneImages(t.Context(), func(digest string) bool { return needed[digest] })
		if err != nil {
			t.Fatal(err)
		}
		list, err := w.runtime.ListImages(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		var refs []string
		for _, image := range list {
			refs = append(refs, strings.TrimPrefix(image.Ref, "docker.io/shop/web"))
		}
		return strings.Join(refs, " ")
	}
	if got := images(); got != ":1 @sha256:v1 @sha256:v2" {
		t.Errorf("with tasks: %s", got)
	}
	statetest.Update(t, w.store, func(tx *state.Tx) {
		for task := range row.Tasks.Scan(tx, "") {
			row.Tasks.Delete(tx, task.ARN)
		}
	})
	if got := images(); got != ":1 @sha256:v1" {
		t.Errorf("with a deployment: %s", got)
	}
	statetest.Update(t, w.store, func(tx *state.Tx) {
		row.Deployments.Delete(tx, row.Deployment{Service: service, ID: "ecs-svc/1"}.Key())
	})
	if got := images(); got != ":1" {
		t.Errorf("without: %s", got)
	}
}

// TestBuiltInImageWaitsForOpenTasks: after a restart, tidying may come before the worker of a task that
// has pulled its image and not created a container of it.
func TestBuiltInImageWaitsForOpenTasks(t *testing.T) {
	w := newWorld(t, app())
	w.stop()
	if _, err := w.runtime.EnsureImage(t.Context(), runtime.HelloImage, runtime.Pull{}); err != nil {
		t.Fatal(err)
	}
	logger := slog.New(slog.DiscardHandler)
	n := node.New(node.Config{Runtime: w.runtime, Dir: t.TempDir(), Logger: logger, Now: time.Now})
	c := New(Config{Store: w.store, Node: n, Logger: logger, Now: time.Now})
	images := func() int {
		t.Helper()
		if err := c.prune(t.Context()); err != nil {
			t.Fatal(err)
		}
		list, err := w.runtime.ListImages(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return len(list)
	}
	w.run(func(task *row.Task) { task.LastStatus = row.TaskPending })
	if got := images(); got != 1 {
		t.Errorf("%d images while a task is open, want 1", got)
	}
	w.run(func(task *row.Task) { task.LastStatus = row.TaskStopped })
	if got := images(); got != 0 {
		t.Errorf("%d images after the last task, want none", got)
	}
}
