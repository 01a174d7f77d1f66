package node

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"fairlead/internal/api/ecs"
	"fairlead/internal/aws"
	"fairlead/internal/row"
)

// idDigits is the length of a task's id, with which the names of its containers begin.
const idDigits = 32

// container is one container of a task: its definition with the task's overrides applied.
type container struct {
	ecs.ContainerDefinition
	index int
}

func (c container) name() string    { return aws.Val(c.Name) }
func (c container) essential() bool { return aws.Or(c.Essential, true) }

// runtimeID names the container in the runtime. A restart by the restart policy is a new container
// there, for the runtime never starts one twice.
func (c container) runtimeID(taskID string, restarts int) string {
	id := taskID + "-" + strconv.Itoa(c.index)
	if restarts > 0 {
		id += "-r" + strconv.Itoa(restarts)
	}
	return id
}

func taskIDOf(runtimeID string) string {
	return runtimeID[:min(len(runtimeID), idDigits)]
}

// containersOf applies the task's overrides to its definition.
func containersOf(task row.Task, def ecs.TaskDefinition) []container {
	var all []container
	for i, d := range def.ContainerDefinitions {
		c := container{ContainerDefinition: d, index: i}
		if task.Overrides != nil {
			for _, o := range task.Overrides.ContainerOverrides {
				if aws.Val(o.Name) == c.name() {
					c.override(o)
				}
			}
		}
		all = append(all, c)
	}
	return all
}

func (c *container) override(o ecs.ContainerOverride) {
	if o.Command != nil {
		c.Command = o.Command
	}
	c.Cpu = cmp.Or(o.Cpu, c.Cpu)
	c.Memory = cmp.Or(o.Memory, c.Memory)
	c.MemoryReservation = cmp.Or(o.MemoryReservation, c.MemoryReservation)
	c.Environment = slices.Clone(c.Environment)
	for _, kv := range o.Environment {
		c.Environment = slices.DeleteFunc(c.Environment, func(have ecs.KeyValuePair) bool {
			return aws.Val(have.Name) == aws.Val(kv.Name)
		})
		c.Environment = append(c.Environment, kv)
	}
}

// restarts reports whether the restart policy restarts a container that exited with this code after
// running this many seconds. It must have run for the attempt period since its last start.
// https://docs.aws.amazon.com/AmazonECS/latest/developerguide/container-restart-policy.html
func (c container) restarts(exitCode int32, ranSeconds float64) bool {
	p := c.RestartPolicy
	if p == nil || !aws.Val(p.Enabled) || slices.Contains(p.IgnoredExitCodes, exitCode) {
		return false
	}
	return ranSeconds >= float64(aws.Or(p.RestartAttemptPeriod, defaultRestartAttemptPeriod))
}

const (
	// defaultRestartAttemptPeriod in seconds.
	defaultRestartAttemptPeriod = 300
	// defaultStopTimeout in seconds, of Fargate.
	defaultStopTimeout = 30
)

// size parses a task's cpu or memory, which registration has brought to plain units.
func size(s string) int64 {
	n, _ := strconv.ParseInt(strings.TrimSpace(s), 10, 64)
	return n
}

// privateDNSName is the name of an address in the VPC: ip-10-0-1-5.eu-west-1.compute.internal.
func privateDNSName(address, region string) string {
	domain := region + ".compute.internal"
	if region == "us-east-1" {
		domain = "ec2.internal"
	}
	return fmt.Sprintf("ip-%s.%s", strings.ReplaceAll(address, ".", "-"), domain)
}
