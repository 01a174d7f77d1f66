package alarm

import (
	"slices"
	"time"

	"fairlead/internal/api/cloudwatch"
	"fairlead/internal/row"
)

// The states of an alarm.
const (
	ok           = cloudwatch.StateValueOK
	alarm        = cloudwatch.StateValueALARM
	insufficient = cloudwatch.StateValueINSUFFICIENTDATA
)

// Evaluate returns the state that an alarm is to have, and whether that is another than it has,
// given the datapoints that its rule's Query asked for at that time.
func Evaluate(r Rule, is row.AlarmState, data []Datapoint, now time.Time) (row.AlarmState, bool) {
	v := r.judge(is.Value, data, now)
	if v.state == is.Value {
		return is, false
	}
	return row.AlarmState{
		Value: v.state, Reason: v.reason(r), ReasonData: v.reasonData(r, now), Since: now,
	}, true
}

// verdict is what follows from the datapoints, and what it was drawn from.
type verdict struct {
	state   cloudwatch.StateValue
	from    []Datapoint // that there are, of those that are evaluated, oldest first
	hit     []Datapoint // of them, those that breach
	miss    []Datapoint // of them, those that do not
	filled  int         // how many are missing
	treated string      // as what those count; empty if they count for nothing
}

// judge evaluates the latest datapoints there are. Only when those are fewer than are to be
// evaluated does it matter how missing ones are treated.
// https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/alarms-and-missing-data.html
func (r Rule) judge(is cloudwatch.StateValue, data []Datapoint, now time.Time) verdict {
	v := verdict{from: data[max(0, len(data)-r.Periods):]}
	v.filled = r.Periods - len(v.from)
	for _, d := range v.from {
		if r.breaches(d) {
			v.hit = append(v.hit, d)
		} else {
			v.miss = append(v.miss, d)
		}
	}
	if r.IgnoreLowSamples && slices.ContainsFunc(v.from, r.tooFew) {
		v.state = is
		return v
	}
	v.state = r.weigh(&v, is, now)
	return v
}

func (r Rule) weigh(v *verdict, is cloudwatch.StateValue, now time.Time) cloudwatch.StateValue {
	hits := len(v.hit)
	if v.filled > 0 {
		switch r.Missing {
		case Breaching:
			hits, v.treated = hits+v.filled, "Breaching"
		case NotBreaching:
			v.treated = "NonBreaching"
		}
	}
	switch {
	case hits >= r.ToAlarm:
		return alarm
	case v.treated != "" || len(v.miss) > 0:
		return ok
	case r.Missing == Ignore:
		return is
	case len(v.from) == 0:
		return insufficient
	case r.lasting(v.hit[0], now):
		return alarm
	}
	return is
}

// lasting tells whether a breach with nothing but breaches and gaps after it is old enough to be an
// alarm although too few datapoints came.
func (r Rule) lasting(oldest Datapoint, now time.Time) bool {
	to := r.Query(now).To
	return !oldest.At.After(to.Add(-time.Duration(r.ToAlarm) * r.Period))
}

// tooFew tells whether a percentile stands for too few samples: for p99 less than 1000.
// https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/percentiles-with-low-samples.html
func (r Rule) tooFew(d Datapoint) bool {
	const enough = 10
	q := r.Statistic.Quantile
	if q < 0.5 {
		q = 1 - q
	}
	return d.Samples*(1-q) < enough
}
