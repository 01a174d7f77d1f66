package plan

import (
	"maps"
	"time"

	"fairlead/internal/api/ecs"
	"fairlead/internal/aws"
	"fairlead/internal/row"
)

// PlatformVersion is what LATEST stands for.
const PlatformVersion = "1.4.0"

// Birth is what a new task is made from.
type Birth struct {
	ID         string // 32 hex digits
	Cluster    row.Cluster
	Definition row.TaskDefinition
	Spec       row.ServiceSpec
	Subnet     Subnet
	Provider   string // capacity provider; empty for the spec's launch type
	Now        time.Time
}

// NewTask returns the row of a task that is about to live. Who it belongs to, its tags and overrides
// are the caller's to add.
func NewTask(b Birth) row.Task {
	sc := b.Cluster.Scope
	t := row.Task{
		Scope: sc, ID: b.ID, ARN: sc.ARN("ecs", "task/"+b.Cluster.Name+"/"+b.ID),
		Cluster: b.Cluster.ARN, TaskDefinition: b.Definition.ARN,
		Group:            "family:" + aws.Val(b.Definition.Definition.Family),
		LaunchType:       ecs.LaunchTypeFARGATE,
		CapacityProvider: b.Provider,
		PlatformVersion:  PlatformVersion,
		CPU:              aws.Val(b.Definition.Definition.Cpu),
		Memory:           aws.Val(b.Definition.Definition.Memory),
		Zone:             b.Subnet.Zone,
		LoadBalancers:    b.Spec.LoadBalancers,
		CreatedAt:        b.Now,
		DesiredStatus:    row.TaskRunning,
		LastStatus:       row.TaskProvisioning,
		HealthStatus:     string(ecs.HealthStatusUNKNOWN),
		Version:          1,
	}
	if n := b.Spec.Network; n != nil {
		t.Network = &row.TaskNetwork{
			Subnet:         b.Subnet.ID,
			SecurityGroups: n.AwsvpcConfiguration.SecurityGroups,
			AssignPublicIP: n.AwsvpcConfiguration.AssignPublicIp == ecs.AssignPublicIpENABLED,
		}
	}
	return t
}

// TaskTags are the tags of a new task: its own, those of what it propagates from, and the two that
// ECS manages when asked to.
// https://docs.aws.amazon.com/AmazonECS/latest/developerguide/ecs-using-tags.html
func TaskTags(own, propagated row.Tags, managed bool, cluster, service string) row.Tags {
	tags := row.Tags{}
	maps.Copy(tags, propagated)
	maps.Copy(tags, own)
	if managed {
		tags["aws:ecs:clusterName"] = cluster
		if service != "" {
			tags["aws:ecs:serviceName"] = service
		}
	}
	return tags
}
