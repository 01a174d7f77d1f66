package node

import (
	"context"
	"errors"

	"fairlead/internal/api/ecs"
	"fairlead/internal/aws"
	"fairlead/internal/runtime"
)

// A tag can move on while a task lives. So a task's containers are made of the image by its digest,
// which the node pins: it stays there under that name for as long as a task or a deployment needs
// it. The built-in image cannot change under its tag.

// Pull makes every image available: the one of a given digest where pins has one for the container,
// else the one that the tag means now. A *Failure will not go away.
func (t *Containers) Pull(ctx context.Context, pins map[string]string) error {
	if err := t.writeFiles(); err != nil {
		return err
	}
	for i, c := range t.all {
		digest, err := t.pull(ctx, c, pins[c.name()])
		if f, ok := errors.AsType[*runtime.Failure](err); ok {
			return t.fail(i, f.Error())
		}
		if err != nil {
			return err
		}
		t.states[i].ImageDigest = digest
	}
	return nil
}

// pull makes the image of one container available, and pins it.
func (t *Containers) pull(ctx context.Context, c container, pin string) (digest string, err error) {
	images := t.node.cfg.Runtime
	if pin == "" || !c.consistent() || !c.movable() {
		found, err := images.EnsureImage(ctx, aws.Val(c.Image), runtime.Pull{})
		if err != nil || !c.movable() {
			return found.Digest, err
		}
		pin = found.Digest
	}
	t.node.pin(t, pin)
	found, err := images.EnsureImage(ctx, runtime.Pinned(aws.Val(c.Image), pin), runtime.Pull{Pin: true})
	return found.Digest, err
}

// consistent tells whether all tasks of a deployment are to run the same image.
// https://docs.aws.amazon.com/AmazonECS/latest/developerguide/deployment-type-ecs.html
func (c container) consistent() bool {
	return c.VersionConsistency != ecs.VersionConsistencyDisabled
}

// movable tells whether the container's image is named by a tag that can come to mean another.
func (c container) movable() bool {
	image := aws.Val(c.Image)
	return !builtIn(image) && !runtime.ByDigest(image)
}

// image is the reference that the container is created of.
func (t *Containers) image(c container) string {
	digest := t.states[c.index].ImageDigest
	if digest == "" || !c.movable() {
		return aws.Val(c.Image)
	}
	return runtime.Pinned(aws.Val(c.Image), digest)
}

// Resolved is what the image of a container was found to be.
type Resolved struct {
	Container, Digest string
	// Movable is whether it is named by a tag that can come to mean another image.
	Movable bool
}

// Resolved returns what was pulled, without the containers that opt out of versionConsistency.
func (t *Containers) Resolved() (found []Resolved) {
	for i, c := range t.all {
		if c.consistent() {
			found = append(found, Resolved{c.name(), t.states[i].ImageDigest, c.movable()})
		}
	}
	return found
}

// pin keeps PruneImages away from an image until the handle is closed.
func (n *Node) pin(t *Containers, digest string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.open[t] = append(n.open[t], digest)
}

// PruneImages removes the pinned images that neither an open handle nor, by its digest, anybody else
// needs.
func (n *Node) PruneImages(ctx context.Context, needed func(digest string) bool) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	mine := map[string]bool{}
	for _, digests := range n.open {
		for _, digest := range digests {
			mine[digest] = true
		}
	}
	images, err := n.cfg.Runtime.ListImages(ctx)
	if err != nil {
		return err
	}
	for _, image := range images {
		if !image.Pinned || mine[image.Digest] || needed(image.Digest) {
			continue
		}
		if err := n.cfg.Runtime.RemoveImage(ctx, image.Ref); err != nil {
			return err
		}
	}
	return nil
}
