package ecs

import (
	"slices"
	"strconv"

	"fairlead/internal/api/ecs"
	"fairlead/internal/aws"
)

// fargateSize is the memory in MiB that can go with a task's CPU units.
type fargateSize struct{ cpu, min, max, step int }

// https://docs.aws.amazon.com/AmazonECS/latest/developerguide/fargate-tasks-services.html
var fargateSizes = []fargateSize{
	{512, 1024, 4096, 1024},
	{1024, 2048, 8192, 1024},
	{2048, 4096, 16384, 1024},
	{4096, 8192, 30720, 1024},
	{8192, 16384, 61440, 4096},
	{16384, 32768, 122880, 8192},
}

// smallestCPU has memory sizes that no step describes.
const smallestCPU = 256

var smallestMemory = []int{512, 1024, 2048}

// Limits of a Fargate task.
const (
	minEphemeralGiB = 21
	maxEphemeralGiB = 200
	minStopTimeout  = 2   // seconds; of startTimeout, too
	maxStopTimeout  = 120 // seconds
)

// checkFargate lets a definition pass that Fargate runs.
func checkFargate(def ecs.TaskDefinition) error {
	if def.NetworkMode != ecs.NetworkModeAwsvpc {
		return ecs.ClientException("Fargate only supports network mode ‘awsvpc’.")
	}
	if err := checkFargateSize(aws.Val(def.Cpu), aws.Val(def.Memory)); err != nil {
		return err
	}
	if len(def.PlacementConstraints) > 0 {
		return fargateUnsupported("placementConstraints")
	}
	for _, v := range def.Volumes {
		if v.Host != nil && aws.Val(v.Host.SourcePath) != "" {
			return fargateUnsupported("sourcePath")
		}
	}
	if err := checkEphemeral(def.EphemeralStorage); err != nil {
		return err
	}
	for _, c := range def.ContainerDefinitions {
		if err := checkFargateContainer(def, c); err != nil {
			return err
		}
	}
	return checkFargateCPU(def)
}

func fargateUnsupported(setting string) error {
	return ecs.ClientException("Fargate compatible task definitions do not support %s", setting)
}

// checkFargateSize checks a task's CPU units against its MiB.
func checkFargateSize(cpu, memory string) error {
	if cpu == "" {
		return ecs.ClientException("Fargate requires that 'cpu' be defined at the task level.")
	}
	if memory == "" {
		return ecs.ClientException("Fargate requires that 'memory' be defined at the task level.")
	}
	c, _ := strconv.Atoi(cpu)
	m, _ := strconv.Atoi(memory)
	if c == smallestCPU && slices.Contains(smallestMemory, m) {
		return nil
	}
	for _, s := range fargateSizes {
		if s.cpu == c && m >= s.min && m <= s.max && m%s.step == 0 {
			return nil
		}
	}
	return ecs.ClientException("No Fargate configuration exists for given values.")
}

func checkEphemeral(e *ecs.EphemeralStorage) error {
	switch {
	case e == nil:
		return nil
	case aws.Val(e.SizeInGiB) < minEphemeralGiB:
		return ecs.ClientException("EphemeralStorage size should be at least %d", minEphemeralGiB)
	case *e.SizeInGiB > maxEphemeralGiB:
		return ecs.ClientException("EphemeralStorage size should be at most %d", maxEphemeralGiB)
	}
	return nil
}

// checkFargateCPU checks that the containers' CPU units fit into the task's.
func checkFargateCPU(def ecs.TaskDefinition) error {
	task, _ := strconv.Atoi(*def.Cpu)
	var sum int
	for _, c := range def.ContainerDefinitions {
		sum += int(aws.Val(c.Cpu))
	}
	if sum > task {
		return ecs.ClientException("The 'cpu' settings of the containers (%d) exceed that of the task (%d).",
			sum, task)
	}
	return nil
}

// outOf tells whether a setting is there and not between its bounds.
func outOf(v *int32, low, high int32) bool { return v != nil && (*v < low || *v > high) }

func checkFargateContainer(def ecs.TaskDefinition, c ecs.ContainerDefinition) error {
	switch {
	case aws.Val(c.Privileged):
		return ecs.ClientException("Fargate requires that the 'privileged' setting be 'false' for " +
			"container definitions.")
	case len(c.DockerSecurityOptions) > 0:
		return fargateUnsupported("dockerSecurityOptions")
	case outOf(c.StopTimeout, minStopTimeout, maxStopTimeout),
		outOf(c.StartTimeout, minStopTimeout, maxStopTimeout):
		return ecs.ClientException("The stopTimeout and startTimeout settings for container '%s' must be "+
			"between %d and %d.", *c.Name, minStopTimeout, maxStopTimeout)
	}
	if err := checkFargateLinux(c.LinuxParameters); err != nil {
		return err
	}
	return checkFargateLogs(def, c.LogConfiguration)
}

func checkFargateLinux(l *ecs.LinuxParameters) error {
	switch {
	case l == nil:
		return nil
	case l.SharedMemorySize != nil:
		return fargateUnsupported("sharedMemorySize")
	case len(l.Devices) > 0:
		return fargateUnsupported("devices")
	case len(l.Tmpfs) > 0:
		return fargateUnsupported("tmpfs")
	case l.MaxSwap != nil:
		return fargateUnsupported("maxSwap")
	case l.Swappiness != nil:
		return fargateUnsupported("swappiness")
	case l.Capabilities == nil:
		return nil
	}
	for _, name := range l.Capabilities.Add {
		if name != "SYS_PTRACE" {
			return fargateUnsupported("adding the capability " + name)
		}
	}
	return nil
}

func checkFargateLogs(def ecs.TaskDefinition, l *ecs.LogConfiguration) error {
	switch {
	case l == nil:
		return nil
	case l.Options["awslogs-stream-prefix"] == "":
		return ecs.ClientException("Log driver awslogs requires options: awslogs-stream-prefix")
	case aws.Val(def.ExecutionRoleArn) == "":
		return ecs.ClientException("Fargate requires task definition to have execution role ARN to " +
			"support log driver awslogs.")
	}
	return nil
}
