package e2e

import (
	"os"
	"os/exec"
	"strings"
	"testing"
)

// noTag is part of no cgroup's name: the demo's instance has a tag of its own.
const noTag = "no-instance"

// TestDemo runs what `make run` runs, with the AWS SDK in place of Terraform.
func TestDemo(t *testing.T) {
	if skipReason != "" {
		t.Skip(skipReason)
	}
	before := takeInventory(t, noTag)
	cmd := exec.CommandContext(t.Context(), "go", "run", "./examples/ecs-fargate-alb/demo",
		"--fairlead", os.Getenv("FAIRLEAD_BIN"), "--sdk", "--once")
	cmd.Dir = "../.."
	raw, err := cmd.CombinedOutput()
	out := string(raw)
	if err != nil {
		t.Fatalf("the demo ends with %v:\n%s", err, out)
	}
	for _, want := range []string{
		"301 https://", "200 from web on ", "200 from api on ", "www.twtech.test", "issued by Fairlead",
		"Open https://twtech-alb-", "healthy (twtech-web:80)", "healthy (twtech-api:80)",
	} {
		if !strings.Contains(out, want) {
			t.Errorf("the demo does not say %q", want)
		}
	}
	before.compare(t, noTag)
	if t.Failed() {
		t.Logf("the demo says:\n%s", out)
	}
}
