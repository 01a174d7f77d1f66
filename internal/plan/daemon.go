package plan

import (
	"cmp"
	"slices"
)

// DaemonInput is what a DAEMON service is planned from.
type DaemonInput struct {
	Instances []Instance // of the service's cluster
	Tasks     []DaemonTask
	Placement Placement // its strategy is not asked: there is nothing to choose
	// MinimumHealthyPercent says how many tasks must stay healthy when old ones are replaced. The
	// maximum is always 100: no instance ever has two tasks of the service.
	MinimumHealthyPercent int
}

// DaemonTask is a task of a DAEMON service that is not STOPPED.
type DaemonTask struct {
	ARN      string
	Instance string // ARN
	Current  bool   // whether it is of the PRIMARY deployment
	Stopping bool   // whether it was asked to stop
	Health   Health
}

// DaemonPlan is what is to be done about a DAEMON service.
type DaemonPlan struct {
	Desired int      // how many instances are to have a task: the service's desiredCount
	Starts  []string // ARNs of the instances on which to start a task
	Stops   []string // ARNs of the tasks to stop
	// Unplaced is how many instances should have a task and cannot take it, for the Reason that the
	// last of them states.
	Unplaced int
	Reason   string
}

// Daemon plans a DAEMON service: one task on each ACTIVE instance that meets the constraints, none
// elsewhere. An update stops the old task of an instance, as many at a time as the minimum leaves,
// and starts the new one when the old one is STOPPED. It fails for a constraint that is invalid.
// https://docs.aws.amazon.com/AmazonECS/latest/developerguide/service-options.html
func Daemon(in DaemonInput) (DaemonPlan, error) {
	wanted, err := daemonInstances(in)
	if err != nil {
		return DaemonPlan{}, err
	}
	p := daemonPlanner{
		in: in, wanted: wanted, taken: map[string]int{}, plan: DaemonPlan{Desired: len(wanted)},
	}
	p.stopStrays()
	p.stopOld()
	p.start()
	return p.plan, nil
}

// daemonInstances keeps the instances that are to have a task. Whether there is room for it is
// another question: one without still counts as desired. The service's own task on an instance does
// not make the instance unfit for it.
func daemonInstances(in DaemonInput) ([]Instance, error) {
	draining := func(i Instance) bool { return i.Draining }
	wanted := slices.DeleteFunc(slices.Clone(in.Instances), draining)
	for _, c := range in.Placement.Constraints {
		meets, err := constraint(c, "")
		if err != nil {
			return nil, err
		}
		wanted = slices.DeleteFunc(wanted, func(i Instance) bool { return !meets(i) })
	}
	return wanted, nil
}

// daemonPlanner makes one plan.
type daemonPlanner struct {
	in     DaemonInput
	wanted []Instance
	taken  map[string]int // tasks that are not STOPPED, by instance
	plan   DaemonPlan
	kept   []DaemonTask // that are where they belong and not to stop
}

// stopStrays stops what is where it does not belong: on an instance that is DRAINING, gone or no
// longer meets the constraints, or beside another task of the service, which should not happen. The
// minimum does not protect these, as they are not among the desired.
func (p *daemonPlanner) stopStrays() {
	here := map[string]bool{}
	for _, i := range p.wanted {
		here[i.ARN] = true
	}
	tasks := slices.SortedFunc(slices.Values(p.in.Tasks), func(a, b DaemonTask) int {
		return cmp.Or(cmp.Compare(rank(b), rank(a)), cmp.Compare(a.ARN, b.ARN))
	})
	for _, t := range tasks {
		p.taken[t.Instance]++
		switch {
		case t.Stopping:
		case !here[t.Instance]:
			p.plan.Stops = append(p.plan.Stops, t.ARN)
		default:
			here[t.Instance] = false
			p.kept = append(p.kept, t)
		}
	}
}

// rank orders the tasks of one instance by how much they are worth keeping.
func rank(t DaemonTask) int {
	n := int(t.Health)
	if t.Current {
		n += int(Healthy) + 1
	}
	return n
}

// stopOld stops tasks that are to be replaced: old ones, and those that failed their checks. What
// is not healthy counts nothing towards the minimum, so it goes first and at once.
func (p *daemonPlanner) stopOld() {
	healthy := 0
	for _, t := range p.kept {
		if t.Health == Healthy {
			healthy++
		}
	}
	spare := healthy - percentUp(p.plan.Desired, p.in.MinimumHealthyPercent)
	for _, t := range p.kept {
		switch {
		case t.Health == Unhealthy, !t.Current && t.Health != Healthy:
		case !t.Current && spare > 0:
			spare--
		default:
			continue
		}
		p.plan.Stops = append(p.plan.Stops, t.ARN)
	}
}

// start starts a task on each instance that has none left.
func (p *daemonPlanner) start() {
	for _, i := range p.wanted {
		if p.taken[i.ARN] > 0 {
			continue
		}
		if fit, reason := fitting([]Instance{i}, p.in.Placement.Need); len(fit) == 0 {
			p.plan.Unplaced, p.plan.Reason = p.plan.Unplaced+1, reason
			continue
		}
		p.plan.Starts = append(p.plan.Starts, i.ARN)
	}
}

// percentUp is a percentage of a count, rounded up.
func percentUp(n, percent int) int { return (n*percent + 99) / 100 }
