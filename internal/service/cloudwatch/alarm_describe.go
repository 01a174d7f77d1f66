package cloudwatch

import (
	"context"
	"reflect"
	"slices"
	"strings"

	api "fairlead/internal/api/cloudwatch"
	"fairlead/internal/aws"
	"fairlead/internal/row"
)

// defaultAlarmPage is how many alarms, or lines of history, a page has unless MaxRecords says.
const (
	defaultAlarmPage   = 50
	defaultHistoryPage = 100
)

// DescribeAlarms lists alarms by name.
func (s *Service) DescribeAlarms(
	ctx context.Context, in *api.DescribeAlarmsInput,
) (*api.DescribeAlarmsOutput, error) {
	if err := checkDescribe(in); err != nil {
		return nil, err
	}
	from, err := readToken(in.NextToken)
	if err != nil {
		return nil, err
	}
	out := &api.DescribeAlarmsOutput{
		MetricAlarms: []api.MetricAlarm{}, CompositeAlarms: []api.CompositeAlarm{},
	}
	prefix := row.AlarmARN(scope(ctx), aws.Val(in.AlarmNamePrefix))
	for a := range row.Alarms.Scan(s.store.View(), prefix) {
		if a.Name < from || !listed(a, in) {
			continue
		}
		if len(out.MetricAlarms) == int(aws.Or(in.MaxRecords, defaultAlarmPage)) {
			out.NextToken = pageToken(a.Name)
			break
		}
		out.MetricAlarms = append(out.MetricAlarms, describe(a))
	}
	return out, nil
}

func checkDescribe(in *api.DescribeAlarmsInput) error {
	switch {
	case len(in.AlarmNames) > 0 && in.AlarmNamePrefix != nil:
		return validation("AlarmNames and AlarmNamePrefix cannot both be specified")
	case in.ChildrenOfAlarmName != nil:
		return unserved("ChildrenOfAlarmName, which is for composite alarms,")
	}
	return nil
}

// listed tells whether an alarm passes the filters. No composite alarm is its parent: there are
// none.
func listed(a row.Alarm, in *api.DescribeAlarmsInput) bool {
	def := a.Definition
	actions := slices.Concat(def.OKActions, def.AlarmActions, def.InsufficientDataActions)
	starts := func(action string) bool { return strings.HasPrefix(action, aws.Val(in.ActionPrefix)) }
	return (len(in.AlarmNames) == 0 || slices.Contains(in.AlarmNames, a.Name)) &&
		(in.StateValue == "" || in.StateValue == a.State.Value) &&
		(in.ActionPrefix == nil || slices.ContainsFunc(actions, starts)) &&
		(len(in.AlarmTypes) == 0 || slices.Contains(in.AlarmTypes, api.AlarmTypeMetricAlarm)) &&
		in.ParentsOfAlarmName == nil
}

func describe(a row.Alarm) api.MetricAlarm {
	def, is := a.Definition, a.State
	out := api.MetricAlarm{
		AlarmName: &a.Name, AlarmArn: &a.ARN, AlarmDescription: def.AlarmDescription,
		AlarmConfigurationUpdatedTimestamp: &a.UpdatedAt,
		ActionsEnabled:                     def.ActionsEnabled,
		OKActions:                          orEmpty(def.OKActions),
		AlarmActions:                       orEmpty(def.AlarmActions),
		InsufficientDataActions:            orEmpty(def.InsufficientDataActions),
		StateValue:                         is.Value,
		StateReason:                        &is.Reason,
		StateUpdatedTimestamp:              &is.Since,
		StateTransitionedTimestamp:         &is.Since,
		MetricName:                         def.MetricName, Namespace: def.Namespace,
		Statistic: def.Statistic, ExtendedStatistic: def.ExtendedStatistic,
		Dimensions: orEmpty(def.Dimensions), Period: def.Period, Unit: def.Unit,
		EvaluationPeriods: def.EvaluationPeriods, DatapointsToAlarm: def.DatapointsToAlarm,
		Threshold: def.Threshold, ComparisonOperator: def.ComparisonOperator,
		TreatMissingData:                 def.TreatMissingData,
		EvaluateLowSampleCountPercentile: def.EvaluateLowSampleCountPercentile,
	}
	if is.ReasonData != "" {
		out.StateReasonData = &is.ReasonData
	}
	return out
}

