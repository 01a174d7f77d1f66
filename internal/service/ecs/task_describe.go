package ecs

import (
	"context"
	"runtime"
	"slices"
	"strconv"
	"strings"

	"fairlead/internal/api/ecs"
	"fairlead/internal/aws"
	"fairlead/internal/row"
	"fairlead/internal/state"
)

// DescribeTasks describes tasks of any status, until they are forgotten.
func (s *Service) DescribeTasks(
	ctx context.Context, in *ecs.DescribeTasksInput,
) (*ecs.DescribeTasksOutput, error) {
	switch n := len(in.Tasks); {
	case n == 0:
		return nil, invalid("Tasks cannot be empty.")
	case n > maxDescribed:
		return nil, invalid("Tasks cannot have more than %d elements.", maxDescribed)
	}
	view, c := s.store.View(), aws.CallerFrom(ctx)
	cluster, err := liveCluster(view, c, in.Cluster)
	if err != nil {
		return nil, err
	}
	tags := slices.Contains(in.Include, ecs.TaskFieldTAGS)
	out := &ecs.DescribeTasksOutput{Tasks: []ecs.Task{}, Failures: []ecs.Failure{}}
	for _, ref := range in.Tasks {
		arn := memberARN(c, cluster.ARN, "task", ref)
		t, ok := row.Tasks.Get(view, arn)
		if !ok || t.Cluster != cluster.ARN {
			out.Failures = append(out.Failures, missing(arn))
			continue
		}
		out.Tasks = append(out.Tasks, describeTask(view, t, tags))
	}
	return out, nil
}

// ShowTask is a task as DescribeTasks shows it without tags, for events.
func ShowTask(r state.Reader, t row.Task) ecs.Task { return describeTask(r, t, false) }

func describeTask(r state.Reader, t row.Task, tags bool) ecs.Task {
	def, _ := row.TaskDefinitions.Get(r, t.TaskDefinition)
	out := ecs.Task{
		TaskArn: &t.ARN, ClusterArn: &t.Cluster, TaskDefinitionArn: &t.TaskDefinition,
		Group: &t.Group, StartedBy: optional(t.StartedBy),
		CapacityProviderName: optional(t.CapacityProvider),
		LaunchType:           t.LaunchType, PlatformVersion: &t.PlatformVersion,
		PlatformFamily: new("Linux"), Cpu: &t.CPU, Memory: &t.Memory,
		DesiredStatus: &t.DesiredStatus, LastStatus: &t.LastStatus,
		HealthStatus: ecs.HealthStatus(t.HealthStatus),
		StopCode:     t.StopCode, StoppedReason: optional(t.StoppedReason),
		AvailabilityZone:     optional(t.Zone),
		EnableExecuteCommand: &t.EnableExecuteCommand,
		CreatedAt:            &t.CreatedAt, ConnectivityAt: t.ConnectivityAt,
		PullStartedAt: t.PullStartedAt, PullStoppedAt: t.PullStoppedAt, StartedAt: t.StartedAt,
		StoppingAt: t.StoppingAt, ExecutionStoppedAt: t.ExecutionStoppedAt, StoppedAt: t.StoppedAt,
		Version:          &t.Version,
		Attributes:       []ecs.Attribute{{Name: new("ecs.cpu-architecture"), Value: new(architecture())}},
		Attachments:      describeAttachment(t),
		Containers:       describeContainers(t, def.Definition),
		Overrides:        describeOverrides(t.Overrides, def.Definition),
		EphemeralStorage: ephemeral(t, def.Definition),
	}
	if t.ConnectivityAt != nil {
		out.Connectivity = ecs.ConnectivityCONNECTED
	}
	if tags {
		out.Tags = tagList(t.Tags)
	}
	return out
}

// optional is a member that is absent when it is empty.
func optional(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}

func architecture() string {
	if runtime.GOARCH == "amd64" {
		return "x86_64"
	}
	return runtime.GOARCH
}

// defaultEphemeralGiB is the storage of a task that asks for none.
const defaultEphemeralGiB = 20

func ephemeral(t row.Task, def ecs.TaskDefinition) *ecs.EphemeralStorage {
	switch {
	case t.Overrides != nil && t.Overrides.EphemeralStorage != nil:
		return t.Overrides.EphemeralStorage
	case def.EphemeralStorage != nil:
		return def.EphemeralStorage
	}
	return &ecs.EphemeralStorage{SizeInGiB: new(int32(defaultEphemeralGiB))}
}

func describeAttachment(t row.Task) []ecs.Attachment {
	if t.Attachment == nil {
		return []ecs.Attachment{}
	}
	a := *t.Attachment
	details := []ecs.KeyValuePair{{Name: new("subnetId"), Value: &a.Subnet}}
	add := func(name, value string) {
		if value != "" {
			details = append(details, ecs.KeyValuePair{Name: &name, Value: &value})
		}
	}
	add("networkInterfaceId", a.ENI)
	add("macAddress", a.MAC)
	if a.Address != "" {
		add("privateDnsName", "ip-"+strings.ReplaceAll(a.Address, ".", "-")+"."+dnsDomain(t.Region))
	}
	add("privateIPv4Address", a.Address)
	return []ecs.Attachment{{
		Id: &a.ID, Type: new("ElasticNetworkInterface"), Status: &a.Status, Details: details,
	}}
}

