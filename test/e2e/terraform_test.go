package e2e

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestTerraform applies the example by the unmodified provider, changes it in place and destroys it.
func TestTerraform(t *testing.T) {
	needTerraform(t)
	f := start(t)
	before := takeInventory(t, f.tag())
	tf := f.terraform()
	tf.apply()
	tf.planIsEmpty()
	site := tf.site()
	tf.steady(2, 1)
	site.checkRouting(t)
	t.Run("desired count in place", tf.changeCount)
	t.Run("rule in place", func(t *testing.T) { tf.changeRule(t, site) })
	t.Run("image in place", func(t *testing.T) { tf.changeImage(t, site) })
	t.Run("alarm in place", tf.addAlarm)
	tf.destroyStack()
	f.nothingRuns()
	eventually(t, "the devices are gone", func() error { return before.difference(t, f.tag()) })
}

func (tf *terraform) changeCount(t *testing.T) {
	tf = tf.in(t)
	out := tf.apply("desired_count=3")
	if !strings.Contains(out, "0 added, 1 changed, 0 destroyed") {
		t.Errorf("apply says:\n%s", out)
	}
	tf.planIsEmpty("desired_count=3")
	tf.steady(3, 1)
}

const morePaths = `api_paths=["/api/*","/v2/*"]`

func (tf *terraform) changeRule(t *testing.T, site *site) {
	tf = tf.in(t)
	vars := []string{"desired_count=3", morePaths}
	out := tf.apply(vars...)
	if !strings.Contains(out, "0 added, 1 changed, 0 destroyed") {
		t.Errorf("apply says:\n%s", out)
	}
	tf.planIsEmpty(vars...)
	client := site.client(t, false, true)
	eventually(t, "/v2/ reaches the API", func() error {
		e, _, err := ask(client, "https://www.twtech.test/v2/x")
		if err != nil || e.Message != "api" {
			return fmt.Errorf("%q answers (%v), want api", e.Message, err)
		}
		return nil
	})
}

func (tf *terraform) changeImage(t *testing.T, site *site) {
	tf = tf.in(t)
	vars := []string{"desired_count=3", morePaths, "image=fairlead/hello:v2"}
	old := tf.taskIDs()
	tf.apply(vars...)
	tf.planIsEmpty(vars...)
	tf.steady(3, 1)
	client := site.client(t, false, true)
	for range 10 {
		e, _, err := ask(client, "https://www.twtech.test/")
		if err != nil || e.Version != "v2" || old[e.Task] {
			t.Fatalf("version %q of task %s answers (%v), want v2", e.Version, e.Task, err)
		}
	}
}

// alarmFile adds an alarm on the load balancer to the stack.
const alarmFile = `
resource "aws_cloudwatch_metric_alarm" "errors" {
  alarm_name          = "twtech-5xx"
  namespace           = "AWS/ApplicationELB"
  metric_name         = "HTTPCode_Target_5XX_Count"
  dimensions          = { LoadBalancer = aws_lb.twtech_alb.arn_suffix }
  statistic           = "Sum"
  period              = 10
  evaluation_periods  = 1
  threshold           = 3
  comparison_operator = "GreaterThanOrEqualToThreshold"
  treat_missing_data  = "notBreaching"
  alarm_actions       = ["arn:aws:sns:us-east-1:123456789012:pager"]
  tags                = { team = "web" }
}
`

// alarmOverride lets the alarm watch the web service's deployments. A file of this name overrides
// what the others say of the service.
const alarmOverride = `
resource "aws_ecs_service" "twtech_service" {
  alarms {
    enable      = true
    rollback    = true
    alarm_names = [aws_cloudwatch_metric_alarm.errors.alarm_name]
  }
}
`

// addAlarm leaves the alarm in the stack, so that destroying it is tried, too.
func (tf *terraform) addAlarm(t *testing.T) {
	tf = tf.in(t)
	for name, text := range map[string]string{
		"alarm.tf": alarmFile, "alarm_override.tf": alarmOverride,
	} {
		if err := os.WriteFile(filepath.Join(tf.dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	vars := []string{"desired_count=3", morePaths, "image=fairlead/hello:v2"}
	out := tf.apply(vars...)
	if !strings.Contains(out, "1 added, 1 changed, 0 destroyed") {
		t.Errorf("apply says:\n%s", out)
	}
	tf.planIsEmpty(vars...)
}

// terraform runs Terraform on a copy of the example stack.
type terraform struct {
	*fairlead
	dir string
}

func (f *fairlead) terraform() *terraform {
	f.t.Helper()
	tf := &terraform{fairlead: f, dir: f.t.TempDir()}
	f.certificate(filepath.Join(tf.dir, "certificate"))
	tf.copyStack()
	tf.do("init", "-input=false", "-no-color", "-plugin-dir="+os.Getenv("FAIRLEAD_TF_PLUGIN_DIR"))
	return tf
}

// in is the same stack for a subtest.
func (tf *terraform) in(t *testing.T) *terraform { return &terraform{tf.fairlead.in(t), tf.dir} }

func (tf *terraform) copyStack() {
	tf.t.Helper()
	files, err := filepath.Glob("../../examples/ecs-fargate-alb/*.tf")
	if err != nil || len(files) == 0 {
		tf.t.Fatalf("find the stack: %v, %d files", err, len(files))
	}
	for _, file := range files {
		raw, err := os.ReadFile(file)
		if err != nil {
			tf.t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(tf.dir, filepath.Base(file)), raw, 0o600); err != nil {
			tf.t.Fatal(err)
		}
	}
}

func (tf *terraform) do(args ...string) string {
	tf.t.Helper()
	return tf.run(tf.dir, "terraform", args...)
}

func (tf *terraform) apply(vars ...string) string {
	tf.t.Helper()
	return tf.do(append([]string{"apply", "-auto-approve", "-input=false", "-no-color"}, flags(vars)...)...)
}

func (tf *terraform) destroyStack() {
	tf.t.Helper()
	tf.do("destroy", "-auto-approve", "-input=false", "-no-color")
}

// planIsEmpty fails the test when Terraform would change something.
func (tf *terraform) planIsEmpty(vars ...string) {
	tf.t.Helper()
	args := append([]string{"plan", "-detailed-exitcode", "-input=false", "-no-color"}, flags(vars)...)
	out, err := tf.try(tf.dir, "terraform", args...)
	if exit, ok := errors.AsType[*exec.ExitError](err); ok && exit.ExitCode() == 2 {
		tf.t.Errorf("the plan after apply is not empty:\n%s", out)
	} else if err != nil {
		tf.t.Fatalf("terraform plan: %v\n%s", err, out)
	}
}

func flags(vars []string) []string {
	var out []string
	for _, v := range vars {
		out = append(out, "-var="+v)
	}
	return out
}

// site is the stack's load balancer.
func (tf *terraform) site() *site {
	tf.t.Helper()
	var name string
	if err := json.Unmarshal([]byte(tf.do("output", "-json", "dns_name")), &name); err != nil {
		tf.t.Fatal(err)
	}
	return visit(tf.t, filepath.Join(tf.dir, "certificate"), name)
}
