package e2e

import (
	"fmt"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"
)

// TestTasks runs tasks in the default VPC and looks at them from outside AWS's API.
func TestTasks(t *testing.T) {
	l := newLab(start(t))
	t.Run("address", l.checkAddress)
	t.Run("localhost", l.checkLocalhost)
	t.Run("dependency", l.checkDependency)
	t.Run("cgroup", l.checkCgroup)
	t.Run("exec", l.checkExec)
	t.Run("deaths", l.checkDeaths)
	t.Run("two VPCs with one CIDR", l.checkOverlap)
}

// lab runs single tasks.
type lab struct {
	*fairlead
	clients
	subnet ec2types.Subnet // of the default VPC
}

func newLab(f *fairlead) *lab {
	f.t.Helper()
	l := &lab{fairlead: f, clients: f.clients()}
	must(l.ecs.CreateCluster(f.t.Context(), &ecs.CreateClusterInput{ClusterName: new("lab")}))(f.t)
	subnets := must(l.ec2.DescribeSubnets(f.t.Context(), &ec2.DescribeSubnetsInput{
		Filters: []ec2types.Filter{{Name: new("default-for-az"), Values: []string{"true"}}},
	}))(f.t).Subnets
	if len(subnets) < 2 {
		f.t.Fatalf("the default VPC has %d subnets, want one per zone", len(subnets))
	}
	l.subnet = subnets[0]
	return l
}

func (l *lab) in(t *testing.T) *lab { return &lab{l.fairlead.in(t), l.clients, l.subnet} }

// container is a container that runs fairlead/hello.
func container(name string, command ...string) types.ContainerDefinition {
	return types.ContainerDefinition{
		Name: &name, Image: new("fairlead/hello:latest"), Command: command,
		Environment: env("MESSAGE", name),
	}
}

func env(pairs ...string) (out []types.KeyValuePair) {
	for i := 0; i < len(pairs); i += 2 {
		out = append(out, types.KeyValuePair{Name: &pairs[i], Value: &pairs[i+1]})
	}
	return out
}

// run starts a task of 0.25 cores and 512 MiB with these containers in a subnet and returns its ARN.
func (l *lab) run(subnet string, containers ...types.ContainerDefinition) string {
	l.t.Helper()
	def := must(l.ecs.RegisterTaskDefinition(l.t.Context(), &ecs.RegisterTaskDefinitionInput{
		Family: new("lab"), Cpu: new("256"), Memory: new("512"), NetworkMode: types.NetworkModeAwsvpc,
		RequiresCompatibilities: []types.Compatibility{types.CompatibilityFargate},
		ContainerDefinitions:    containers,
	}))(l.t)
	out := must(l.ecs.RunTask(l.t.Context(), &ecs.RunTaskInput{
		Cluster: new("lab"), TaskDefinition: def.TaskDefinition.TaskDefinitionArn,
		LaunchType: types.LaunchTypeFargate,
		NetworkConfiguration: &types.NetworkConfiguration{AwsvpcConfiguration: &types.AwsVpcConfiguration{
			Subnets: []string{subnet}, AssignPublicIp: types.AssignPublicIpEnabled,
		}},
	}))(l.t)
	if len(out.Tasks) != 1 {
		l.t.Fatalf("RunTask starts no task: %+v", out.Failures)
	}
	return *out.Tasks[0].TaskArn
}

// describe returns what DescribeTasks says.
func (l *lab) describe(arn string) types.Task {
	l.t.Helper()
	out := must(l.ecs.DescribeTasks(l.t.Context(), &ecs.DescribeTasksInput{
		Cluster: new("lab"), Tasks: []string{arn},
	}))(l.t)
	if len(out.Tasks) != 1 {
		l.t.Fatalf("task %s is not described: %+v", arn, out.Failures)
	}
	return out.Tasks[0]
}

// await waits until the task has a status.
func (l *lab) await(arn, status string) (task types.Task) {
	l.t.Helper()
	eventually(l.t, "the task is "+status, func() error {
		if task = l.describe(arn); *task.LastStatus != status {
			return fmt.Errorf("it is %s: %s", *task.LastStatus, deref(task.StoppedReason))
		}
		return nil
	})
	return task
}

// stop stops the task and waits for its end.
func (l *lab) stop(arn string) types.Task {
	l.t.Helper()
	must(l.ecs.StopTask(l.t.Context(), &ecs.StopTaskInput{Cluster: new("lab"), Task: &arn}))(l.t)
	return l.await(arn, "STOPPED")
}

func deref(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}

func idOf(arn string) string { return arn[strings.LastIndexByte(arn, '/')+1:] }

// detail is a detail of the task's ElasticNetworkInterface attachment.
func detail(t *testing.T, task types.Task, name string) string {
	t.Helper()
	for _, a := range task.Attachments {
		for _, d := range a.Details {
			if *a.Type == "ElasticNetworkInterface" && *d.Name == name {
				return *d.Value
			}
		}
	}
	t.Fatalf("the task has no attachment with %s: %+v", name, task.Attachments)
	return ""
}

