package ecs_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"fairlead/internal/row"
	"fairlead/internal/service/ecs"
	"fairlead/internal/state"
	"fairlead/internal/state/statetest"
)

const taskRole = `"taskRoleArn":"arn:aws:iam::123456789012:role/task",`

// noAgent is how AWS begins to say that no command can be run.
const noAgent = "The execute command failed because execute command was not enabled"

// runningTask runs a task of a definition with a role and says that its containers run.
func runningTask(w *world, more string) row.Task {
	w.t.Helper()
	arn := at(w.t, w.ok("RunTask", run(more)), "tasks.0.taskArn").(string)
	var task row.Task
	statetest.Update(w.t, w.store, func(tx *state.Tx) {
		task, _ = row.Tasks.Get(tx, arn)
		task.LastStatus = row.TaskRunning
		task.Containers = []row.TaskContainer{{
			Name: "app", ARN: task.InnerARN("container", "1"), RuntimeID: task.ID + "-0",
			LastStatus: row.TaskRunning, StartedAt: &w.now,
		}}
		row.Tasks.Put(tx, task)
	})
	return task
}

func TestExecuteCommand(t *testing.T) {
	w := populated(t)
	w.ok("RegisterTaskDefinition", fargate(taskRole))
	task := runningTask(w, `"enableExecuteCommand":true,`)
	want(t, w.ok("DescribeTasks", `{"cluster":"c","tasks":["`+task.ID+`"]}`), map[string]string{
		"tasks.0.enableExecuteCommand":                    `true`,
		"tasks.0.containers.0.managedAgents.0.name":       `"ExecuteCommandAgent"`,
		"tasks.0.containers.0.managedAgents.0.lastStatus": `"RUNNING"`,
	})
	out := w.ok("ExecuteCommand",
		`{"cluster":"c","task":"`+task.ID+`","interactive":true,"command":"sh -c 'echo \"a b\"'"}`)
	want(t, out, map[string]string{
		"containerName": `"app"`, "taskArn": `"` + task.ARN + `"`, "interactive": `true`,
	})
	id := at(t, out, "session.sessionId").(string)
	token := at(t, out, "session.tokenValue").(string)
	url := at(t, out, "session.streamUrl").(string)
	if url != "ws://example.com/v1/data-channel/"+id+"?role=publish_subscribe" {
		t.Errorf("stream URL %s", url)
	}
	take := func(id, token string, at time.Time) (s row.ExecSession, ok bool) {
		statetest.Update(t, w.store, func(tx *state.Tx) { s, ok = row.TakeExecSession(tx, id, token, at) })
		return s, ok
	}
	if _, ok := take(id, "guess", w.now); ok {
		t.Error("a wrong token opens the session")
	}
	s, ok := take(id, token, w.now.Add(time.Minute))
	if !ok || s.Container != task.ID+"-0" || !slices.Equal(s.Command, []string{"sh", "-c", `echo "a b"`}) {
		t.Errorf("session %+v, %v", s, ok)
	}
	if _, ok := take(id, token, w.now); ok {
		t.Error("a session can be begun twice")
	}
}

// TestExecSessionsExpire: what nobody begins in time cannot be begun any more, and is forgotten.
func TestExecSessionsExpire(t *testing.T) {
	w := populated(t)
	w.ok("RegisterTaskDefinition", fargate(taskRole))
	task := runningTask(w, `"enableExecuteCommand":true,`)
	call := `{"cluster":"c","task":"` + task.ID + `","interactive":true,"command":"sh"}`
	out := w.ok("ExecuteCommand", call)
	id, token := at(t, out, "session.sessionId").(string), at(t, out, "session.tokenValue").(string)
	w.now = w.now.Add(time.Hour)
	w.ok("ExecuteCommand", call)
	statetest.Update(t, w.store, func(tx *state.Tx) {
		if _, ok := row.TakeExecSession(tx, id, token, w.now); ok {
			t.Error("an expired session can be begun")
		}
		if n := len(slices.Collect(row.ExecSessions.Scan(tx, ""))); n != 1 {
			t.Errorf("%d sessions are kept, want the new one alone", n)
		}
	})
}

