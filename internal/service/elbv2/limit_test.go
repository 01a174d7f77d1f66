package elbv2_test

import (
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"testing"

	"fairlead/internal/service/elbv2"
)

// TestQuotas fills what each quota bounds and asks for one more.
func TestQuotas(t *testing.T) {
	s := newScript(t, elbv2.Config{})
	call := func(format string, args ...any) string {
		return strings.Join(s.step(fmt.Sprintf(format, args...)), "\n")
	}
	must := func(format string, args ...any) {
		t.Helper()
		if got := call(format, args...); got != "" {
			t.Fatal(got)
		}
	}
	want := func(code, format string, args ...any) {
		t.Helper()
		if got := call(format, args...); !strings.HasPrefix(got, "!"+code+":") {
			t.Errorf("want %s, got %q", code, got)
		}
	}
	const forward = "Type=forward Actions.1.TargetGroupArn=$app"
	must("CreateLoadBalancer Name=web Subnets.1=subnet-a Subnets.2=subnet-b")
	must("let web LoadBalancers.1.LoadBalancerArn")
	must("CreateTargetGroup Name=app Protocol=HTTP Port=80 VpcId=vpc-1 TargetType=ip")
	must("let app TargetGroups.1.TargetGroupArn")

	listen := "CreateListener LoadBalancerArn=$web Port=%d Protocol=HTTP " +
		"DefaultActions.1.Type=forward DefaultActions.1.TargetGroupArn=$app"
	for port := range 50 {
		must(listen, port+1)
	}
	must("let http Listeners.1.ListenerArn")
	want("TooManyListeners", listen, 51)

	rule := "CreateRule ListenerArn=$http Priority=%d Conditions.1.Field=path-pattern " +
		"Conditions.1.Values.1=/x Actions.1." + forward
	for priority := range 100 {
		must(rule, priority+1)
	}
	must("let rule Rules.1.RuleArn")
	want("TooManyRules", rule, 101)

	for i := range 49 {
		must("CreateLoadBalancer Name=web%d Subnets.1=subnet-a Subnets.2=subnet-b", i)
	}
	want("TooManyLoadBalancers", "CreateLoadBalancer Name=last Subnets.1=subnet-a Subnets.2=subnet-b")

	weighted := "ModifyRule RuleArn=$rule Actions.1.Type=forward"
	for i := range 6 {
		weighted += fmt.Sprintf(" Actions.1.ForwardConfig.TargetGroups.%d.TargetGroupArn=$app", i+1)
	}
	want("TooManyTargetGroups", "%s", weighted)
	want("TooManyTags", "AddTags ResourceArns.1=$web %s", manyTags(51))
	must("AddTags ResourceArns.1=$web %s", manyTags(50))
}

func manyTags(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, " Tags.%d.Key=k%d", i+1, i)
	}
	return b.String()
}

func TestTooManyTargets(t *testing.T) {
	s := newScript(t, elbv2.Config{})
	s.step("CreateTargetGroup Name=app Protocol=HTTP Port=80 VpcId=vpc-1 TargetType=ip")
	s.step("let app TargetGroups.1.TargetGroupArn")
	register := func(from, to int) string {
		form := url.Values{"Action": {"RegisterTargets"}, "Version": {"2015-12-01"},
			"TargetGroupArn": {s.vars["app"]}}
		for i := from; i < to; i++ {
			form.Set("Targets.member."+strconv.Itoa(i-from+1)+".Id", "10.0.1.7")
			form.Set("Targets.member."+strconv.Itoa(i-from+1)+".Port", strconv.Itoa(i+1))
		}
		body, err := send(s.router, form)
		if err != nil {
			t.Fatal(err)
		}
		return body
	}
	if got := register(0, 1000); strings.Contains(got, "Error") {
		t.Fatal(got)
	}
	if got := register(1000, 1001); !strings.Contains(got, "<Code>TooManyTargets</Code>") {
		t.Error(got)
	}
	if got := s.step("rows")[0]; !strings.Contains(got, " 1000 targets") {
		t.Error(got)
	}
}