func (l *lab) checkAddress(t *testing.T) {
	l = l.in(t)
	arn := l.run(*l.subnet.SubnetId, container("alone"))
	task := l.await(arn, "RUNNING")
	address := detail(t, task, "privateIPv4Address")
	if cidr := netip.MustParsePrefix(*l.subnet.CidrBlock); !cidr.Contains(netip.MustParseAddr(address)) {
		t.Errorf("the task has %s, which is not in %s", address, cidr)
	}
	inside := clientIn(t, l.vpcNamespace(*l.subnet.VpcId))
	for name, at := range map[string]struct {
		client *http.Client
		host   string
	}{
		"private": {inside, address},
		"public":  {&http.Client{Timeout: 5 * time.Second}, l.publicAddress(detail(t, task, "networkInterfaceId"))},
	} {
		eventually(t, "the "+name+" address answers", func() error {
			e, _, err := ask(at.client, "http://"+at.host+"/")
			if err == nil && e.Task != idOf(arn) {
				t.Fatalf("%s is answered by task %s, want %s", at.host, e.Task, idOf(arn))
			}
			return err
		})
	}
	l.stop(arn)
	if _, _, err := ask(inside, "http://"+address+"/"); err == nil {
		t.Errorf("%s answers after its task has stopped", address)
	}
}

func (l *lab) publicAddress(eni string) string {
	l.t.Helper()
	out := must(l.ec2.DescribeNetworkInterfaces(l.t.Context(), &ec2.DescribeNetworkInterfacesInput{
		NetworkInterfaceIds: []string{eni},
	}))(l.t)
	a := out.NetworkInterfaces[0].Association
	if a == nil || a.PublicIp == nil {
		l.t.Fatalf("interface %s has no public address", eni)
	}
	return *a.PublicIp
}

// checkLocalhost enters the network namespace that the containers of a task share.
func (l *lab) checkLocalhost(t *testing.T) {
	l = l.in(t)
	side := container("side")
	side.Environment = env("MESSAGE", "side", "PORT", "8080")
	arn := l.run(*l.subnet.SubnetId, container("main"), side)
	task := l.await(arn, "RUNNING")
	client := clientIn(t, l.eniNamespace(detail(t, task, "networkInterfaceId")))
	for _, host := range []string{"127.0.0.1", detail(t, task, "privateIPv4Address")} {
		for port, want := range map[string]string{"80": "main", "8080": "side"} {
			eventually(t, host+":"+port+" answers", func() error {
				e, _, err := ask(client, "http://"+host+":"+port+"/")
				if err == nil && e.Message != want {
					t.Fatalf("%s:%s is container %s, want %s", host, port, e.Message, want)
				}
				return err
			})
		}
	}
	l.stop(arn)
}

// checkDependency has one container ask another by localhost once that is healthy.
func (l *lab) checkDependency(t *testing.T) {
	l = l.in(t)
	server := container("server")
	server.HealthCheck = &types.HealthCheck{
		Command:  []string{"CMD", "/hello", "--check", "http://localhost/health"},
		Interval: new(int32(5)), StartPeriod: new(int32(30)),
	}
	check := container("check", "--check", "http://localhost/api")
	check.Essential = new(false)
	check.DependsOn = []types.ContainerDependency{
		{ContainerName: server.Name, Condition: types.ContainerConditionHealthy},
	}
	arn := l.run(*l.subnet.SubnetId, server, check)
	var task types.Task
	eventually(t, "the second container has asked the first", func() error {
		if task = l.describe(arn); containerOf(t, task, "check").ExitCode == nil {
			return fmt.Errorf("it is %s", deref(containerOf(t, task, "check").LastStatus))
		}
		return nil
	})
	if code := *containerOf(t, task, "check").ExitCode; code != 0 {
		t.Errorf("the check ends with %d, want 0", code)
	}
	if c := containerOf(t, task, "server"); c.HealthStatus != types.HealthStatusHealthy {
		t.Errorf("the server is %s, want HEALTHY", c.HealthStatus)
	}
	l.await(arn, "RUNNING")
	l.stop(arn)
}

func containerOf(t *testing.T, task types.Task, name string) types.Container {
	t.Helper()
	for _, c := range task.Containers {
		if *c.Name == name {
			return c
		}
	}
	t.Fatalf("the task has no container %s", name)
	return types.Container{}
}

