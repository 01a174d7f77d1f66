package e2e

import (
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"
	"github.com/aws/aws-sdk-go-v2/service/iam"

	"fairlead/internal/node/session"
	"fairlead/internal/node/session/sessiontest"
)

// checkExec runs a shell in a task by ECS Exec, as `aws ecs execute-command` and the Session Manager
// plugin do, and looks around.
func (l *lab) checkExec(t *testing.T) {
	l = l.in(t)
	arn := l.runExec()
	task := l.await(arn, "RUNNING")
	if agents := task.Containers[0].ManagedAgents; len(agents) != 1 ||
		agents[0].Name != types.ManagedAgentNameExecuteCommandAgent || *agents[0].LastStatus != "RUNNING" {
		t.Errorf("managed agents: %+v", agents)
	}
	p := l.execute(arn, "sh")
	p.Send(session.PayloadSize, `{"cols":132,"rows":50}`)
	p.Until("$ ")
	for line, words := range map[string][]string{
		"env":                       {"MESSAGE=exec", "TERM=xterm-256color"},
		"curl -s http://localhost/": {"200 OK"}, // of the task's own server
		"size":                      {"50 132"},
	} {
		p.Send(session.PayloadOutput, line+"\r")
		shown := strings.TrimPrefix(p.Until("$ "), line)
		for _, word := range words {
			if !strings.Contains(shown, word) {
				t.Errorf("%s shows %q, without %s", line, shown, word)
			}
		}
	}
	p.Send(session.PayloadOutput, "exit\r")
	if _, why := p.Rest(); why != "" {
		t.Errorf("the session closed because %q", why)
	}
	if _, why := l.execute(arn, "no-such-program").Rest(); !strings.Contains(why, "no-such-program") {
		t.Errorf("a program that is not there: %q", why)
	}
	hanging := l.execute(arn, "/hello --sleep 1h")
	l.stop(arn)
	hanging.Rest() // the session ends with its task
}

// runExec starts a task with ECS Exec.
func (l *lab) runExec() string {
	l.t.Helper()
	role := must(l.iam.CreateRole(l.t.Context(), &iam.CreateRoleInput{
		RoleName: new("exec"), AssumeRolePolicyDocument: new(trust),
	}))(l.t)
	def := must(l.ecs.RegisterTaskDefinition(l.t.Context(), &ecs.RegisterTaskDefinitionInput{
		Family: new("exec"), Cpu: new("256"), Memory: new("512"), NetworkMode: types.NetworkModeAwsvpc,
		RequiresCompatibilities: []types.Compatibility{types.CompatibilityFargate},
		TaskRoleArn:             role.Role.Arn,
		ContainerDefinitions:    []types.ContainerDefinition{container("exec")},
	}))(l.t)
	out := must(l.ecs.RunTask(l.t.Context(), &ecs.RunTaskInput{
		Cluster: new("lab"), TaskDefinition: def.TaskDefinition.TaskDefinitionArn,
		LaunchType: types.LaunchTypeFargate, EnableExecuteCommand: true,
		NetworkConfiguration: &types.NetworkConfiguration{AwsvpcConfiguration: &types.AwsVpcConfiguration{
			Subnets: []string{*l.subnet.SubnetId},
		}},
	}))(l.t)
	return *out.Tasks[0].TaskArn
}

// execute begins a session.
func (l *lab) execute(task, command string) *sessiontest.Plugin {
	l.t.Helper()
	out := must(l.ecs.ExecuteCommand(l.t.Context(), &ecs.ExecuteCommandInput{
		Cluster: new("lab"), Task: &task, Command: &command, Interactive: true,
	}))(l.t)
	p := sessiontest.Dial(l.t, *out.Session.StreamUrl)
	p.Shake(*out.Session.TokenValue)
	return p
}
