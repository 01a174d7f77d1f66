package cloudwatch

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	api "fairlead/internal/api/cloudwatch"
	"fairlead/internal/aws"
	"fairlead/internal/metric"
	"fairlead/internal/row"
	"fairlead/internal/state/statetest"
	"fairlead/internal/wire"
	"fairlead/internal/wire/wiretest"
)

var (
	start = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	home  = row.Scope{Account: "123456789012", Region: "eu-west-1"}
)

func newService(t *testing.T) *Service {
	t.Helper()
	return New(statetest.Open(t, row.Tables()...), metric.New(), func() time.Time { return start })
}

func newRouter(t *testing.T) http.Handler {
	r := wire.NewRouter(wire.Config{})
	newService(t).Register(r)
	return r
}

func TestScripts(t *testing.T) {
	wiretest.Scripts(t, &api.API, regexp.MustCompile(`(?P<page>NextToken=\S+)`), newRouter)
}

func ctx(t *testing.T) context.Context {
	return aws.WithCaller(t.Context(), aws.Caller{Account: home.Account, Region: home.Region})
}

// TestAlarmPages walks through more alarms than a page has, and the history of one.
func TestAlarmPages(t *testing.T) {
	s := newService(t)
	def := api.PutMetricAlarmInput{
		MetricName: new("m"), Namespace: new("n"), Statistic: api.StatisticSum, Period: new(int32(60)),
		EvaluationPeriods: new(int32(1)), Threshold: new(1.0),
		ComparisonOperator: api.ComparisonOperatorGreaterThanThreshold,
	}
	for i := range 7 {
		def.AlarmName = new(fmt.Sprint("alarm", i))
		if _, err := s.PutMetricAlarm(ctx(t), &def); err != nil {
			t.Fatal(err)
		}
	}
	var names []string
	in := &api.DescribeAlarmsInput{MaxRecords: new(int32(3))}
	for pages := 0; pages == 0 || in.NextToken != nil; pages++ {
		out, err := s.DescribeAlarms(ctx(t), in)
		if err != nil || pages > 3 {
			t.Fatal(pages, err)
		}
		for _, a := range out.MetricAlarms {
			names = append(names, *a.AlarmName)
		}
		in.NextToken = out.NextToken
	}
	if got := strings.Join(names, " "); got != "alarm0 alarm1 alarm2 alarm3 alarm4 alarm5 alarm6" {
		t.Errorf("pages of alarms: %s", got)
	}
	lines := 0
	history := &api.DescribeAlarmHistoryInput{MaxRecords: new(int32(2))}
	for pages := 0; pages == 0 || history.NextToken != nil; pages++ {
		out, err := s.DescribeAlarmHistory(ctx(t), history)
		if err != nil || pages > 4 {
			t.Fatal(pages, err)
		}
		lines += len(out.AlarmHistoryItems)
		history.NextToken = out.NextToken
	}
	if lines != 7 {
		t.Errorf("%d lines of history", lines)
	}
}

// TestHistoryIsBounded and goes with its alarm, but not with one whose name begins like its.
func TestHistoryIsBounded(t *testing.T) {
	s := newService(t)
	for _, name := range []string{"a", "a|b"} {
		if _, err := s.PutMetricAlarm(ctx(t), definition(name)); err != nil {
			t.Fatal(err)
		}
	}
	for i := range 2 * row.MaxAlarmHistory {
		in := &api.SetAlarmStateInput{AlarmName: new("a"), StateReason: new("r"),
			StateValue: []api.StateValue{api.StateValueOK, api.StateValueALARM}[i%2]}
		if _, err := s.SetAlarmState(ctx(t), in); err != nil {
			t.Fatal(err)
		}
	}
	if n := row.AlarmEvents.Len(s.store.View()); n != row.MaxAlarmHistory+1 {
		t.Errorf("%d lines of history", n)
	}
	if _, err := s.DeleteAlarms(ctx(t), &api.DeleteAlarmsInput{AlarmNames: []string{"a"}}); err != nil {
		t.Fatal(err)
	}
	if n := row.AlarmEvents.Len(s.store.View()); n != 1 {
		t.Errorf("%d lines of history are left", n)
	}
}

func definition(name string) *api.PutMetricAlarmInput {
	return &api.PutMetricAlarmInput{
		AlarmName: &name, MetricName: new("m"), Namespace: new("n"), Statistic: api.StatisticSum,
		Period: new(int32(60)), EvaluationPeriods: new(int32(1)), Threshold: new(1.0),
		ComparisonOperator: api.ComparisonOperatorGreaterThanThreshold,
	}
}

// TestDataPages: pages of GetMetricData together are the whole.
func TestDataPages(t *testing.T) {
	s := newService(t)
	for i := range 10 {
		at := start.Add(-time.Duration(i) * time.Minute)
		_, err := s.PutMetricData(ctx(t), &api.PutMetricDataInput{Namespace: new("n"), MetricData: []api.MetricDatum{
			{MetricName: new("a"), Timestamp: &at, Value: new(float64(i))},
			{MetricName: new("b"), Timestamp: &at, Value: new(float64(i))},
		}})
		if err != nil {
			t.Fatal(err)
		}
	}
	query := func(name string) api.MetricDataQuery {
		return api.MetricDataQuery{Id: &name, MetricStat: &api.MetricStat{
			Metric: &api.Metric{Namespace: new("n"), MetricName: &name}, Period: new(int32(60)), Stat: new("Sum"),
		}}
	}
	in := &api.GetMetricDataInput{MetricDataQueries: []api.MetricDataQuery{query("a"), query("b")},
		StartTime: new(start.Add(-time.Hour)), EndTime: new(start.Add(time.Hour)), MaxDatapoints: new(int32(7))}
	got := map[string]string{}
	for pages := 0; pages == 0 || in.NextToken != nil; pages++ {
		out, err := s.GetMetricData(ctx(t), in)
		if err != nil || pages > 3 {
			t.Fatal(pages, err)
		}
		for _, r := range out.MetricDataResults {
			for _, v := range r.Values {
				got[*r.Id] += fmt.Sprint(v)
			}
		}
		in.NextToken = out.NextToken
	}
	if got["a"] != "0123456789" || got["b"] != "0123456789" {
		t.Errorf("%v", got)
	}
}

// TestCoverageTable holds the README to what the router answers.
func TestCoverageTable(t *testing.T) {
	text, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, op := range api.API.Operations {
		if !strings.Contains(string(text), op) {
			t.Errorf("%s is not in the table", op)
		}
	}
}
