package ecs

import (
	"cmp"
	"slices"
	"strconv"
	"strings"

	"fairlead/internal/api/ecs"
	"fairlead/internal/aws"
)

// Limits of a container definition; times in seconds, memory in MiB.
// https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_ContainerDefinition.html
const (
	minContainerMemory   = 6
	maxPort              = 65535
	maxIgnoredExitCodes  = 50
	minRestartPeriod     = 60
	maxRestartPeriod     = 1800
	minHealthInterval    = 5
	maxHealthInterval    = 300
	minHealthTimeout     = 2
	maxHealthTimeout     = 60
	maxHealthRetries     = 10
	maxHealthStartPeriod = 300
)

// checkContainer checks one container of a definition.
func checkContainer(def ecs.TaskDefinition, c ecs.ContainerDefinition) error {
	return cmp.Or(
		checkMemory(def, c),
		checkPorts(def.NetworkMode, c),
		checkAwsvpc(def.NetworkMode, c),
		checkHealthCheck(c),
		checkRestartPolicy(c),
		checkMounts(def.Volumes, c),
		checkUlimits(c),
		checkEnvironment(c),
		checkAwslogs(c),
	)
}

func checkMemory(def ecs.TaskDefinition, c ecs.ContainerDefinition) error {
	name, hard, soft := *c.Name, aws.Val(c.Memory), aws.Val(c.MemoryReservation)
	task, _ := strconv.Atoi(aws.Val(def.Memory))
	switch {
	case hard == 0 && soft == 0 && task == 0:
		return ecs.ClientException("Invalid setting for container '%s'. At least one of 'memory' or "+
			"'memoryReservation' must be specified.", name)
	case c.Memory != nil && hard < minContainerMemory,
		c.MemoryReservation != nil && soft < minContainerMemory:
		return ecs.ClientException("Invalid setting for container '%s'. The minimum valid amount of "+
			"memory is %d MiB.", name, minContainerMemory)
	case hard != 0 && soft > hard:
		return ecs.ClientException("Invalid setting for container '%s'. The 'memory' setting must be "+
			"greater than or equal to 'memoryReservation'.", name)
	case task != 0 && int(max(hard, soft)) > task:
		return ecs.ClientException("The 'memory' setting for container '%s' is greater than for the "+
			"task.", name)
	case aws.Val(c.Cpu) < 0:
		return ecs.ClientException("Invalid 'cpu' setting for container '%s'.", name)
	}
	return nil
}

func checkPorts(mode ecs.NetworkMode, c ecs.ContainerDefinition) error {
	if mode == ecs.NetworkModeNone && len(c.PortMappings) > 0 {
		return ecs.ClientException("Port mappings are not supported when networkMode=none.")
	}
	for _, p := range c.PortMappings {
		if p.ContainerPortRange != nil {
			return unserved("containerPortRange")
		}
		port, host := aws.Val(p.ContainerPort), aws.Val(p.HostPort)
		if port < 1 || port > maxPort || host < 0 || host > maxPort {
			return ecs.ClientException("Invalid 'containerPort' setting for container '%s'.", *c.Name)
		}
		if (mode == ecs.NetworkModeAwsvpc || mode == ecs.NetworkModeHost) && host != port {
			return ecs.ClientException("When networkMode=%s, the host ports and container ports in port "+
				"mappings must match.", mode)
		}
	}
	return nil
}

// checkAwsvpc refuses what has no meaning when the task has a network interface of its own.
func checkAwsvpc(mode ecs.NetworkMode, c ecs.ContainerDefinition) error {
	if mode != ecs.NetworkModeAwsvpc {
		return nil
	}
	const tail = " on container when networkMode=awsvpc."
	switch {
	case len(c.DnsServers) > 0:
		return ecs.ClientException("DNS servers are not supported" + tail)
	case len(c.DnsSearchDomains) > 0:
		return ecs.ClientException("DNS search domains are not supported" + tail)
	case len(c.ExtraHosts) > 0:
		return ecs.ClientException("Extra hosts are not supported" + tail)
	case aws.Val(c.Hostname) != "":
		return ecs.ClientException("Hostname is not supported" + tail)
	case aws.Val(c.DisableNetworking):
		return ecs.ClientException("Network disabled is not supported" + tail)
	case len(c.Links) > 0:
		return ecs.ClientException("Links are not supported when networkMode=awsvpc.")
	}
	return nil
}

