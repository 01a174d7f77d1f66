// Package metadata serves what a container can ask at 169.254.170.2: the task metadata endpoint
// (versions 3 and 4), statistics, and the credentials of the task role.
//
// It is an HTTP handler over a Source; who listens, and in which network namespace, is not its
// business. Documents are those of the ECS agent.
// https://docs.aws.amazon.com/AmazonECS/latest/developerguide/task-metadata-endpoint-v4-fargate.html
package metadata

import (
	"context"
	"time"

	"fairlead/internal/runtime"
)

// Address is where containers ask, and CredentialsPath what precedes the id of credentials.
const (
	Address         = "169.254.170.2"
	CredentialsPath = "/v2/credentials/"
)

// Source tells about one task. Its methods are called from many goroutines.
type Source interface {
	// Task is the task as it is known now, with its containers in the order of the definition.
	Task() Task
	// Stats measures the container with this DockerId.
	Stats(ctx context.Context, id string) (runtime.Stats, error)
	// Credentials are those with this id; ok is false when the task has none of it.
	Credentials(id string) (c Credentials, ok bool)
}

// Task is the answer of /v4/ID/task.
type Task struct {
	Cluster            string
	TaskARN            string
	Family             string
	Revision           string
	DesiredStatus      string
	KnownStatus        string
	Limits             *TaskLimits `json:",omitempty"`
	PullStartedAt      *time.Time  `json:",omitempty"`
	PullStoppedAt      *time.Time  `json:",omitempty"`
	ExecutionStoppedAt *time.Time  `json:",omitempty"`
	AvailabilityZone   string      `json:",omitempty"`
	LaunchType         string
	ServiceName        string            `json:",omitempty"`
	TaskTags           map[string]string `json:",omitempty"` // taskWithTags only
	Containers         []Container
}

// TaskLimits are the task's size: vCPUs and MiB.
type TaskLimits struct {
	CPU    float64 `json:",omitempty"`
	Memory int64   `json:",omitempty"`
}

// Container is the answer of /v4/ID.
type Container struct {
	DockerID      string `json:"DockerId"`
	Name          string
	DockerName    string
	Image         string
	ImageID       string `json:",omitempty"`
	Labels        map[string]string
	DesiredStatus string
	KnownStatus   string
	ExitCode      *int32 `json:",omitempty"`
	Limits        ContainerLimits
	CreatedAt     *time.Time        `json:",omitempty"`
	StartedAt     *time.Time        `json:",omitempty"`
	FinishedAt    *time.Time        `json:",omitempty"`
	Type          string            // NORMAL
	Health        *Health           `json:",omitempty"`
	LogDriver     string            `json:",omitempty"`
	LogOptions    map[string]string `json:",omitempty"`
	ContainerARN  string
	RestartCount  *int      `json:",omitempty"`
	Networks      []Network `json:",omitempty"`
}

// ContainerLimits are the container's own size: CPU units and MiB.
type ContainerLimits struct {
	CPU    int64
	Memory int64 `json:",omitempty"`
}

// Health is the state of a container's health check.
type Health struct {
	Status string `json:"status"`
}

// Network is the task's network interface.
type Network struct {
	NetworkMode              string
	IPv4Addresses            []string
	AttachmentIndex          int
	MACAddress               string
	IPv4SubnetCIDRBlock      string   `json:",omitempty"`
	DomainNameServers        []string `json:",omitempty"`
	PrivateDNSName           string
	SubnetGatewayIpv4Address string `json:",omitempty"`
}

// Credentials are the temporary keys of a role.
type Credentials struct {
	RoleArn         string
	AccessKeyID     string `json:"AccessKeyId"`
	SecretAccessKey string
	Token           string
	Expiration      time.Time
}