// checkCgroup reads the limits of a task of 0.25 cores and 512 MiB, on both versions of cgroups.
func (l *lab) checkCgroup(t *testing.T) {
	l = l.in(t)
	arn := l.run(*l.subnet.SubnetId, container("alone"))
	l.await(arn, "RUNNING")
	limits := map[string]string{
		"cpu/*/cpu.cfs_quota_us": "25000", "cpu/*/cpu.cfs_period_us": "100000",
		"memory/*/memory.limit_in_bytes": "536870912",
	}
	if _, err := os.Stat("/sys/fs/cgroup/cgroup.controllers"); err == nil {
		limits = map[string]string{"*/cpu.max": "25000 100000", "*/memory.max": "536870912"}
	}
	group := filepath.Join("fairlead-"+l.tag(), idOf(arn))
	for file, want := range limits {
		path := filepath.Join("/sys/fs/cgroup", strings.Replace(file, "*", group, 1))
		got, err := os.ReadFile(path)
		if err != nil || strings.TrimSpace(string(got)) != want {
			t.Errorf("%s holds %q (%v), want %s", path, got, err, want)
		}
	}
	processes, err := os.ReadFile(fmt.Sprintf("/proc/%d/cgroup", l.pid(idOf(arn))))
	if err != nil || !strings.Contains(string(processes), group) {
		t.Errorf("the process is in these cgroups (%v), want %s:\n%s", err, group, processes)
	}
	l.stop(arn)
}

// checkDeaths lets tasks end in every way and reads what DescribeTasks says of it.
func (l *lab) checkDeaths(t *testing.T) {
	l = l.in(t)
	missing := container("c")
	missing.Image = new("127.0.0.1:1/none:latest") // where no registry listens
	hog := container("c", "--memory", "1024")
	const exited, exitedText = types.TaskStopCodeEssentialContainerExited, "Essential container in task exited"
	for name, c := range map[string]struct {
		container types.ContainerDefinition
		do        func(*lab, string)
		code      types.TaskStopCode
		reason    string // a prefix
		exit      int32  // -1 for none
		text      string
	}{
		"exit 3": {container("c", "--print", "bye", "--exit", "3"), nil, exited, exitedText, 3, ""},
		"out of memory": {hog, nil, exited, exitedText, 137,
			"OutOfMemoryError: Container killed due to memory usage"},
		"no image": {missing, nil, types.TaskStopCodeTaskFailedToStart, "CannotPullContainerError: ", -1,
			"CannotPullContainerError: "},
		"StopTask": {container("c"), (*lab).stopForReason, types.TaskStopCodeUserInitiated,
			"the test says so", 0, ""},
		"SIGKILL": {container("c"), (*lab).killProcess, exited, exitedText, 137, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := l.in(t)
			arn := l.run(*l.subnet.SubnetId, c.container)
			if c.do != nil {
				l.await(arn, "RUNNING")
				c.do(l, arn)
			}
			task := l.await(arn, "STOPPED")
			if task.StopCode != c.code || !strings.HasPrefix(deref(task.StoppedReason), c.reason) {
				t.Errorf("stopped by %s: %q, want %s: %q", task.StopCode, deref(task.StoppedReason),
					c.code, c.reason)
			}
			exit := int32(-1)
			if code := task.Containers[0].ExitCode; code != nil {
				exit = *code
			}
			if got := deref(task.Containers[0].Reason); exit != c.exit || !strings.HasPrefix(got, c.text) {
				t.Errorf("the container ended with %d %q, want %d %q", exit, got, c.exit, c.text)
			}
		})
	}
}

func (l *lab) stopForReason(arn string) {
	must(l.ecs.StopTask(l.t.Context(), &ecs.StopTaskInput{
		Cluster: new("lab"), Task: &arn, Reason: new("the test says so"),
	}))(l.t)
}

func (l *lab) killProcess(arn string) {
	if err := syscall.Kill(l.pid(idOf(arn)), syscall.SIGKILL); err != nil {
		l.t.Fatal(err)
	}
}

// checkOverlap runs a task at the same address in each of two VPCs.
func (l *lab) checkOverlap(t *testing.T) {
	l = l.in(t)
	var arns []string
	addresses := map[string]string{} // by VPC
	for _, name := range []string{"one", "two"} {
		vpc := must(l.ec2.CreateVpc(t.Context(), &ec2.CreateVpcInput{CidrBlock: new("10.7.0.0/16")}))(t).Vpc
		subnet := must(l.ec2.CreateSubnet(t.Context(), &ec2.CreateSubnetInput{
			VpcId: vpc.VpcId, CidrBlock: new("10.7.1.0/24"),
		}))(t).Subnet
		arn := l.run(*subnet.SubnetId, container(name))
		arns = append(arns, arn)
		address := detail(t, l.await(arn, "RUNNING"), "privateIPv4Address")
		addresses[address] = name
		eventually(t, "the task of VPC "+name+" answers", func() error {
			e, _, err := ask(clientIn(t, l.vpcNamespace(*vpc.VpcId)), "http://"+address+"/")
			if err == nil && e.Message != name {
				t.Fatalf("VPC %s has the task of VPC %s", name, e.Message)
			}
			return err
		})
	}
	if len(addresses) != 1 {
		t.Errorf("the tasks have the addresses %v, want the same", addresses)
	}
	for _, arn := range arns {
		l.stop(arn)
	}
}
