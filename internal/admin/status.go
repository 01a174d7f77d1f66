package admin

import (
	"cmp"
	"slices"
	"strconv"
	"strings"

	"fairlead/internal/aws"
	"fairlead/internal/elb"
	"fairlead/internal/row"
	"fairlead/internal/state"
)

// Status is what GET /_fairlead/status shows: every service with its tasks, targets and health.
type Status struct {
	Services []ServiceStatus `json:"services"`
	// Tasks are those that no service owns.
	Tasks         []TaskStatus         `json:"tasks"`
	LoadBalancers []LoadBalancerStatus `json:"loadBalancers"`
}

// ServiceStatus is one service.
type ServiceStatus struct {
	Scope   row.Scope `json:"scope"`
	Cluster string    `json:"cluster"`
	Name    string    `json:"name"`
	Status  string    `json:"status"`
	Desired int       `json:"desired"`
	Running int       `json:"running"`
	Pending int       `json:"pending"`
	// Healthy tasks run and have no target that is not healthy; Draining ones are being stopped.
	Healthy  int `json:"healthy"`
	Draining int `json:"draining"`
	// New counts the healthy tasks of the PRIMARY deployment, of which Desired are to be.
	New     int          `json:"new"`
	Rollout string       `json:"rollout,omitempty"` // of the PRIMARY deployment
	Tasks   []TaskStatus `json:"tasks"`
}

// TaskStatus is one task that has not stopped.
type TaskStatus struct {
	ID         string         `json:"id"`
	Definition string         `json:"definition"` // FAMILY:REVISION
	Status     string         `json:"status"`
	Health     string         `json:"health,omitempty"`
	Address    string         `json:"address,omitempty"`
	Zone       string         `json:"zone,omitempty"`
	Targets    []TargetStatus `json:"targets,omitempty"`
}

// TargetStatus is one registration of a task.
type TargetStatus struct {
	TargetGroup string `json:"targetGroup"` // name
	Port        int    `json:"port"`
	State       string `json:"state"`
	Reason      string `json:"reason,omitempty"`
}

// LoadBalancerStatus is one load balancer.
type LoadBalancerStatus struct {
	Name      string   `json:"name"`
	DNSName   string   `json:"dnsName"`
	State     string   `json:"state"`
	Listeners []string `json:"listeners"` // e.g. "HTTPS:443"
}

// StatusOf reads the status out of a snapshot.
func StatusOf(r state.Reader) Status {
	s := Status{Services: []ServiceStatus{}, Tasks: []TaskStatus{}, LoadBalancers: []LoadBalancerStatus{}}
	for service := range row.Services.Scan(r, "") {
		if service.Status != row.ServiceInactive {
			s.Services = append(s.Services, serviceStatus(r, service))
		}
	}
	for task := range row.Tasks.By(r, "open", "yes") {
		if task.Service == "" {
			s.Tasks = append(s.Tasks, taskStatus(r, task))
		}
	}
	for lb := range row.LoadBalancers.Scan(r, "") {
		s.LoadBalancers = append(s.LoadBalancers, balancerStatus(r, lb))
	}
	return s
}

func serviceStatus(r state.Reader, s row.Service) ServiceStatus {
	out := ServiceStatus{
		Scope: s.Scope, Cluster: lastPart(s.Cluster), Name: s.Name, Status: s.Status,
		Desired: s.DesiredCount, Tasks: []TaskStatus{},
	}
	primary := ""
	for d := range row.Deployments.Scan(r, s.ARN+"|") {
		if d.Status == row.DeploymentPrimary {
			primary, out.Rollout = d.ID, string(d.RolloutState)
		}
	}
	for task := range row.Tasks.By(r, "service", s.ARN) {
		if task.LastStatus == row.TaskStopped {
			continue
		}
		t := taskStatus(r, task)
		out.Tasks = append(out.Tasks, t)
		out.count(t, task.Deployment == primary)
	}
	slices.SortFunc(out.Tasks, func(a, b TaskStatus) int { return cmp.Compare(a.ID, b.ID) })
	return out
}

// count adds a task to the numbers of its service; primary tells whether it is of the newest
// deployment.
func (s *ServiceStatus) count(t TaskStatus, primary bool) {
	switch t.Status {
	case row.TaskRunning:
		s.Running++
	case row.TaskProvisioning, row.TaskPending, row.TaskActivating:
		s.Pending++
	default:
		s.Draining++
	}
	if t.Status != row.TaskRunning || t.Health == "UNHEALTHY" {
		return
	}
	if slices.ContainsFunc(t.Targets, func(t TargetStatus) bool { return t.State != "healthy" }) {
		return
	}
	s.Healthy++
	if primary {
		s.New++
	}
}

func taskStatus(r state.Reader, t row.Task) TaskStatus {
	out := TaskStatus{
		ID: t.ID, Definition: lastPart(t.TaskDefinition), Status: t.LastStatus,
		Health: t.HealthStatus, Zone: t.Zone,
	}
	if t.Attachment != nil {
		out.Address = t.Attachment.Address
	}
	for _, target := range t.Registered {
		out.Targets = append(out.Targets, targetStatus(r, target))
	}
	return out
}

func targetStatus(r state.Reader, t row.Target) TargetStatus {
	out := TargetStatus{Port: t.Port, State: "drained"}
	if arn, ok := aws.ParseARN(t.TargetGroup); ok {
		out.TargetGroup = strings.Split(arn.Resource, "/")[1]
	}
	target, ok := row.Targets.Get(r, t.Key())
	if !ok {
		return out
	}
	h := elb.HealthOf(r, target)
	out.State, out.Reason = h.State, h.Reason
	return out
}

func balancerStatus(r state.Reader, lb row.LoadBalancer) LoadBalancerStatus {
	out := LoadBalancerStatus{Name: lb.Name, DNSName: lb.DNSName, State: lb.State, Listeners: []string{}}
	for l := range row.Listeners.By(r, "balancer", lb.ARN) {
		out.Listeners = append(out.Listeners, l.Protocol+":"+strconv.Itoa(l.Port))
	}
	slices.Sort(out.Listeners)
	return out
}

func lastPart(arn string) string { return arn[strings.LastIndexByte(arn, '/')+1:] }
