package metamorphic

import (
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"fairlead/internal/api/ecs"
	"fairlead/internal/aws"
)

// describe is what a client sees of everything in the end, without what is different each time:
// one line per thing, in an order of their own.
func (w *world) describe() []string {
	w.t.Helper()
	d := &description{world: w}
	d.clusters()
	for _, name := range serviceNames {
		d.service(name)
	}
	d.tasks()
	d.definitions()
	slices.Sort(d.lines)
	return d.lines
}

type description struct {
	*world
	lines []string
}

// add notes a thing; it has been described without error.
func (d *description) add(kind string, thing any, err error) {
	d.t.Helper()
	if err != nil {
		d.t.Fatalf("describe %s: %v", kind, err)
	}
	encoded, err := json.Marshal(thing)
	if err != nil {
		d.t.Fatal(err)
	}
	d.lines = append(d.lines, kind+" "+anonymous(string(encoded)))
}

// noise is what is different each time, with what it is replaced by.
var noise = []struct {
	what *regexp.Regexp
	by   string
}{
	{regexp.MustCompile(`[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}`), "UUID"},
	{regexp.MustCompile(`[0-9a-f]{32}(-[0-9]+)?`), "HEX"},
	{regexp.MustCompile(`\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z`), "TIME"},
	{regexp.MustCompile(`eni-[0-9a-f]+`), "ENI"},
	{regexp.MustCompile(`([0-9a-f]{2}:){5}[0-9a-f]{2}`), "MAC"},
	{regexp.MustCompile(`10[.-]0[.-]\d+[.-]\d+`), "ADDRESS"},
	{regexp.MustCompile(`subnet-[ab]"\},\{"name":"networkInterfaceId`), `SUBNET"},{"name":"networkInterfaceId`},
	{regexp.MustCompile(`"availabilityZone":"eu-west-1[ab]"`), `"availabilityZone":"ZONE"`},
	{regexp.MustCompile(`\b\d{19}\b`), "NUMBER"},
	{regexp.MustCompile(`(service-deployment/c/[a-z]+/)[\w-]{21}`), "${1}ID"},
	{regexp.MustCompile(`"version":\d+`), `"version":N`}, // how often it was looked at
}

func anonymous(text string) string {
	for _, n := range noise {
		text = n.what.ReplaceAllString(text, n.by)
	}
	return text
}

func (d *description) clusters() {
	out, err := d.api.DescribeClusters(d.ctx, &ecs.DescribeClustersInput{Clusters: []string{"c", "d"}})
	d.add("clusters", out, err)
}

// service describes a service, its history and its deployments.
func (d *description) service(name string) {
	d.t.Helper()
	out, err := d.api.DescribeServices(d.ctx, &ecs.DescribeServicesInput{
		Cluster: new("c"), Services: []string{name}, Include: []ecs.ServiceField{ecs.ServiceFieldTAGS},
	})
	if err != nil {
		d.t.Fatal(err)
	}
	for i := range out.Services {
		svc := &out.Services[i]
		if name != hasty {
			d.add("events of "+name, digest(svc.Events), nil)
			d.deployments(name)
		}
		svc.Events = nil
	}
	d.add("service "+name, out, nil)
}

// digest sums up service events: whether two tasks were told of in one event or in two does not
// matter.
func digest(events []ecs.ServiceEvent) map[string]int {
	sums := map[string]int{}
	number := regexp.MustCompile(` \d+ `)
	for _, e := range events {
		text, _, _ := strings.Cut(*e.Message, ": (task")
		n := 1
		if found := number.FindString(text); found != "" {
			n, _ = strconv.Atoi(strings.TrimSpace(found))
			text = strings.Replace(text, found, " N ", 1)
		}
		sums[anonymous(text)] += n
	}
	return sums
}

func (d *description) deployments(name string) {
	d.t.Helper()
	list, err := d.api.ListServiceDeployments(d.ctx, &ecs.ListServiceDeploymentsInput{
		Cluster: new("c"), Service: &name,
	})
	if err != nil {
		d.t.Fatal(err)
	}
	for i, brief := range list.ServiceDeployments {
		out, err := d.api.DescribeServiceDeployments(d.ctx, &ecs.DescribeServiceDeploymentsInput{
			ServiceDeploymentArns: []string{*brief.ServiceDeploymentArn},
		})
		d.add(fmt.Sprintf("deployment %d of %s", i, name), out, err)
	}
}

// tasks describes the tasks of the cluster c, but not what hasty no longer wants.
func (d *description) tasks() {
	d.t.Helper()
	for _, desired := range []ecs.DesiredStatus{ecs.DesiredStatusRUNNING, ecs.DesiredStatusSTOPPED} {
		list, err := d.api.ListTasks(d.ctx, &ecs.ListTasksInput{Cluster: new("c"), DesiredStatus: desired})
		if err != nil || len(list.TaskArns) == 0 {
			d.t.Fatalf("%d tasks are to be %s, error %v", len(list.TaskArns), desired, err)
		}
		out, err := d.api.DescribeTasks(d.ctx, &ecs.DescribeTasksInput{
			Cluster: new("c"), Tasks: list.TaskArns, Include: []ecs.TaskField{ecs.TaskFieldTAGS},
		})
		if err != nil {
			d.t.Fatal(err)
		}
		for _, t := range out.Tasks {
			if desired == ecs.DesiredStatusRUNNING || aws.Val(t.Group) != "service:"+hasty {
				d.add("task", t, nil)
			}
		}
	}
}

func (d *description) definitions() {
	d.t.Helper()
	list, err := d.api.ListTaskDefinitions(d.ctx, &ecs.ListTaskDefinitionsInput{})
	d.add("definitions", list, err)
	for _, arn := range []string{"paper:1", "paper:2", "web:2"} {
		out, err := d.api.DescribeTaskDefinition(d.ctx, &ecs.DescribeTaskDefinitionInput{
			TaskDefinition: &arn, Include: []ecs.TaskDefinitionField{ecs.TaskDefinitionFieldTAGS},
		})
		d.add("definition "+arn, out, err)
	}
}
