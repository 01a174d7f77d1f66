package cloudwatch

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strings"
	"time"

	api "fairlead/internal/api/cloudwatch"
	"fairlead/internal/aws"
	"fairlead/internal/metric"
)

// Limits of PutMetricData.
// https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_PutMetricData.html
const (
	maxData    = 1000 // of one call
	maxValues  = 150  // of one datum
	maxAhead   = 2 * time.Hour
	fineDatum  = 1  // StorageResolution of a second
	plainDatum = 60 // and of a minute
)

// maxValue is the largest value, and its negative the smallest: 2 to the power of 360.
var maxValue = math.Ldexp(1, 360)

// PutMetricData takes datapoints, all of a call or none.
func (s *Service) PutMetricData(
	ctx context.Context, in *api.PutMetricDataInput,
) (*api.PutMetricDataOutput, error) {
	switch {
	case strings.HasPrefix(*in.Namespace, "AWS/"):
		return nil, invalidValue("The value AWS/ for parameter Namespace is invalid.")
	case len(in.EntityMetricData) > 0:
		return nil, unserved("EntityMetricData")
	case len(in.MetricData) == 0:
		return nil, missing("MetricData")
	case len(in.MetricData) > maxData:
		return nil, invalidValue("The collection MetricData must not have a size greater than %d.", maxData)
	}
	now := s.now().UTC()
	samples := make([]metric.Sample, len(in.MetricData))
	for i, d := range in.MetricData {
		var err error
		if samples[i], err = sampleOf(fmt.Sprintf("MetricData.member.%d", i+1), d, now); err != nil {
			return nil, err
		}
	}
	for i, d := range in.MetricData {
		id := metricID(scope(ctx), in.Namespace, d.MetricName, d.Dimensions)
		if err := s.metrics.Add(now, id, samples[i]); errors.Is(err, metric.ErrFull) {
			return nil, api.LimitExceededFault("Fairlead has no room for more metric data; see SCOPE.md.")
		} else if err != nil {
			return nil, err
		}
	}
	return nil, nil
}

// sampleOf checks a datum. path is what errors call it.
func sampleOf(path string, d api.MetricDatum, now time.Time) (sample metric.Sample, err error) {
	resolution := aws.Or(d.StorageResolution, plainDatum)
	if resolution != fineDatum && resolution != plainDatum {
		return sample, invalidValue("The value %d for parameter %s.StorageResolution is invalid.",
			resolution, path)
	}
	sample = metric.Sample{
		At: aws.Or(d.Timestamp, now), Unit: string(d.Unit), Fine: resolution == fineDatum,
	}
	if sample.Unit == "" {
		sample.Unit = string(api.StandardUnitNone)
	}
	if err := checkTime(path, sample.At, now); err != nil {
		return sample, err
	}
	return sample, fill(&sample, path, d)
}

func checkTime(path string, at, now time.Time) error {
	switch {
	case now.Sub(at) >= metric.Keep:
		return invalidValue("The parameter %s.Timestamp must specify a time no earlier than %d hours ago; "+
			"Fairlead keeps no older datapoints", path, int(metric.Keep/time.Hour))
	case at.Sub(now) > maxAhead:
		return invalidValue("The parameter %s.Timestamp must specify a time no more than two hours in the "+
			"future.", path)
	}
	return nil
}

// fill takes a datum's numbers, which are told in one of three ways.
func fill(sample *metric.Sample, path string, d api.MetricDatum) error {
	switch {
	case d.Value != nil && d.StatisticValues != nil:
		return exclusive(path+".Value", path+".StatisticValues")
	case d.Value != nil && len(d.Values) > 0:
		return exclusive(path+".Value", path+".Values")
	case d.StatisticValues != nil && len(d.Values) > 0:
		return exclusive(path+".StatisticValues", path+".Values")
	case d.Value != nil:
		sample.Values = []metric.Value{{Value: *d.Value, Count: 1}}
		return checkNumbers(path+".Value", *d.Value)
	case d.StatisticValues != nil:
		return fillSet(sample, path+".StatisticValues", d.StatisticValues)
	case len(d.Values) > 0:
		return fillValues(sample, path, d)
	}
	return missing(path + ".Value")
}

func exclusive(a, b string) error {
	return api.InvalidParameterCombinationException("The parameters %s and %s are mutually exclusive and "+
		"you have specified both.", a, b)
}

func fillSet(sample *metric.Sample, path string, set *api.StatisticSet) error {
	sample.Set = metric.Set{
		Count: *set.SampleCount, Sum: *set.Sum, Minimum: *set.Minimum, Maximum: *set.Maximum,
	}
	if *set.SampleCount <= 0 {
		return invalidValue("The value %g for parameter %s.SampleCount is invalid.", *set.SampleCount, path)
	}
	if *set.Minimum > *set.Maximum {
		return invalidValue("The value %g for parameter %s.Minimum is invalid: it is above the maximum.",
			*set.Minimum, path)
	}
	return checkNumbers(path, *set.SampleCount, *set.Sum, *set.Minimum, *set.Maximum)
}

func fillValues(sample *metric.Sample, path string, d api.MetricDatum) error {
	switch {
	case len(d.Values) > maxValues:
		return invalidValue("The collection %s.Values must not have a size greater than %d.", path, maxValues)
	case len(d.Counts) > 0 && len(d.Counts) != len(d.Values):
		return invalidValue("The parameters %s.Values and %s.Counts must be of the same size.", path, path)
	}
	for i, v := range d.Values {
		count := 1.0
		if len(d.Counts) > 0 {
			count = d.Counts[i]
		}
		if !(count > 0) {
			return invalidValue("The value %g for parameter %s.Counts is invalid.", count, path)
		}
		sample.Values = append(sample.Values, metric.Value{Value: v, Count: count})
	}
	return checkNumbers(path+".Values", append(d.Counts, d.Values...)...)
}

func checkNumbers(path string, numbers ...float64) error {
	for _, v := range numbers {
		if !(math.Abs(v) <= maxValue) { // so that it is a number, too
			return invalidValue("The value %g for parameter %s is invalid.", v, path)
		}
	}
	return nil
}
