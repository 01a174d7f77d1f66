package node

import (
	"fmt"
	"time"

	"fairlead/internal/api/ecs"
	"fairlead/internal/aws"
	"fairlead/internal/row"
)

// Statuses of a container.
const (
	containerPending = "PENDING"
	containerRunning = "RUNNING"
	containerStopped = "STOPPED"

	healthy   = "HEALTHY"
	unhealthy = "UNHEALTHY"
	unknown   = "UNKNOWN"
)

// verdict is whether a container may start.
type verdict struct {
	now     bool
	never   string    // why it never will, as AWS words it
	recheck time.Time // when a startTimeout ends; zero: an event will come
}

// mayStart weighs the dependsOn of c. A START condition is met by a container that has already
// stopped, SUCCESS fails for good with any other exit code, and startTimeout is a property of the
// container depended on.
// https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_ContainerDependency.html
func mayStart(c container, all []container, states []row.TaskContainer, now time.Time) verdict {
	v := verdict{now: true}
	for _, dep := range c.DependsOn {
		i := indexOf(all, aws.Val(dep.ContainerName))
		if i < 0 {
			continue // refused at registration
		}
		one := dependency(dep.Condition, all[i], states[i], now)
		if one.never != "" {
			return one
		}
		v.now = v.now && one.now
		v.recheck = sooner(v.recheck, one.recheck)
	}
	return v
}

func dependency(cond ecs.ContainerCondition, on container, s row.TaskContainer, now time.Time) verdict {
	if cond == ecs.ContainerConditionSTART {
		return verdict{now: s.LastStatus != containerPending}
	}
	stopped := s.LastStatus == containerStopped
	switch cond {
	case ecs.ContainerConditionCOMPLETE:
		if stopped {
			return verdict{now: true}
		}
	case ecs.ContainerConditionSUCCESS:
		if stopped {
			return succeeded(on, s)
		}
	case ecs.ContainerConditionHEALTHY:
		if s.HealthStatus == healthy {
			return verdict{now: true}
		}
		if stopped || s.HealthStatus == unhealthy {
			return verdict{never: fmt.Sprintf("dependency %s is not healthy", on.name())}
		}
	}
	return waiting(on, s, now)
}

func succeeded(on container, s row.TaskContainer) verdict {
	if aws.Or(s.ExitCode, 1) == 0 {
		return verdict{now: true}
	}
	return verdict{never: fmt.Sprintf("dependency %s did not exit with 0", on.name())}
}

// waiting ends with the startTimeout of the container waited for.
func waiting(on container, s row.TaskContainer, now time.Time) verdict {
	if on.StartTimeout == nil || s.StartedAt == nil {
		return verdict{}
	}
	end := s.StartedAt.Add(time.Duration(*on.StartTimeout) * time.Second)
	if !now.Before(end) {
		return verdict{never: fmt.Sprintf("dependency %s did not get ready in its startTimeout", on.name())}
	}
	return verdict{recheck: end}
}

// mayStop reports whether container i may be told to stop: nothing that depends on it runs.
func mayStop(i int, all []container, states []row.TaskContainer) bool {
	for j, other := range all {
		if states[j].LastStatus != containerRunning {
			continue
		}
		for _, dep := range other.DependsOn {
			if aws.Val(dep.ContainerName) == all[i].name() {
				return false
			}
		}
	}
	return true
}

func indexOf(all []container, name string) int {
	for i, c := range all {
		if c.name() == name {
			return i
		}
	}
	return -1
}

// sooner returns the earlier of two times, of which zero means never.
func sooner(a, b time.Time) time.Time {
	if a.IsZero() || (!b.IsZero() && b.Before(a)) {
		return b
	}
	return a
}

// healthOf is the task's health: that of its essential containers with a health check, the worst
// one counting, and unknown while one of them is.
// https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_HealthCheck.html
func healthOf(all []container, states []row.TaskContainer) string {
	count := map[string]int{}
	for i, c := range all {
		if c.HealthCheck != nil && c.essential() {
			count[states[i].HealthStatus]++
		}
	}
	switch {
	case count[unhealthy] > 0:
		return unhealthy
	case count[healthy] > 0 && len(count) == 1:
		return healthy
	}
	return unknown
}
