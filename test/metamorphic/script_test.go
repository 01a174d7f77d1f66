package metamorphic

import (
	"fmt"
	"slices"
	"strings"

	"fairlead/internal/api/ecs"
	"fairlead/internal/row"
	"fairlead/internal/state"
)

// script is what one client does, in order. Scripts share no resource but the cluster c, so that
// calls of two scripts may come in any order.
type script []step

// step is a call, or a condition that the client waits for before its next step.
type step struct {
	call func(w *world) error
	met  func(r state.Reader) bool
}

func call(fn func(w *world) error) step              { return step{call: fn} }
func await(condition func(r state.Reader) bool) step { return step{met: condition} }

// serviceNames are the services of the scripts. What happened to hasty on its way depends on how far
// its tasks were when it changed its mind; only where it ends is compared.
var serviceNames = []string{"web", "fragile", "hasty", "gone"}

const hasty = "hasty"

// scripts are the clients.
func scripts() []script {
	return []script{rollout(), breaker(), changesItsMind(), comesAndGoes(), oneOff(), tagger()}
}

// rollout deploys, rolls out, scales and has a task of its stopped, waiting each time.
func rollout() script {
	return script{
		define("web", "fairlead/hello:1"), create("c", "web", 2, nil), steady("c", "web"),
		define("web", "fairlead/hello:2"),
		update("web", func(in *ecs.UpdateServiceInput) { in.TaskDefinition = new("web") }), steady("c", "web"),
		scale("web", 4), steady("c", "web"),
		call(stopFirst), steady("c", "web"),
		scale("web", 1), steady("c", "web"),
	}
}

// breaker ships an image that does not exist and is rolled back.
func breaker() script {
	conf := &ecs.DeploymentConfiguration{DeploymentCircuitBreaker: &ecs.DeploymentCircuitBreaker{
		Enable: new(true), Rollback: new(true),
	}}
	return script{
		define("fragile", "fairlead/hello:1"), create("c", "fragile", 1, conf), steady("c", "fragile"),
		define("fragile", "nobody/nothing:1"),
		update("fragile", func(in *ecs.UpdateServiceInput) { in.TaskDefinition = new("fragile") }),
		steady("c", "fragile"),
	}
}

// changesItsMind waits for nothing but the end.
func changesItsMind() script {
	return script{
		define(hasty, "fairlead/hello:1"), create("c", hasty, 1, nil),
		define(hasty, "fairlead/hello:2"),
		update(hasty, func(in *ecs.UpdateServiceInput) { in.TaskDefinition = new(hasty) }),
		scale(hasty, 4),
		update(hasty, func(in *ecs.UpdateServiceInput) { in.ForceNewDeployment = new(true) }),
		scale(hasty, 2), steady("c", hasty),
	}
}

// comesAndGoes has a cluster of its own, which it leaves as it found it.
func comesAndGoes() script {
	return script{
		call(func(w *world) error { return createCluster(w, "d") }),
		define("gone", "fairlead/hello:1"), create("d", "gone", 1, nil), steady("d", "gone"),
		call(func(w *world) error {
			_, err := w.api.DeleteService(w.ctx, &ecs.DeleteServiceInput{
				Cluster: new("d"), Service: new("gone"), Force: new(true),
			})
			return err
		}),
		await(func(r state.Reader) bool {
			s, _ := row.Services.Get(r, serviceARN("d", "gone"))
			return s.Status == row.ServiceInactive
		}),
		call(func(w *world) error {
			_, err := w.api.DeleteCluster(w.ctx, &ecs.DeleteClusterInput{Cluster: new("d")})
			return err
		}),
	}
}

// oneOff runs two tasks and stops one of them.
func oneOff() script {
	const group = "batch"
	return script{
		define("batch", "fairlead/hello:1"),
		call(func(w *world) error {
			_, err := w.api.RunTask(w.ctx, &ecs.RunTaskInput{
				Cluster: new("c"), TaskDefinition: new("batch"), Count: new(int32(2)), Group: new(group),
				LaunchType: ecs.LaunchTypeFARGATE, NetworkConfiguration: network(),
			})
			return err
		}),
		await(func(r state.Reader) bool { return countTasks(r, group, row.TaskRunning) == 2 }),
		call(func(w *world) error { return stopOne(w, group) }),
		await(func(r state.Reader) bool { return countTasks(r, group, row.TaskStopped) == 1 }),
	}
}

