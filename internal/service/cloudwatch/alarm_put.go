package cloudwatch

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"fairlead/internal/alarm"
	api "fairlead/internal/api/cloudwatch"
	"fairlead/internal/aws"
	"fairlead/internal/row"
	"fairlead/internal/state"
)

// Limits of alarms.
// https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/cloudwatch_limits.html
const (
	maxAlarms = 5000 // per account and region
	maxTags   = 50
	// maxLookBack is how far an alarm looks back. CloudWatch allows a week when the period is an hour
	// or more; here datapoints are kept for little more than a day.
	maxLookBack = 86400 // seconds
)

// PutMetricAlarm makes an alarm or gives the one of that name another definition; its state stays.
func (s *Service) PutMetricAlarm(
	ctx context.Context, in *api.PutMetricAlarmInput,
) (*api.PutMetricAlarmOutput, error) {
	if err := checkAlarm(in); err != nil {
		return nil, err
	}
	tags, err := tagsOf(in.Tags)
	if err != nil {
		return nil, err
	}
	sc, now := scope(ctx), s.now().UTC()
	return nil, s.store.Update(ctx, func(tx *state.Tx) error {
		a, err := findAlarm(tx, sc, *in.AlarmName)
		summary := fmt.Sprintf("Alarm %q updated", *in.AlarmName)
		if err != nil {
			if countAlarms(tx, sc) >= maxAlarms {
				return api.LimitExceededFault("The maximum number of alarms is reached: %d.", maxAlarms)
			}
			a = newAlarm(sc, *in.AlarmName, tags, now)
			summary = fmt.Sprintf("Alarm %q created", a.Name)
		}
		a.Definition, a.UpdatedAt = filled(in), now
		a.Tell(tx, api.AlarmHistoryItem{
			Timestamp: &now, HistorySummary: &summary,
			HistoryItemType: api.HistoryItemTypeConfigurationUpdate,
		})
		row.Alarms.Put(tx, a)
		return nil
	})
}

func newAlarm(sc row.Scope, name string, tags row.Tags, now time.Time) row.Alarm {
	return row.Alarm{
		Scope: sc, ARN: row.AlarmARN(sc, name), Name: name, Tags: tags,
		State: row.AlarmState{
			Value: api.StateValueINSUFFICIENTDATA, Reason: "Unchecked: Initial alarm creation", Since: now,
		},
	}
}

func countAlarms(r state.Reader, sc row.Scope) (n int) {
	for range row.Alarms.Scan(r, row.AlarmARN(sc, "")) {
		n++
	}
	return n
}

// filled is the definition with AWS's defaults and without tags, which are the alarm's own.
func filled(in *api.PutMetricAlarmInput) api.PutMetricAlarmInput {
	def := *in
	def.Tags = nil
	def.ActionsEnabled = new(aws.Or(in.ActionsEnabled, true))
	return def
}

// checkAlarm checks all that the model does not state.
func checkAlarm(in *api.PutMetricAlarmInput) error {
	return cmp.Or(
		checkServed(in), checkMetric(in), checkStatistic(in), checkPeriods(in), checkThreshold(in),
		checkMissing(in), checkActions(in),
	)
}

// checkServed lets alarms on one metric pass.
func checkServed(in *api.PutMetricAlarmInput) error {
	switch {
	case len(in.Metrics) > 0:
		return unserved("an alarm on a metric math expression (Metrics)")
	case in.ThresholdMetricId != nil, banded(in.ComparisonOperator):
		return unserved("anomaly detection")
	case in.EvaluationCriteria != nil:
		return unserved("an alarm on a query (EvaluationCriteria)")
	case in.EvaluationInterval != nil:
		return unserved("EvaluationInterval")
	}
	return nil
}

// banded tells whether an operator compares with a band instead of a threshold.
func banded(o api.ComparisonOperator) bool {
	return slices.Contains([]api.ComparisonOperator{
		api.ComparisonOperatorLessThanLowerOrGreaterThanUpperThreshold,
		api.ComparisonOperatorLessThanLowerThreshold, api.ComparisonOperatorGreaterThanUpperThreshold,
	}, o)
}