func checkHealthCheck(c ecs.ContainerDefinition) error {
	h := c.HealthCheck
	if h == nil {
		return nil
	}
	if len(h.Command) < 2 || h.Command[0] != "CMD" && h.Command[0] != "CMD-SHELL" {
		return ecs.ClientException("The health check command of container '%s' must begin with CMD or "+
			"CMD-SHELL.", *c.Name)
	}
	for _, f := range []struct {
		name     string
		value    int32
		min, max int32
	}{
		{"interval", *h.Interval, minHealthInterval, maxHealthInterval},
		{"timeout", *h.Timeout, minHealthTimeout, maxHealthTimeout},
		{"retries", *h.Retries, 1, maxHealthRetries},
		{"startPeriod", aws.Val(h.StartPeriod), 0, maxHealthStartPeriod},
	} {
		if f.value < f.min || f.value > f.max {
			return ecs.ClientException("Health check %s of container '%s' must be between %d and %d.",
				f.name, *c.Name, f.min, f.max)
		}
	}
	return nil
}

func checkRestartPolicy(c ecs.ContainerDefinition) error {
	p := c.RestartPolicy
	if p == nil || !aws.Val(p.Enabled) {
		return nil
	}
	if *p.RestartAttemptPeriod < minRestartPeriod || *p.RestartAttemptPeriod > maxRestartPeriod {
		return ecs.ClientException("The restartAttemptPeriod of container '%s' must be between %d and %d.",
			*c.Name, minRestartPeriod, maxRestartPeriod)
	}
	if len(p.IgnoredExitCodes) > maxIgnoredExitCodes {
		return ecs.ClientException("Container '%s' can have at most %d ignoredExitCodes.",
			*c.Name, maxIgnoredExitCodes)
	}
	return nil
}

func checkMounts(volumes []ecs.Volume, c ecs.ContainerDefinition) error {
	for _, m := range c.MountPoints {
		name := aws.Val(m.SourceVolume)
		known := slices.ContainsFunc(volumes, func(v ecs.Volume) bool { return aws.Val(v.Name) == name })
		if !known {
			return ecs.ClientException("Unknown volume '%s'.", name)
		}
		if !strings.HasPrefix(aws.Val(m.ContainerPath), "/") {
			return ecs.ClientException("Invalid 'containerPath' setting for container '%s'.", *c.Name)
		}
	}
	return nil
}

func checkUlimits(c ecs.ContainerDefinition) error {
	for _, u := range c.Ulimits {
		if hard, soft := aws.Val(u.HardLimit), aws.Val(u.SoftLimit); hard >= 0 && soft > hard {
			return ecs.ClientException("Soft limit exceeds hard limit for ulimit %s", u.Name)
		}
	}
	return nil
}

func checkEnvironment(c ecs.ContainerDefinition) error {
	for _, e := range c.Environment {
		if name := aws.Val(e.Name); name == "" || strings.ContainsAny(name, "=\x00") {
			return ecs.ClientException("Container '%s' has an environment variable with the invalid "+
				"name '%s'.", *c.Name, name)
		}
	}
	return nil
}

// awslogsOptions are the options of the awslogs driver that are acted on. awslogs-region and mode
// may say what is the case anyway.
var awslogsOptions = []string{
	"awslogs-group", "awslogs-region", "awslogs-stream-prefix", "awslogs-create-group",
	"mode", "max-buffer-size",
}

func checkAwslogs(c ecs.ContainerDefinition) error {
	if c.LogConfiguration == nil {
		return nil
	}
	options := c.LogConfiguration.Options
	for _, name := range awslogsOptions[:2] {
		if options[name] == "" {
			return ecs.ClientException("Log driver awslogs requires options: awslogs-group, awslogs-region")
		}
	}
	for name := range options {
		if !slices.Contains(awslogsOptions, name) {
			return unserved("the awslogs option " + name)
		}
	}
	return nil
}