func orEmpty[T any](list []T) []T {
	if list == nil {
		return []T{}
	}
	return list
}

// DescribeAlarmsForMetric lists the alarms on one metric.
func (s *Service) DescribeAlarmsForMetric(
	ctx context.Context, in *api.DescribeAlarmsForMetricInput,
) (*api.DescribeAlarmsForMetricOutput, error) {
	sc := scope(ctx)
	out := &api.DescribeAlarmsForMetricOutput{MetricAlarms: []api.MetricAlarm{}}
	for a := range row.Alarms.Scan(s.store.View(), row.AlarmARN(sc, "")) {
		if watches(a, sc, in) {
			out.MetricAlarms = append(out.MetricAlarms, describe(a))
		}
	}
	return out, nil
}

func watches(a row.Alarm, sc row.Scope, in *api.DescribeAlarmsForMetricInput) bool {
	def := a.Definition
	return *def.MetricName == *in.MetricName && *def.Namespace == *in.Namespace &&
		sameDimensions(def.Dimensions, in.Dimensions) &&
		(in.Statistic == "" || in.Statistic == def.Statistic) &&
		(in.ExtendedStatistic == nil || *in.ExtendedStatistic == aws.Val(def.ExtendedStatistic)) &&
		(in.Period == nil || *in.Period == aws.Val(def.Period)) &&
		(in.Unit == "" || in.Unit == def.Unit)
}

func sameDimensions(a, b []api.Dimension) bool {
	byName := func(list []api.Dimension) map[string]string {
		values := map[string]string{}
		for _, d := range list {
			values[*d.Name] = *d.Value
		}
		return values
	}
	return reflect.DeepEqual(byName(a), byName(b))
}

// DescribeAlarmHistory tells what happened to alarms, newest first unless asked otherwise.
func (s *Service) DescribeAlarmHistory(
	ctx context.Context, in *api.DescribeAlarmHistoryInput,
) (*api.DescribeAlarmHistoryOutput, error) {
	if in.AlarmContributorId != nil {
		return nil, unserved("AlarmContributorId")
	}
	from, err := readToken(in.NextToken)
	if err != nil {
		return nil, err
	}
	out := &api.DescribeAlarmHistoryOutput{AlarmHistoryItems: []api.AlarmHistoryItem{}}
	lines := s.history(ctx, in)
	start := slices.IndexFunc(lines, func(e row.AlarmEvent) bool {
		return from == "" || e.Key() == from
	})
	if start < 0 {
		return out, nil
	}
	for _, e := range lines[start:] {
		if len(out.AlarmHistoryItems) == int(aws.Or(in.MaxRecords, defaultHistoryPage)) {
			out.NextToken = pageToken(e.Key())
			break
		}
		out.AlarmHistoryItems = append(out.AlarmHistoryItems, e.Item)
	}
	return out, nil
}

// history lists the lines that pass the filters, in the order that is asked for.
func (s *Service) history(ctx context.Context, in *api.DescribeAlarmHistoryInput) []row.AlarmEvent {
	sc := scope(ctx)
	prefix := row.AlarmARN(sc, "")
	if in.AlarmName != nil {
		prefix = row.AlarmARN(sc, *in.AlarmName) + "|"
	}
	var lines []row.AlarmEvent
	for e := range row.AlarmEvents.Scan(s.store.View(), prefix) {
		if told(e, in) {
			lines = append(lines, e)
		}
	}
	slices.SortStableFunc(lines, func(a, b row.AlarmEvent) int {
		return a.Item.Timestamp.Compare(*b.Item.Timestamp)
	})
	if in.ScanBy != api.ScanByTimestampAscending {
		slices.Reverse(lines)
	}
	return lines
}

func told(e row.AlarmEvent, in *api.DescribeAlarmHistoryInput) bool {
	item := e.Item
	return (in.AlarmName == nil || *in.AlarmName == *item.AlarmName) &&
		(in.HistoryItemType == "" || in.HistoryItemType == item.HistoryItemType) &&
		(len(in.AlarmTypes) == 0 || slices.Contains(in.AlarmTypes, api.AlarmTypeMetricAlarm)) &&
		(in.StartDate == nil || !item.Timestamp.Before(*in.StartDate)) &&
		(in.EndDate == nil || !item.Timestamp.After(*in.EndDate))
}
