package ecs_test

import (
	"strings"
	"testing"

	"fairlead/internal/row"
)

// run is a RunTask of the definition web.
func run(more string) string {
	return `{` + more + `"cluster":"c","taskDefinition":"web","launchType":"FARGATE",` + network + `}`
}

func TestRunTaskSpreadsOverZones(t *testing.T) {
	w := populated(t)
	out := w.ok("RunTask", run(`"count":4,"enableECSManagedTags":true,"startedBy":"me",`))
	want(t, out, map[string]string{
		"failures":                             `[]`,
		"tasks.0.lastStatus":                   `"PROVISIONING"`,
		"tasks.0.desiredStatus":                `"RUNNING"`,
		"tasks.0.group":                        `"family:web"`,
		"tasks.0.platformVersion":              `"1.4.0"`,
		"tasks.0.cpu":                          `"256"`,
		"tasks.0.containers.0.lastStatus":      `"PENDING"`,
		"tasks.0.overrides.containerOverrides": `[{"name":"app"}]`,
		"tasks.0.tags":                         `[{"key":"aws:ecs:clusterName","value":"c"}]`,
	})
	zones := map[string]int{}
	for task := range row.Tasks.Scan(w.store.View(), "") {
		zones[task.Zone]++
	}
	if zones["eu-west-1a"] != 2 || zones["eu-west-1b"] != 2 {
		t.Errorf("tasks by zone: %v", zones)
	}
}

func TestRunTaskOverrides(t *testing.T) {
	w := populated(t)
	out := w.ok("RunTask", run(`"overrides":{"cpu":"512","memory":"1024","containerOverrides":[
		{"name":"app","command":["true"]}]},`))
	want(t, out, map[string]string{
		"tasks.0.cpu":                          `"512"`,
		"tasks.0.overrides.containerOverrides": `[{"name":"app","command":["true"]}]`,
	})
	w.refused("RunTask", run(`"overrides":{"containerOverrides":[{"name":"nope"}]},`),
		"InvalidParameterException",
		"Override for container named nope is not a container in the TaskDefinition.")
	w.refused("RunTask", run(`"overrides":{"cpu":"3"},`),
		"ClientException", "No Fargate configuration exists for given values.")
}

func TestRunTaskTokens(t *testing.T) {
	w := populated(t)
	first := w.ok("RunTask", run(`"clientToken":"t",`))
	second := w.ok("RunTask", run(`"clientToken":"t",`))
	if at(t, first, "tasks.0.taskArn") != at(t, second, "tasks.0.taskArn") {
		t.Error("the second call ran another task")
	}
	w.refused("RunTask", run(`"clientToken":"t","count":2,`), "ConflictException", "")
}

func TestRunTaskRefusals(t *testing.T) {
	w := populated(t)
	w.refused("RunTask", strings.Replace(run(""), `"FARGATE"`, `"EC2"`, 1),
		"InvalidParameterException", "No Container Instances were found in your cluster.")
	w.refused("RunTask", run(`"count":11,`), "InvalidParameterException", "count must be between")
	w.ok("DeregisterTaskDefinition", `{"taskDefinition":"web:1"}`)
	w.refused("RunTask", strings.Replace(run(""), `"web"`, `"web:1"`, 1),
		"InvalidParameterException", "TaskDefinition is inactive")
}

func TestStopTask(t *testing.T) {
	w := populated(t)
	arn := at(t, w.ok("RunTask", run(`"tags":[{"key":"a","value":"b"}],`)), "tasks.0.taskArn").(string)
	id := arn[strings.LastIndexByte(arn, '/')+1:]
	const described = `{"cluster":"c","include":["TAGS"],"tasks":["`
	want(t, w.ok("DescribeTasks", described+id+`"]}`), map[string]string{
		"tasks.0.tags": `[{"key":"a","value":"b"}]`,
	})
	want(t, w.ok("StopTask", `{"cluster":"c","task":"`+id+`","reason":"enough"}`), map[string]string{
		"task.desiredStatus": `"STOPPED"`, "task.stopCode": `"UserInitiated"`,
		"task.stoppedReason": `"enough"`, "task.lastStatus": `"PROVISIONING"`,
	})
	want(t, w.ok("StopTask", `{"cluster":"c","task":"`+arn+`","reason":"again"}`),
		map[string]string{"task.stoppedReason": `"enough"`})
	want(t, w.ok("DescribeTasks", described+id+`"]}`), map[string]string{"tasks.0.tags": `[]`})
	w.refused("StopTask", `{"cluster":"c","task":"nope"}`,
		"InvalidParameterException", "The referenced task was not found.")
}

func TestListTasksFilters(t *testing.T) {
	w := populated(t)
	one := at(t, w.ok("RunTask", run(`"startedBy":"me",`)), "tasks.0.taskArn").(string)
	two := at(t, w.ok("RunTask", run("")), "tasks.0.taskArn").(string)
	w.ok("StopTask", `{"cluster":"c","task":"`+two+`"}`)
	for filter, arns := range map[string]string{
		``:                           `["` + one + `"]`,
		`,"desiredStatus":"STOPPED"`: `["` + two + `"]`,
		`,"desiredStatus":"PENDING"`: `[]`,
		`,"startedBy":"me"`:          `["` + one + `"]`,
		`,"startedBy":"you"`:         `[]`,
		`,"family":"web"`:            `["` + one + `"]`,
		`,"family":"we"`:             `[]`,
		`,"launchType":"EC2"`:        `[]`,
	} {
		want(t, w.ok("ListTasks", `{"cluster":"c"`+filter+`}`), map[string]string{"taskArns": arns})
	}
	w.refused("ListTasks", `{"cluster":"c","serviceName":"nope"}`,
		"ServiceNotFoundException", "Service not found.")
	w.refused("ListTasks", `{"cluster":"c","startedBy":"me","family":"web"}`,
		"InvalidParameterException", "The startedBy filter must be the only filter")
}

func TestTaskProtectionIsForServices(t *testing.T) {
	w := populated(t)
	arn := at(t, w.ok("RunTask", run("")), "tasks.0.taskArn").(string)
	want(t, w.ok("UpdateTaskProtection",
		`{"cluster":"c","tasks":["`+arn+`","nope"],"protectionEnabled":true}`), map[string]string{
		"protectedTasks":    `[]`,
		"failures.0.reason": `"TASK_NOT_VALID"`,
		"failures.1.reason": `"MISSING"`,
	})
}
