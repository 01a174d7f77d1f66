// Package alarm says what alarms of CloudWatch say: which statistic of a metric is compared with
// what, over which periods, and what follows for the state and its reason. Its functions are pure:
// they are given the datapoints and the time.
package alarm

import (
	"regexp"
	"strconv"

	"fairlead/internal/api/cloudwatch"
	"fairlead/internal/aws"
	"fairlead/internal/metric"
	"fairlead/internal/row"
)

// Statistic is what is looked at of the numbers of a period.
type Statistic struct {
	Name string
	// Quantile is, of a percentile, the share of all numbers that it is not exceeded by.
	Quantile float64
	of       func(metric.Point) (float64, bool)
}

// percentiles are p0.0 to p100, with up to ten decimals.
// https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/Statistics-definitions.html
var percentiles = regexp.MustCompile(`^p(\d{1,2}(?:\.\d{0,10})?|100)$`)

// ParseStatistic reads the name of a statistic, a percentile included.
func ParseStatistic(name string) (Statistic, bool) {
	if of, ok := simple[cloudwatch.Statistic(name)]; ok {
		return Statistic{Name: name, of: known(of)}, true
	}
	match := percentiles.FindStringSubmatch(name)
	if match == nil {
		return Statistic{}, false
	}
	percent, err := strconv.ParseFloat(match[1], 64)
	if err != nil {
		return Statistic{}, false
	}
	s := Statistic{Name: name, Quantile: percent / 100}
	s.of = func(p metric.Point) (float64, bool) { return p.Percentile(s.Quantile) }
	return s, true
}

// Of is the statistic of a period; a percentile may be unknown.
func (s Statistic) Of(p metric.Point) (float64, bool) { return s.of(p) }

var simple = map[cloudwatch.Statistic]func(metric.Point) float64{
	cloudwatch.StatisticSampleCount: func(p metric.Point) float64 { return p.Count },
	cloudwatch.StatisticAverage:     metric.Point.Average,
	cloudwatch.StatisticSum:         func(p metric.Point) float64 { return p.Sum },
	cloudwatch.StatisticMinimum:     func(p metric.Point) float64 { return p.Minimum },
	cloudwatch.StatisticMaximum:     func(p metric.Point) float64 { return p.Maximum },
}

func known(of func(metric.Point) float64) func(metric.Point) (float64, bool) {
	return func(p metric.Point) (float64, bool) { return of(p), true }
}

// Metric is the id under which the store has a metric of an account and region.
func Metric(sc row.Scope, namespace, name string, dimensions []cloudwatch.Dimension) metric.ID {
	id := metric.ID{Owner: sc.Key(""), Namespace: namespace, Name: name}
	for _, d := range dimensions {
		id.Dimensions = append(id.Dimensions,
			metric.Dimension{Name: aws.Val(d.Name), Value: aws.Val(d.Value)})
	}
	return id
}