// tagger changes what nothing runs on.
func tagger() script {
	return script{
		define("paper", "fairlead/hello:1"), define("paper", "fairlead/hello:2"),
		call(func(w *world) error {
			_, err := w.api.TagResource(w.ctx, &ecs.TagResourceInput{
				ResourceArn: new(scope.ARN("ecs", "task-definition/paper:2")),
				Tags:        []ecs.Tag{{Key: new("team"), Value: new("x")}},
			})
			return err
		}),
		call(func(w *world) error {
			_, err := w.api.DeregisterTaskDefinition(w.ctx,
				&ecs.DeregisterTaskDefinitionInput{TaskDefinition: new("paper:1")})
			return err
		}),
	}
}

func createCluster(w *world, name string) error {
	_, err := w.api.CreateCluster(w.ctx, &ecs.CreateClusterInput{ClusterName: &name})
	return err
}

func define(family, image string) step {
	return call(func(w *world) error {
		_, err := w.api.RegisterTaskDefinition(w.ctx, &ecs.RegisterTaskDefinitionInput{
			Family: &family, NetworkMode: ecs.NetworkModeAwsvpc, Cpu: new("256"), Memory: new("512"),
			RequiresCompatibilities: []ecs.Compatibility{ecs.CompatibilityFARGATE},
			ContainerDefinitions: []ecs.ContainerDefinition{{
				Name: new("app"), Image: &image,
				PortMappings: []ecs.PortMapping{{ContainerPort: new(int32(80))}},
			}},
		})
		return err
	})
}

func network() *ecs.NetworkConfiguration {
	return &ecs.NetworkConfiguration{AwsvpcConfiguration: &ecs.AwsVpcConfiguration{
		Subnets: []string{"subnet-a", "subnet-b"}, SecurityGroups: []string{"sg-1"},
	}}
}

func create(cluster, name string, count int32, conf *ecs.DeploymentConfiguration) step {
	return call(func(w *world) error {
		_, err := w.api.CreateService(w.ctx, &ecs.CreateServiceInput{
			Cluster: &cluster, ServiceName: &name, TaskDefinition: &name, DesiredCount: &count,
			LaunchType: ecs.LaunchTypeFARGATE, NetworkConfiguration: network(),
			DeploymentConfiguration: conf,
			LoadBalancers: []ecs.LoadBalancer{{
				TargetGroupArn: new(targetGroup(name)), ContainerName: new("app"),
				ContainerPort: new(int32(80)),
			}},
		})
		return err
	})
}

func update(name string, change func(in *ecs.UpdateServiceInput)) step {
	return call(func(w *world) error {
		in := &ecs.UpdateServiceInput{Cluster: new("c"), Service: &name}
		change(in)
		_, err := w.api.UpdateService(w.ctx, in)
		return err
	})
}

func scale(name string, count int32) step {
	return update(name, func(in *ecs.UpdateServiceInput) { in.DesiredCount = &count })
}

// stopFirst stops the task of web that is in the first zone: which of several equal tasks a client
// stops would be a difference.
func stopFirst(w *world) error {
	for t := range row.Tasks.By(w.store.View(), "service", serviceARN("c", "web")) {
		if t.LastStatus == row.TaskRunning && strings.HasSuffix(t.Zone, "a") {
			return stopTask(w, t.ARN)
		}
	}
	return fmt.Errorf("no task of web is running in the first zone")
}

func stopOne(w *world, group string) error {
	for t := range row.Tasks.Scan(w.store.View(), "") {
		if t.Group == group {
			return stopTask(w, t.ARN)
		}
	}
	return fmt.Errorf("there is no task of %s", group)
}

func stopTask(w *world, arn string) error {
	_, err := w.api.StopTask(w.ctx, &ecs.StopTaskInput{
		Cluster: new("c"), Task: &arn, Reason: new("enough"),
	})
	return err
}

func countTasks(r state.Reader, group, status string) (n int) {
	for t := range row.Tasks.Scan(r, "") {
		if t.Group == group && t.LastStatus == status {
			n++
		}
	}
	return n
}

func serviceARN(cluster, name string) string {
	return scope.ARN("ecs", "service/"+cluster+"/"+name)
}

// steady waits until the scheduler has seen the service as it is now, and has nothing to do.
func steady(cluster, name string) step {
	arn := serviceARN(cluster, name)
	return await(func(r state.Reader) bool {
		svc, _ := row.Services.Get(r, arn)
		memory, _ := row.Schedulings.Get(r, arn)
		tasks := slices.Collect(row.Tasks.By(r, "live", arn))
		atRest := !slices.ContainsFunc(tasks, func(t row.Task) bool {
			return t.LastStatus != row.TaskRunning || t.DesiredStatus != row.TaskRunning
		})
		return svc.Version > 0 && memory.Seen == svc.Version && memory.Steady && atRest &&
			len(tasks) == svc.DesiredCount
	})
}