// dnsDomain is where the private names of a region's addresses are.
func dnsDomain(region string) string {
	if region == "us-east-1" {
		return "ec2.internal"
	}
	return region + ".compute.internal"
}

// describeContainers shows what is known of the containers; before the task controller has looked
// at the task, what is known is its definition.
func describeContainers(t row.Task, def ecs.TaskDefinition) []ecs.Container {
	list := []ecs.Container{}
	for i, d := range def.ContainerDefinitions {
		c := ecs.Container{
			TaskArn: &t.ARN, Name: d.Name, Image: d.Image, LastStatus: new(row.TaskPending),
			HealthStatus:    ecs.HealthStatusUNKNOWN,
			NetworkBindings: []ecs.NetworkBinding{}, NetworkInterfaces: interfaces(t),
			Cpu: new(strconv.Itoa(int(aws.Val(d.Cpu)))),
		}
		if d.Memory != nil {
			c.Memory = new(strconv.Itoa(int(*d.Memory)))
		}
		if d.MemoryReservation != nil {
			c.MemoryReservation = new(strconv.Itoa(int(*d.MemoryReservation)))
		}
		if i < len(t.Containers) {
			observed(&c, t.Containers[i])
			c.ManagedAgents = describeAgents(t, t.Containers[i])
		}
		list = append(list, c)
	}
	return list
}

func observed(c *ecs.Container, k row.TaskContainer) {
	c.ContainerArn, c.RuntimeId = optional(k.ARN), optional(k.RuntimeID)
	c.Image, c.ImageDigest = &k.Image, optional(k.ImageDigest)
	c.LastStatus, c.Reason, c.ExitCode = &k.LastStatus, optional(k.Reason), k.ExitCode
	if k.HealthStatus != "" {
		c.HealthStatus = ecs.HealthStatus(k.HealthStatus)
	}
}

func interfaces(t row.Task) []ecs.NetworkInterface {
	if t.Attachment == nil || t.Attachment.Address == "" {
		return []ecs.NetworkInterface{}
	}
	return []ecs.NetworkInterface{{
		AttachmentId: &t.Attachment.ID, PrivateIpv4Address: &t.Attachment.Address,
	}}
}

// describeOverrides has an entry for every container, as AWS shows it.
func describeOverrides(o *ecs.TaskOverride, def ecs.TaskDefinition) *ecs.TaskOverride {
	out := aws.Val(o)
	given := out.ContainerOverrides
	out.ContainerOverrides = []ecs.ContainerOverride{}
	out.InferenceAcceleratorOverrides = []ecs.InferenceAcceleratorOverride{}
	for _, d := range def.ContainerDefinitions {
		at := slices.IndexFunc(given, func(g ecs.ContainerOverride) bool {
			return aws.Val(g.Name) == *d.Name
		})
		entry := ecs.ContainerOverride{Name: d.Name}
		if at >= 0 {
			entry = given[at]
		}
		out.ContainerOverrides = append(out.ContainerOverrides, entry)
	}
	return &out
}

// ListTasks lists the tasks of a cluster that pass every filter.
func (s *Service) ListTasks(
	ctx context.Context, in *ecs.ListTasksInput,
) (*ecs.ListTasksOutput, error) {
	view, c := s.store.View(), aws.CallerFrom(ctx)
	cluster, err := liveCluster(view, c, in.Cluster)
	if err != nil {
		return nil, err
	}
	if err := checkTaskFilters(in); err != nil {
		return nil, err
	}
	tasks := row.Tasks.By(view, "cluster", cluster.ARN)
	if in.ServiceName != nil {
		svc, err := findService(view, c, in.Cluster, in.ServiceName)
		if err != nil {
			return nil, err
		}
		tasks = row.Tasks.By(view, "service", svc.ARN)
	}
	var arns []string
	for t := range tasks {
		if taskListed(t, in) {
			arns = append(arns, t.ARN)
		}
	}
	page, next, err := paginate(arns, itself, paging{in.NextToken, in.MaxResults, maxPage, maxPage})
	return &ecs.ListTasksOutput{TaskArns: orEmpty(page), NextToken: next}, err
}

func checkTaskFilters(in *ecs.ListTasksInput) error {
	others := in.Family != nil || in.ServiceName != nil || in.ContainerInstance != nil
	switch {
	case in.StartedBy != nil && others:
		return invalid("The startedBy filter must be the only filter that you use.")
	case in.DaemonName != nil:
		return unserved("daemons (daemonName)")
	}
	return nil
}

func taskListed(t row.Task, in *ecs.ListTasksInput) bool {
	desired := string(in.DesiredStatus)
	if desired == "" {
		desired = row.TaskRunning
	}
	family := t.TaskDefinition
	if in.Family != nil {
		name, _, _ := splitDefinition(t.TaskDefinition)
		family = name
	}
	return t.DesiredStatus == desired &&
		in.ContainerInstance == nil &&
		aws.Or(in.Family, family) == family &&
		aws.Or(in.StartedBy, t.StartedBy) == t.StartedBy &&
		(in.LaunchType == "" || in.LaunchType == t.LaunchType)
}