func checkMetric(in *api.PutMetricAlarmInput) error {
	switch {
	case in.MetricName == nil:
		return validation("The parameter MetricName is required.")
	case in.Namespace == nil:
		return validation("The parameter Namespace is required.")
	case in.ComparisonOperator == "":
		return validation("The parameter ComparisonOperator is required.")
	}
	return nil
}

func checkStatistic(in *api.PutMetricAlarmInput) error {
	if (in.Statistic == "") == (in.ExtendedStatistic == nil) {
		return validation("Exactly one of Statistic and ExtendedStatistic must be specified")
	}
	if in.ExtendedStatistic == nil {
		return checkLowSamples(in.EvaluateLowSampleCountPercentile, false)
	}
	statistic, ok := alarm.ParseStatistic(*in.ExtendedStatistic)
	if !ok || isSimple(statistic.Name) {
		return validation("The value %s for parameter ExtendedStatistic is not a percentile from p0.0 to "+
			"p100; other extended statistics are not served by Fairlead yet", *in.ExtendedStatistic)
	}
	return checkLowSamples(in.EvaluateLowSampleCountPercentile, true)
}

func isSimple(name string) bool { return slices.Contains(api.Statistic("").Values(), name) }

func checkLowSamples(option *string, percentile bool) error {
	switch {
	case option == nil:
		return nil
	case *option != alarm.LowSamplesEvaluate && *option != alarm.LowSamplesIgnore:
		return validation("Option %s for EvaluateLowSampleCountPercentile is not one of [%s, %s]",
			*option, alarm.LowSamplesEvaluate, alarm.LowSamplesIgnore)
	case !percentile:
		return validation("EvaluateLowSampleCountPercentile is only for alarms on a percentile")
	}
	return nil
}

func checkPeriods(in *api.PutMetricAlarmInput) error {
	period, n := aws.Val(in.Period), aws.Val(in.EvaluationPeriods)
	switch {
	case in.Period == nil:
		return validation("The parameter Period is required.")
	case in.EvaluationPeriods == nil:
		return validation("The parameter EvaluationPeriods is required.")
	case !slices.Contains([]int32{10, 20, 30}, period) && period%60 != 0:
		return validation("Period must be 10, 20, 30 or a multiple of 60")
	case int64(period)*int64(n) > maxLookBack:
		return validation("Metrics cannot be checked across more than a day (EvaluationPeriods * Period " +
			"must be <= 86400).")
	case aws.Or(in.DatapointsToAlarm, n) > n:
		return validation("DatapointsToAlarm must be less than or equal to EvaluationPeriods")
	}
	return nil
}

func checkThreshold(in *api.PutMetricAlarmInput) error {
	switch v := aws.Val(in.Threshold); {
	case in.Threshold == nil:
		return validation("The parameter Threshold is required.")
	case math.IsNaN(v) || math.IsInf(v, 0):
		return validation("The value %v for parameter Threshold is invalid.", v)
	}
	return nil
}

func checkMissing(in *api.PutMetricAlarmInput) error {
	options := []string{alarm.Breaching, alarm.NotBreaching, alarm.Ignore, alarm.Missing}
	if v := aws.Or(in.TreatMissingData, alarm.Missing); !slices.Contains(options, v) {
		return validation("Option %s for TreatMissingData is not one of [%s]", v, strings.Join(options, ", "))
	}
	return nil
}

// checkActions lets SNS topics pass, which are shown and not told: the common stacks name them, and
// who is to be told can see the alarm all the same. What is to act on it is refused.
func checkActions(in *api.PutMetricAlarmInput) error {
	for _, arn := range slices.Concat(in.OKActions, in.AlarmActions, in.InsufficientDataActions) {
		parsed, ok := aws.ParseARN(arn)
		switch {
		case !ok:
			return validation("Invalid arn syntax: %s", arn)
		case parsed.Service != "sns":
			return unserved("the alarm action " + arn)
		}
	}
	return nil
}
