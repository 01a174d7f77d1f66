package ecs

import (
	"math"
	"slices"
	"strconv"
	"strings"

	"fairlead/internal/api/ecs"
	"fairlead/internal/aws"
	"fairlead/internal/row"
)

// fillDefinition writes the defaults that a client reads back. It changes what the call's document
// points at, which belongs to nobody else.
func fillDefinition(def *ecs.TaskDefinition) {
	if def.NetworkMode == "" {
		def.NetworkMode = ecs.NetworkModeBridge
	}
	for i := range def.ContainerDefinitions {
		c := &def.ContainerDefinitions[i]
		c.Essential = new(aws.Or(c.Essential, true))
		c.Cpu = new(aws.Val(c.Cpu))
		fillPorts(c.PortMappings, def.NetworkMode)
		fillHealthCheck(c.HealthCheck)
		if p := c.RestartPolicy; p != nil && aws.Val(p.Enabled) {
			p.RestartAttemptPeriod = new(aws.Or(p.RestartAttemptPeriod, defaultRestartPeriod))
		}
	}
	for i := range def.Volumes {
		if v := &def.Volumes[i]; *v == (ecs.Volume{Name: v.Name}) {
			v.Host = &ecs.HostVolumeProperties{}
		}
	}
}

func fillPorts(ports []ecs.PortMapping, mode ecs.NetworkMode) {
	for i := range ports {
		p := &ports[i]
		if p.Protocol == "" {
			p.Protocol = ecs.TransportProtocolTcp
		}
		if p.HostPort != nil || p.ContainerPort == nil {
			continue
		}
		if mode == ecs.NetworkModeBridge {
			p.HostPort = new(int32(0))
		} else {
			p.HostPort = new(*p.ContainerPort)
		}
	}
}

// Defaults of a health check and of a restart policy, in seconds.
// https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_HealthCheck.html
const (
	defaultHealthInterval = int32(30)
	defaultHealthTimeout  = int32(5)
	defaultHealthRetries  = int32(3)
	defaultRestartPeriod  = int32(300)
)

func fillHealthCheck(h *ecs.HealthCheck) {
	if h == nil {
		return
	}
	h.Interval = new(aws.Or(h.Interval, defaultHealthInterval))
	h.Timeout = new(aws.Or(h.Timeout, defaultHealthTimeout))
	h.Retries = new(aws.Or(h.Retries, defaultHealthRetries))
}

// normalizeSizes brings task cpu and memory such as "1 vCPU" and "2 GB" to CPU units and MiB.
func normalizeSizes(def *ecs.TaskDefinition) error {
	for _, f := range []struct {
		value **string
		unit  string
		name  string
	}{{&def.Cpu, "vcpu", "cpu"}, {&def.Memory, "gb", "memory"}} {
		if *f.value == nil || **f.value == "" {
			*f.value = nil
			continue
		}
		n, ok := parseSize(**f.value, f.unit)
		if !ok {
			return ecs.ClientException("Invalid '%s' setting for task. For more information, see "+
				"the Troubleshooting section of the Amazon ECS Developer Guide.", f.name)
		}
		*f.value = new(strconv.Itoa(n))
	}
	return nil
}

// parseSize reads a plain number, or one with a unit that stands for 1024.
func parseSize(s, unit string) (n int, ok bool) {
	s = strings.ToLower(strings.TrimSpace(s))
	number, scaled := strings.CutSuffix(s, unit)
	if !scaled {
		n, err := strconv.Atoi(s)
		return n, err == nil && n > 0
	}
	f, err := strconv.ParseFloat(strings.TrimSpace(number), 64)
	f = math.Round(f * 1024)
	return int(f), err == nil && f > 0 && f < math.MaxInt32
}

// describeDefinition is the stored document with the empty lists that AWS shows.
func describeDefinition(d row.TaskDefinition) ecs.TaskDefinition {
	def := d.Definition
	def.PlacementConstraints = orEmpty(def.PlacementConstraints)
	def.Volumes = orEmpty(def.Volumes)
	def.ContainerDefinitions = slices.Clone(def.ContainerDefinitions)
	for i := range def.ContainerDefinitions {
		c := &def.ContainerDefinitions[i]
		c.Environment = orEmpty(c.Environment)
		c.MountPoints = orEmpty(c.MountPoints)
		c.PortMappings = orEmpty(c.PortMappings)
		c.SystemControls = orEmpty(c.SystemControls)
		c.VolumesFrom = orEmpty(c.VolumesFrom)
	}
	return def
}

// requiredAttributes lists what a container instance must be able to do to run the definition.
// https://docs.aws.amazon.com/AmazonECS/latest/developerguide/task-placement-constraints.html
func requiredAttributes(def ecs.TaskDefinition) []ecs.Attribute {
	list := []ecs.Attribute{}
	add := func(name string) {
		a := ecs.Attribute{Name: &name}
		if !slices.ContainsFunc(list, func(b ecs.Attribute) bool { return *b.Name == name }) {
			list = append(list, a)
		}
	}
	add("com.amazonaws.ecs.capability.docker-remote-api.1.18")
	for _, c := range def.ContainerDefinitions {
		containerAttributes(c, def, add)
	}
	if aws.Val(def.TaskRoleArn) != "" {
		add("com.amazonaws.ecs.capability.task-iam-role")
	}
	if def.NetworkMode == ecs.NetworkModeAwsvpc {
		add("ecs.capability.task-eni")
	}
	return list
}

func containerAttributes(c ecs.ContainerDefinition, def ecs.TaskDefinition, add func(string)) {
	if c.LogConfiguration != nil {
		driver := string(c.LogConfiguration.LogDriver)
		add("com.amazonaws.ecs.capability.logging-driver." + driver)
		if driver == string(ecs.LogDriverAwslogs) && aws.Val(def.ExecutionRoleArn) != "" {
			add("ecs.capability.execution-role-awslogs")
		}
	}
	if c.HealthCheck != nil {
		add("ecs.capability.container-health-check")
	}
	if len(c.DependsOn) > 0 {
		add("ecs.capability.container-ordering")
	}
	if c.RestartPolicy != nil {
		add("ecs.capability.container-restart-policy")
	}
	if strings.Contains(aws.Val(c.Image), ".dkr.ecr.") {
		add("com.amazonaws.ecs.capability.ecr-auth")
	}
}
