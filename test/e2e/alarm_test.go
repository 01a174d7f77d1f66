package e2e

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	cwtypes "github.com/aws/aws-sdk-go-v2/service/cloudwatch/types"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"
)

const (
	errorsAlarm = "twtech-5xx"
	// fragile is the path that the broken version answers 500.
	fragile = "/fragile"
	// fragilePause is the pause between two requests for it.
	fragilePause = 50 * time.Millisecond
)

// TestAlarmRollsBack watches the web service's deployments by an alarm on the errors that its targets
// answer. A version that passes its health checks but fails on one path is rolled back by itself, and
// requests for other paths never fail; a version without errors is complete after the bake.
func TestAlarmRollsBack(t *testing.T) {
	s := start(t).bringUp(nil)
	s.drainFor("30") // the load's uploads take a second, which is bringUp's delay
	s.alarmOnErrors()
	s.update(func(in *ecs.UpdateServiceInput) {
		in.DeploymentConfiguration = &types.DeploymentConfiguration{Alarms: &types.DeploymentAlarms{
			AlarmNames: []string{errorsAlarm}, Enable: true, Rollback: true,
		}}
	})
	t.Run("a version that answers 500", s.fragileVersion)
	t.Run("a version without errors", s.soundVersion)
}

// alarmOnErrors makes the alarm: three answers of 5XX in ten seconds.
func (s *stack) alarmOnErrors() {
	s.t.Helper()
	balancers := must(s.elb.DescribeLoadBalancers(s.t.Context(), nil))(s.t).LoadBalancers
	_, path, _ := strings.Cut(*balancers[0].LoadBalancerArn, "loadbalancer/")
	must(s.cloudwatch.PutMetricAlarm(s.t.Context(), &cloudwatch.PutMetricAlarmInput{
		AlarmName: new(errorsAlarm), Namespace: new("AWS/ApplicationELB"),
		MetricName: new("HTTPCode_Target_5XX_Count"), Statistic: cwtypes.StatisticSum,
		Dimensions: []cwtypes.Dimension{{Name: new("LoadBalancer"), Value: &path}},
		Period:     new(int32(10)), EvaluationPeriods: new(int32(1)), Threshold: new(3.0),
		ComparisonOperator: cwtypes.ComparisonOperatorGreaterThanOrEqualToThreshold,
		TreatMissingData:   new("notBreaching"),
	}))(s.t)
	s.alarmIs(cwtypes.StateValueOk)
}

// alarmIs waits until the alarm has the state.
func (s *stack) alarmIs(want cwtypes.StateValue) {
	s.t.Helper()
	eventually(s.t, "the alarm is "+string(want), func() error {
		out, err := s.cloudwatch.DescribeAlarms(s.t.Context(), &cloudwatch.DescribeAlarmsInput{
			AlarmNames: []string{errorsAlarm},
		})
		if err != nil || len(out.MetricAlarms) != 1 {
			return fmt.Errorf("describe alarms: %w", err)
		}
		if a := out.MetricAlarms[0]; a.StateValue != want {
			return fmt.Errorf("it is %s: %s", a.StateValue, *a.StateReason)
		}
		return nil
	})
}

func (s *stack) fragileVersion(t *testing.T) {
	s = s.in(t)
	good := s.service()
	l := s.site.begin(t)
	s.site.hammer(t, fragile)
	s.update(func(in *ecs.UpdateServiceInput) {
		in.TaskDefinition = new(s.broken(func(c *types.ContainerDefinition) {
			c.Environment = append(c.Environment,
				types.KeyValuePair{Name: new("FAIL_PATH"), Value: new(fragile)})
		}))
	})
	bad := *s.service().Deployments[0].Id
	s.alarmIs(cwtypes.StateValueAlarm)
	eventually(t, "the deployment is rolled back", func() error { return s.isBack(good) })
	l.finish(t)
	s.steady(2, 1)
	s.toldRollback(bad, *good.Deployments[0].Id, "alarm detected.")
	s.alarmIs(cwtypes.StateValueOk)
}

func (s *stack) soundVersion(t *testing.T) {
	s = s.in(t)
	before := s.taskIDs()
	s.update(func(in *ecs.UpdateServiceInput) { in.ForceNewDeployment = true })
	record := s.service().CurrentServiceDeployment
	s.replaced(before)
	out := must(s.ecs.DescribeServiceDeployments(t.Context(), &ecs.DescribeServiceDeploymentsInput{
		ServiceDeploymentArns: []string{*record},
	}))(t)
	d := out.ServiceDeployments[0]
	if d.Status != types.ServiceDeploymentStatusSuccessful ||
		d.Alarms.Status != types.ServiceDeploymentRollbackMonitorsStatusMonitoringComplete {
		t.Errorf("the deployment is %s, alarms are %s", d.Status, d.Alarms.Status)
	}
}

// hammer requests one path, whatever is answered, until the test ends.
func (s *site) hammer(t *testing.T, path string) {
	client := s.client(t, false, false)
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() {
		ticker := time.NewTicker(fragilePause)
		defer ticker.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-ticker.C:
				get(client, "https://www.twtech.test"+path)
			}
		}
	})
	t.Cleanup(func() { cancel(); running.Wait() })
}

// get makes a request of which nothing is expected.
func get(client *http.Client, url string) {
	resp, err := client.Get(url)
	if err != nil {
		return
	}
	defer resp.Body.Close()
	io.Copy(io.Discard, resp.Body)
}
