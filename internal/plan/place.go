package plan

import (
	"fairlead/internal/api/ecs"
	"fairlead/internal/aws"
)

// Subnet is a place where a task can be put.
type Subnet struct {
	ID   string
	Zone string
}

// Usage counts tasks by where they are.
type Usage struct {
	Zones   map[string]int
	Subnets map[string]int
}

// NewUsage returns a count of nothing.
func NewUsage() Usage { return Usage{Zones: map[string]int{}, Subnets: map[string]int{}} }

// Add counts one more task.
func (u Usage) Add(s Subnet) {
	u.Zones[s.Zone]++
	u.Subnets[s.ID]++
}

// Remove counts one task less.
func (u Usage) Remove(s Subnet) {
	u.Zones[s.Zone]--
	u.Subnets[s.ID]--
}

// Place chooses the subnet of the next task: the zone with the fewest tasks, in it the subnet with
// the fewest, among equals the first. It panics without subnets.
// https://docs.aws.amazon.com/AmazonECS/latest/developerguide/task-placement-strategies.html
func Place(subnets []Subnet, u Usage) Subnet {
	best := subnets[0]
	for _, s := range subnets[1:] {
		zone, bestZone := u.Zones[s.Zone], u.Zones[best.Zone]
		if zone < bestZone || zone == bestZone && u.Subnets[s.ID] < u.Subnets[best.ID] {
			best = s
		}
	}
	return best
}

// Provider chooses the capacity provider of the next task, given how many tasks each has: first the
// base is filled, then the tasks beyond it go where they are furthest behind their weight. It is
// empty without a strategy.
// https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_CapacityProviderStrategyItem.html
func Provider(strategy []ecs.CapacityProviderStrategyItem, tasks map[string]int) string {
	best, bestLoad := "", 0.0
	for _, item := range strategy {
		name := aws.Val(item.CapacityProvider)
		base, weight := int(aws.Val(item.Base)), float64(aws.Val(item.Weight))
		if tasks[name] < base {
			return name
		}
		if weight == 0 {
			continue
		}
		load := float64(tasks[name]-base+1) / weight
		if best == "" || load < bestLoad {
			best, bestLoad = name, load
		}
	}
	return best
}
