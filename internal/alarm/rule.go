package alarm

import (
	"time"

	"fairlead/internal/api/cloudwatch"
	"fairlead/internal/aws"
	"fairlead/internal/metric"
)

// How missing datapoints are treated.
// https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/alarms-and-missing-data.html
const (
	Missing      = "missing"
	Ignore       = "ignore"
	Breaching    = "breaching"
	NotBreaching = "notBreaching"
)

const (
	// Cadence is how often alarms of short periods are evaluated; those of a minute and more are
	// evaluated every minute.
	Cadence = 10 * time.Second
	// Delay is how long after the end of a period its datapoints are taken to be there.
	Delay = 2 * time.Second
	// spare is how many more periods than it evaluates an alarm looks at, so that a datapoint that is
	// late is not missing. AWS's example has 5 for 3; it does not tell the rule.
	spare = 2
)

// Rule is when an alarm is in which state.
type Rule struct {
	Statistic Statistic
	Period    time.Duration
	Unit      string
	Threshold float64
	Operator  cloudwatch.ComparisonOperator
	// Periods are evaluated; of them, ToAlarm that breach make an alarm. Told is whether ToAlarm was.
	Periods, ToAlarm int
	Told             bool
	Missing          string
	// IgnoreLowSamples keeps the state of a percentile with too few samples to mean anything.
	IgnoreLowSamples bool
}

// RuleOf reads an alarm's definition, which PutMetricAlarm has checked and filled in.
func RuleOf(def cloudwatch.PutMetricAlarmInput) Rule {
	name := string(def.Statistic)
	if def.ExtendedStatistic != nil {
		name = *def.ExtendedStatistic
	}
	statistic, _ := ParseStatistic(name)
	n := aws.Val(def.EvaluationPeriods)
	return Rule{
		Statistic: statistic, Unit: string(def.Unit),
		Period:    time.Duration(aws.Val(def.Period)) * time.Second,
		Threshold: aws.Val(def.Threshold), Operator: def.ComparisonOperator,
		Periods: int(n), ToAlarm: int(aws.Or(def.DatapointsToAlarm, n)),
		Told:             def.DatapointsToAlarm != nil,
		Missing:          aws.Or(def.TreatMissingData, Missing),
		IgnoreLowSamples: aws.Val(def.EvaluateLowSampleCountPercentile) == LowSamplesIgnore,
	}
}

// What is done about percentiles of few samples.
const (
	LowSamplesEvaluate = "evaluate"
	LowSamplesIgnore   = "ignore"
)

// every is how often the alarm is evaluated.
func (r Rule) every() time.Duration {
	if r.Period < time.Minute {
		return Cadence
	}
	return time.Minute
}

// Due tells whether the alarm is to be evaluated at a time: a multiple of Cadence, and Delay.
func (r Rule) Due(at time.Time) bool { return at.Sub(at.Truncate(r.every())) < Cadence }

// Query asks for the datapoints to evaluate at a time.
func (r Rule) Query(now time.Time) metric.Query {
	to := now.Add(-Delay).Truncate(min(r.Period, time.Minute))
	from := to.Add(-time.Duration(r.Periods+spare) * r.Period)
	return metric.Query{From: from, To: to, Period: r.Period, Unit: r.Unit}
}

// Datapoint is the statistic of one period.
type Datapoint struct {
	At      time.Time
	Value   float64
	Samples float64
}

// Datapoints takes the statistic of the periods of which it is known, oldest first.
func (r Rule) Datapoints(points []metric.Point) (data []Datapoint) {
	for _, p := range points {
		if v, ok := r.Statistic.Of(p); ok {
			data = append(data, Datapoint{At: p.Time(), Value: v, Samples: p.Count})
		}
	}
	return data
}

// breaches tells whether a datapoint is on the wrong side of the threshold.
func (r Rule) breaches(d Datapoint) bool {
	switch r.Operator {
	case cloudwatch.ComparisonOperatorGreaterThanOrEqualToThreshold:
		return d.Value >= r.Threshold
	case cloudwatch.ComparisonOperatorGreaterThanThreshold:
		return d.Value > r.Threshold
	case cloudwatch.ComparisonOperatorLessThanOrEqualToThreshold:
		return d.Value <= r.Threshold
	}
	return d.Value < r.Threshold
}