func TestExecuteCommandRefusals(t *testing.T) {
	w := populated(t)
	w.ok("RegisterTaskDefinition", fargate(taskRole))
	enabled := runningTask(w, `"enableExecuteCommand":true,`)
	plain := runningTask(w, "")
	for call, message := range map[string]string{
		`"task":"nope","interactive":true,"command":"sh"`:                              "The referenced task was not found.",
		`"task":"` + plain.ID + `","interactive":true,"command":"sh"`:                  noAgent,
		`"task":"` + enabled.ID + `","interactive":false,"command":"sh"`:               "Interactive must be set to true",
		`"task":"` + enabled.ID + `","interactive":true,"command":" "`:                 "The command is malformed: it is empty",
		`"task":"` + enabled.ID + `","interactive":true,"command":"echo 'x"`:           "The command is malformed: a quote is not closed",
		`"task":"` + enabled.ID + `","interactive":true,"command":"x","container":"n"`: "The container name specified is not in the task.",
	} {
		w.refused("ExecuteCommand", `{"cluster":"c",`+call+`}`, "InvalidParameterException", message)
	}
}

// TestExecNeedsARole: AWS's texts for tasks without a role.
func TestExecNeedsARole(t *testing.T) {
	w := populated(t)
	w.refused("RunTask", run(`"enableExecuteCommand":true,`), "InvalidParameterException",
		"The execute command failed because a valid task role is not being used. Specify a valid task "+
			"role in your task definition or as a task override and try again.")
	w.refused("CreateService", service(`"enableExecuteCommand":true,`), "InvalidParameterException",
		"The service couldn't be created because a valid taskRoleArn is not being used. Specify a valid "+
			"task role in your task definition and try again.")
	w.ok("CreateService", service(""))
	w.refused("UpdateService", `{"cluster":"c","service":"s","enableExecuteCommand":true}`,
		"InvalidParameterException", "The service couldn't be updated because a valid taskRoleArn")
	w.ok("RegisterTaskDefinition", fargate(taskRole))
	out := w.ok("UpdateService", `{"cluster":"c","service":"s","enableExecuteCommand":true,"taskDefinition":"web"}`)
	want(t, out, map[string]string{"service.enableExecuteCommand": `true`})
}

func TestSplitCommand(t *testing.T) {
	for text, want := range map[string][]string{
		`/bin/bash`:            {"/bin/bash"},
		` ls  -l	/tmp `:        {"ls", "-l", "/tmp"},
		`sh -c "echo \"hi\""`:  {"sh", "-c", `echo "hi"`},
		`echo 'a  b' c\ d ""`:  {"echo", "a  b", "c d", ""},
		`echo "a\nb" 'a\nb'`:   {"echo", `a\nb`, `a\nb`},
		`printf pre"mid"'end'`: {"printf", "premidend"},
	} {
		got, err := ecs.SplitCommand(text)
		if err != nil || !slices.Equal(got, want) {
			t.Errorf("%s: %q, %v, want %q", text, got, err, want)
		}
	}
	for _, text := range []string{"", "'", `"x`, `x\`, strings.Repeat("x", 8<<10+1)} {
		if words, err := ecs.SplitCommand(text); err == nil {
			t.Errorf("%.20q became %q", text, words)
		}
	}
}

func FuzzSplitCommand(f *testing.F) {
	f.Add(`sh -c "echo 'x'" \ `)
	f.Fuzz(func(t *testing.T, text string) {
		words, err := ecs.SplitCommand(text)
		if err != nil {
			return
		}
		quoted := ""
		for _, w := range words {
			quoted += "'" + strings.ReplaceAll(w, "'", `'\''`) + "' "
		}
		again, err := ecs.SplitCommand(quoted)
		if len(quoted) <= 8<<10 && (err != nil || !slices.Equal(again, words)) {
			t.Errorf("%q became %q, then %q, %v", text, words, again, err)
		}
	})
}
