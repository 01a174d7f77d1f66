package node

import (
	"cmp"
	"context"
	"strconv"
	"sync"
	"time"

	"fairlead/internal/aws"
	"fairlead/internal/node/metadata"
	"fairlead/internal/row"
	"fairlead/internal/runtime"
)

// The task's handle is what the endpoints at 169.254.170.2 read, through the copy that publish makes.
var _ metadata.Source = (*Containers)(nil)

// serveMetadata lets the task's containers ask, unless they can already. A task whose endpoint cannot
// be opened runs on without it; the next look tries again.
func (t *Containers) serveMetadata() {
	if t.unserve != nil || t.node.cfg.Endpoints == nil || t.task.ENI == "" {
		return
	}
	t.publish()
	stop, err := t.node.cfg.Endpoints.Serve(t.task, metadata.Handler(t))
	if err != nil {
		t.node.cfg.Logger.Warn("open the task metadata endpoint", "task", t.task.ID, "err", err)
		return
	}
	t.unserve = stop
}

// stopMetadata ends what serveMetadata began.
func (t *Containers) stopMetadata() {
	if t.unserve != nil {
		t.unserve()
		t.unserve = nil
	}
}

// metadataEnv tells a container where to ask.
func (t *Containers) metadataEnv(id string) []string {
	if t.node.cfg.Endpoints == nil {
		return nil
	}
	base := "http://" + metadata.Address
	env := []string{
		"ECS_CONTAINER_METADATA_URI=" + base + "/v3/" + id,
		"ECS_CONTAINER_METADATA_URI_V4=" + base + "/v4/" + id,
	}
	if t.role() != "" {
		env = append(env, "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI="+metadata.CredentialsPath+t.credentialsID())
	}
	return env
}

// role is the ARN of the task role; empty for none.
func (t *Containers) role() string {
	if o := t.task.Overrides; o != nil && o.TaskRoleArn != nil {
		return *o.TaskRoleArn
	}
	return aws.Val(t.def.TaskRoleArn)
}

// credentialsID is a UUID that only the task's containers learn; nobody else reaches the endpoint.
func (t *Containers) credentialsID() string { return t.task.Attachment.ID }

// renewBefore is how long before their end credentials are replaced: SDKs ask 5 to 15 minutes ahead.
const renewBefore = 20 * time.Minute

// roleKeys are the credentials that the task was given last.
type roleKeys struct {
	mu   sync.Mutex // guards last
	last metadata.Credentials
}

// Credentials implements metadata.Source.
func (t *Containers) Credentials(id string) (metadata.Credentials, bool) {
	if t.role() == "" || id != t.credentialsID() || t.node.cfg.AssumeRole == nil {
		return metadata.Credentials{}, false
	}
	t.keys.mu.Lock()
	defer t.keys.mu.Unlock()
	if t.node.cfg.Now().Before(t.keys.last.Expiration.Add(-renewBefore)) {
		return t.keys.last, true
	}
	c, err := t.node.cfg.AssumeRole(t.ctx, t.task.Scope, t.role(), t.task.ID)
	if err != nil {
		t.node.cfg.Logger.Warn("assume the task role", "task", t.task.ID, "role", t.role(), "err", err)
		return metadata.Credentials{}, false
	}
	t.keys.last = c
	return c, true
}

// Task implements metadata.Source.
func (t *Containers) Task() metadata.Task { return *t.published.Load() }

// Stats implements metadata.Source.
func (t *Containers) Stats(ctx context.Context, id string) (runtime.Stats, error) {
	return t.node.cfg.Runtime.Stats(ctx, id)
}

// publish makes a copy of what is known now for the endpoint's readers.
func (t *Containers) publish() {
	out := metadata.Task{
		Cluster: t.task.Cluster, TaskARN: t.task.ARN, Family: aws.Val(t.def.Family),
		Revision: strconv.Itoa(int(aws.Val(t.def.Revision))), DesiredStatus: t.desired(),
		KnownStatus: t.known(), AvailabilityZone: t.task.Zone, LaunchType: string(t.task.LaunchType),
		PullStartedAt: t.task.PullStartedAt, PullStoppedAt: t.task.PullStoppedAt,
		TaskTags: t.task.Tags, ServiceName: serviceName(t.task.Group),
	}
	if cpu, memory := size(t.task.CPU), size(t.task.Memory); cpu+memory > 0 {
		out.Limits = &metadata.TaskLimits{CPU: float64(cpu) / runtime.CPUUnitsPerCore, Memory: memory}
	}
	for i, c := range t.all {
		out.Containers = append(out.Containers, t.describe(c, t.states[i]))
	}
	t.published.Store(&out)
}

// serviceName is what follows "service:" in the group of a service's task.
func serviceName(group string) string {
	const prefix = "service:"
	if len(group) > len(prefix) && group[:len(prefix)] == prefix {
		return group[len(prefix):]
	}
	return ""
}

func (t *Containers) desired() string {
	if len(t.deadline) > 0 {
		return containerStopped
	}
	return containerRunning
}

// known is the least advanced status of the containers, as the agent has it.
func (t *Containers) known() string {
	status := containerRunning
	for _, s := range t.states {
		if s.LastStatus == containerPending {
			status = containerPending
		}
	}
	return status
}

func (t *Containers) describe(c container, s row.TaskContainer) metadata.Container {
	out := metadata.Container{
		DockerID: s.RuntimeID, Name: s.Name, DockerName: "ecs-" + aws.Val(t.def.Family) + "-" + s.Name,
		Image: s.Image, ImageID: s.ImageDigest, Labels: t.labels(c), DesiredStatus: t.desired(),
		KnownStatus: s.LastStatus, ExitCode: s.ExitCode, Type: "NORMAL", ContainerARN: s.ARN,
		Limits:    metadata.ContainerLimits{CPU: int64(aws.Val(c.Cpu)), Memory: int64(aws.Val(c.Memory))},
		CreatedAt: s.StartedAt, StartedAt: s.StartedAt, FinishedAt: s.FinishedAt,
	}
	if c.HealthCheck != nil {
		out.Health = &metadata.Health{Status: cmp.Or(s.HealthStatus, unknown)}
	}
	if c.LogConfiguration != nil {
		out.LogDriver, out.LogOptions = string(c.LogConfiguration.LogDriver), c.LogConfiguration.Options
	}
	if c.RestartPolicy != nil {
		out.RestartCount = new(s.Restarts)
	}
	if a := t.task.Attachment; a != nil {
		out.Networks = []metadata.Network{{
			NetworkMode: "awsvpc", IPv4Addresses: []string{a.Address}, MACAddress: a.MAC,
			DomainNameServers: t.node.cfg.Nameservers, PrivateDNSName: t.hostname(),
		}}
	}
	return out
}
