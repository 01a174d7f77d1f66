package metric

import (
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"fairlead/internal/api/elbv2"
	"fairlead/internal/lb"
	"fairlead/internal/metric"
	"fairlead/internal/row"
	"fairlead/internal/state"
	"fairlead/internal/state/statetest"
)

var noon = time.Date(2026, 7, 1, 12, 0, 0, 0, time.UTC)

// engine has the counts that a test gives it.
type engine struct{ stats lb.Stats }

// Stats implements Engine.
func (e *engine) Stats() lb.Stats {
	return lb.Stats{LoadBalancers: maps.Clone(e.stats.LoadBalancers), Groups: maps.Clone(e.stats.Groups)}
}

const (
	balancer = "arn:aws:elasticloadbalancing:r:1:loadbalancer/app/web/b1"
	group    = "arn:aws:elasticloadbalancing:r:1:targetgroup/web/g1"
)

// newBench is a controller over a store with a load balancer, its group and two targets of a zone.
func newBench(t *testing.T) (*engine, *Controller) {
	store := statetest.Open(t, row.Tables()...)
	sc := row.Scope{Account: "1", Region: "r"}
	statetest.Update(t, store, func(tx *state.Tx) {
		row.LoadBalancers.Put(tx, row.LoadBalancer{Scope: sc, ARN: balancer, Name: "web", ID: "b1"})
		row.TargetGroups.Put(tx, row.TargetGroup{Scope: sc, ARN: group, Name: "web"})
		row.Rules.Put(tx, row.Rule{Scope: sc, ARN: "rule", LoadBalancer: balancer, Actions: []elbv2.Action{{
			ForwardConfig: &elbv2.ForwardActionConfig{
				TargetGroups: []elbv2.TargetGroupTuple{{TargetGroupArn: new(group)}}}}}})
		for i, health := range []string{"healthy", "unhealthy"} {
			id := fmt.Sprint("10.0.0.", i)
			row.Targets.Put(tx, row.Target{TargetGroup: group, ID: id, Port: 80, Zone: "ra"})
			row.TargetHealths.Put(tx, row.TargetHealth{TargetGroup: group, ID: id, Port: 80, State: health})
		}
	})
	e := &engine{lb.Stats{
		LoadBalancers: map[string]lb.LoadBalancerStats{"app/web/b1": {ELB5XX: 7}},
		Groups:        map[string]lb.GroupStats{group: {Target5XX: 2}, "gone": {Target5XX: 1}},
	}}
	return e, New(Config{Store: store, Engine: e, Metrics: metric.New(),
		Logger: slog.New(slog.DiscardHandler), Now: func() time.Time { return noon }})
}

// published renders what the store has of ten seconds.
func published(c *Controller, from time.Time) (lines []string) {
	q := metric.Query{From: from, To: from.Add(cadence), Period: cadence}
	for _, m := range c.cfg.Metrics.List("1/r/") {
		var dims []string
		for _, d := range m.Dimensions {
			dims = append(dims, d.Name+"="+d.Value)
		}
		for _, p := range c.cfg.Metrics.Points(m.ID, q) {
			lines = append(lines, fmt.Sprintf("%s %s: %.3g %s in %g", m.Name, strings.Join(dims, ","), p.Sum,
				p.Unit, p.Count))
		}
	}
	slices.Sort(lines)
	return lines
}

// TestPublish: what was counted since the last time is published, under AWS's names, and no zeros.
func TestPublish(t *testing.T) {
	e, c := newBench(t)
	e.stats.LoadBalancers["app/web/b1"] = lb.LoadBalancerStats{ELB5XX: 9, ActiveConnections: 4,
		ProcessedBytes: 100, LambdaTargetProcessedBytes: 60,
		JWTValidationSuccessCount: 2, JWTValidationFailureCount: 1}
	times := lb.Histogram{Count: 3, Seconds: 0.6}
	times.Buckets[70] = 3
	e.stats.Groups[group] = lb.GroupStats{RequestCount: 6, Target2XX: 1, Target5XX: 5, GrpcRequestCount: 1,
		LambdaUserError: 2, LambdaInternalError: 1, TargetResponseTime: times}
	c.Publish(noon)
	const alone = " TargetGroup=targetgroup/web/g1: "
	const whole, part, zone = " LoadBalancer=app/web/b1: ", " LoadBalancer=app/web/b1,TargetGroup=targetgroup/web/g1: ",
		" AvailabilityZone=ra,LoadBalancer=app/web/b1,TargetGroup=targetgroup/web/g1: "
	want := []string{
		"ActiveConnectionCount" + whole + "4 Count in 1", "GrpcRequestCount" + part + "1 Count in 1",
		"HTTPCode_ELB_5XX_Count" + whole + "2 Count in 2", "HTTPCode_Target_2XX_Count" + part + "1 Count in 1",
		"HTTPCode_Target_2XX_Count" + whole + "1 Count in 1", "HTTPCode_Target_5XX_Count" + part + "3 Count in 3",
		"HTTPCode_Target_5XX_Count" + whole + "3 Count in 3", "HealthyHostCount" + part + "1 Count in 1",
		"JWTValidationFailureCount" + whole + "1 Count in 1",
		"JWTValidationSuccessCount" + whole + "2 Count in 2",
		"HealthyHostCount" + zone + "1 Count in 1", "ProcessedBytes" + whole + "100 Bytes in 1",
		"LambdaTargetProcessedBytes" + whole + "60 Bytes in 1",
		"LambdaUserError" + part + "2 Count in 2", "LambdaUserError" + alone + "2 Count in 2",
		"LambdaInternalError" + part + "1 Count in 1", "LambdaInternalError" + alone + "1 Count in 1",
		"RequestCount" + part + "6 Count in 6", "RequestCount" + whole + "6 Count in 6",
		"TargetResponseTime" + part + "0.6 Seconds in 3", "TargetResponseTime" + whole + "0.6 Seconds in 3",
		"UnHealthyHostCount" + part + "1 Count in 1", "UnHealthyHostCount" + zone + "1 Count in 1",
	}
	slices.Sort(want)
	if got := published(c, noon.Add(-cadence)); !slices.Equal(got, want) {
		t.Errorf("published:\n%s\nwant:\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	c.Publish(noon.Add(cadence))
	for _, line := range published(c, noon) {
		if !strings.Contains(line, "HostCount") && !strings.HasPrefix(line, "ActiveConnectionCount") {
			t.Errorf("published although nothing happened: %s", line)
		}
	}
}
