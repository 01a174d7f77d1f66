package plan

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"fairlead/internal/api/ecs"
	"fairlead/internal/aws"
)

// Instance is a container instance as placement sees it.
type Instance struct {
	ARN            string
	Attributes     map[string]string // also those without a value
	Draining       bool              // takes no new task
	AgentConnected bool
	AgentVersion   string
	EC2InstanceID  string
	RegisteredAt   time.Time
	Free           Resources
	Tasks          map[string]int // tasks by their group
}

// Resources are what a task takes of an instance, or what an instance has left.
type Resources struct {
	CPU    int   // units, 1024 for a core
	Memory int   // MiB
	Ports  []int // of the host: wanted by a task, taken on an instance
}

func (i Instance) attribute(name string) []string {
	if v, ok := i.Attributes[name]; ok {
		return []string{v}
	}
	return nil
}

func (i Instance) groups() []string { return slices.Sorted(maps.Keys(i.Tasks)) }

func (i Instance) tasks() (n int) {
	for _, k := range i.Tasks {
		n += k
	}
	return n
}

// Placement is what a task asks of the instance that it is put on.
type Placement struct {
	Need        Resources
	Group       string // of the task: spread and distinctInstance count its tasks
	Constraints []ecs.PlacementConstraint
	Strategy    []ecs.PlacementStrategy
}

// PlaceOn chooses the instance of a task: of those that have the resources, then of those that meet
// every constraint, each strategy in turn keeps the best. dice(n) returns a number below n. Without
// an instance the reason is the one that RunTask states; there is none if no instance is ACTIVE.
// https://docs.aws.amazon.com/AmazonECS/latest/developerguide/task-placement.html
func PlaceOn(
	instances []Instance, p Placement, dice func(n int) int,
) (chosen Instance, reason string, err error) {
	left, reason := fitting(instances, p.Need)
	for _, c := range p.Constraints {
		meets, err := constraint(c, p.Group)
		if err != nil {
			return chosen, "", err
		}
		before := len(left)
		left = slices.DeleteFunc(left, func(i Instance) bool { return !meets(i) })
		if before > 0 && len(left) == 0 {
			reason = "memberOf constraint unsatisfied"
		}
	}
	if len(left) == 0 {
		return chosen, reason, nil
	}
	for _, s := range p.Strategy {
		if left, err = narrow(left, s, p.Group, dice); err != nil {
			return chosen, "", err
		}
	}
	return left[0], "", nil
}

// fitting keeps the instances that have the resources; the reason is what the last one lacks.
func fitting(instances []Instance, need Resources) (fit []Instance, reason string) {
	for _, i := range instances {
		switch {
		case i.Draining:
		case !i.AgentConnected:
			reason = "AGENT"
		case i.Free.CPU < need.CPU:
			reason = "RESOURCE:CPU"
		case i.Free.Memory < need.Memory:
			reason = "RESOURCE:MEMORY"
		case slices.ContainsFunc(need.Ports, func(p int) bool { return slices.Contains(i.Free.Ports, p) }):
			reason = "RESOURCE:PORTS"
		default:
			fit = append(fit, i)
		}
	}
	return fit, reason
}

func constraint(c ecs.PlacementConstraint, group string) (func(Instance) bool, error) {
	switch c.Type {
	case ecs.PlacementConstraintTypeDistinctInstance:
		if aws.Val(c.Expression) != "" {
			return nil, fmt.Errorf("distinctInstance expression should not be specified")
		}
		return func(i Instance) bool { return i.Tasks[group] == 0 }, nil
	case ecs.PlacementConstraintTypeMemberOf:
		q, err := ParseQuery(aws.Val(c.Expression))
		return q, err
	}
	return nil, fmt.Errorf("placement constraint %q is invalid", c.Type)
}

// narrow keeps the instances that a strategy prefers.
func narrow(
	left []Instance, s ecs.PlacementStrategy, group string, dice func(int) int,
) ([]Instance, error) {
	field := aws.Val(s.Field)
	switch s.Type {
	case ecs.PlacementStrategyTypeRandom:
		at := dice(len(left))
		return left[at : at+1], nil
	case ecs.PlacementStrategyTypeBinpack:
		switch field {
		case "cpu", "CPU":
			return lowest(left, func(i Instance) int { return i.Free.CPU }), nil
		case "memory", "MEMORY":
			return lowest(left, func(i Instance) int { return i.Free.Memory }), nil
		}
		return nil, fmt.Errorf("binpack field '%s' is invalid", field)
	case ecs.PlacementStrategyTypeSpread:
		if field == "instanceId" || field == "host" {
			return lowest(left, func(i Instance) int { return i.Tasks[group] }), nil
		}
		return spreadOver(left, field, group), nil
	}
	return nil, fmt.Errorf("placement strategy %q is invalid", s.Type)
}

// spreadOver keeps the instances whose value of an attribute has the fewest tasks of the group.
func spreadOver(left []Instance, field, group string) []Instance {
	value := func(i Instance) string {
		const prefix = "attribute:"
		return i.Attributes[field[min(len(prefix), len(field)):]]
	}
	tasks := map[string]int{}
	for _, i := range left {
		tasks[value(i)] += i.Tasks[group]
	}
	return lowest(left, func(i Instance) int { return tasks[value(i)] })
}

func lowest(left []Instance, by func(Instance) int) (kept []Instance) {
	least := by(left[0])
	for _, i := range left {
		least = min(least, by(i))
	}
	for _, i := range left {
		if by(i) == least {
			kept = append(kept, i)
		}
	}
	return kept
}
