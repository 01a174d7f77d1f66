package cloudwatch

import (
	"cmp"
	"context"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"fairlead/internal/alarm"
	api "fairlead/internal/api/cloudwatch"
	"fairlead/internal/aws"
	"fairlead/internal/metric"
	"fairlead/internal/row"
)

// Limits of reading metric data.
// https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/cloudwatch_limits.html
const (
	maxDatapoints      = 1440    // of GetMetricStatistics
	maxQueries         = 500     // of one GetMetricData
	maxDatapointsOfGet = 100_800 // of one page of GetMetricData
	metricsPage        = 500
	recently           = 3 * time.Hour // RecentlyActive PT3H
)

// ListMetrics lists the metrics that there are datapoints of.
func (s *Service) ListMetrics(
	ctx context.Context, in *api.ListMetricsInput,
) (*api.ListMetricsOutput, error) {
	if aws.Val(in.IncludeLinkedAccounts) || in.OwningAccount != nil {
		return nil, invalidValue("Metrics of linked accounts are not served by Fairlead yet")
	}
	skip, err := readOffset(in.NextToken)
	if err != nil {
		return nil, err
	}
	out := &api.ListMetricsOutput{Metrics: []api.Metric{}}
	n := 0 // of those that are wanted
	for _, m := range s.metrics.List(scope(ctx).Key("")) {
		if !s.wanted(m, in) {
			continue
		}
		if n++; n <= skip {
			continue
		}
		if len(out.Metrics) == metricsPage {
			out.NextToken = pageToken(strconv.Itoa(n - 1))
			break
		}
		out.Metrics = append(out.Metrics, describeMetric(m))
	}
	return out, nil
}

// readOffset reads a token that counts what earlier pages had.
func readOffset(token *string) (int, error) {
	text, err := readToken(token)
	if err != nil || text == "" {
		return 0, err
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 0 {
		return 0, invalidValue("The value %s for parameter NextToken is invalid.", *token)
	}
	return n, nil
}

func (s *Service) wanted(m metric.Metric, in *api.ListMetricsInput) bool {
	for _, f := range in.Dimensions {
		if !slices.ContainsFunc(m.Dimensions, func(d metric.Dimension) bool {
			return d.Name == *f.Name && (f.Value == nil || d.Value == *f.Value)
		}) {
			return false
		}
	}
	return (in.Namespace == nil || *in.Namespace == m.Namespace) &&
		(in.MetricName == nil || *in.MetricName == m.Name) &&
		(in.RecentlyActive == "" || s.now().Sub(m.Last) < recently)
}

func describeMetric(m metric.Metric) api.Metric {
	out := api.Metric{Namespace: &m.Namespace, MetricName: &m.Name, Dimensions: []api.Dimension{}}
	for _, d := range m.Dimensions {
		out.Dimensions = append(out.Dimensions, api.Dimension{Name: &d.Name, Value: &d.Value})
	}
	return out
}

// GetMetricStatistics returns statistics of one metric, oldest first.
func (s *Service) GetMetricStatistics(
	ctx context.Context, in *api.GetMetricStatisticsInput,
) (*api.GetMetricStatisticsOutput, error) {
	if err := checkStatistics(in); err != nil {
		return nil, err
	}
	var names []string
	for _, name := range in.Statistics {
		names = append(names, string(name))
	}
	list, err := statistics(names, in.ExtendedStatistics)
	if err != nil {
		return nil, err
	}
	id := metricID(scope(ctx), in.Namespace, in.MetricName, in.Dimensions)
	q := query(*in.StartTime, *in.EndTime, *in.Period, in.Unit)
	q.PerUnit = true
	out := &api.GetMetricStatisticsOutput{Label: in.MetricName, Datapoints: []api.Datapoint{}}
	for _, p := range s.metrics.Points(id, q) {
		out.Datapoints = append(out.Datapoints, datapoint(p, list))
	}
	return out, nil
}

// statistics reads the names of statistics; what is no percentile is refused as an extended one.
func statistics(plain []string, extended []string) (list []alarm.Statistic, err error) {
	for _, name := range plain {
		statistic, _ := alarm.ParseStatistic(name)
		list = append(list, statistic)
	}
	for _, name := range extended {
		statistic, ok := alarm.ParseStatistic(name)
		if !ok || isSimple(name) {
			return nil, invalidValue("The value %s for parameter ExtendedStatistics is invalid.", name)
		}
		list = append(list, statistic)
	}
	return list, nil
}

func checkStatistics(in *api.GetMetricStatisticsInput) error {
	asked := int64(in.EndTime.Sub(*in.StartTime) / time.Second / time.Duration(*in.Period))
	switch {
	case len(in.Statistics)+len(in.ExtendedStatistics) == 0:
		return api.MissingRequiredParameterException("The parameter Statistics or ExtendedStatistics is required.")
	case !periodServed(*in.Period):
		return invalidValue("The parameter Period must be 1, 5, 10, 20, 30 or a multiple of 60")
	case !in.StartTime.Before(*in.EndTime):
		return invalidValue("The parameter StartTime must be less than the parameter EndTime.")
	case asked > maxDatapoints:
		return api.InvalidParameterCombinationException("You have requested up to %d datapoints, which "+
			"exceeds the limit of %d. You may reduce the datapoints requested by increasing Period, or "+
			"decreasing the time range.", asked, maxDatapoints)
	}
	return nil
}

func periodServed(period int32) bool {
	return slices.Contains([]int32{1, 5, 10, 20, 30}, period) || period%60 == 0
}

// query asks for whole periods; the first begins at a whole minute, or second for shorter periods.
func query(from, to time.Time, seconds int32, unit api.StandardUnit) metric.Query {
	period := time.Duration(seconds) * time.Second
	return metric.Query{
		From: from.Truncate(min(period, time.Minute)), To: to, Period: period, Unit: string(unit),
	}
}

func datapoint(p metric.Point, list []alarm.Statistic) api.Datapoint {
	out := api.Datapoint{Timestamp: new(p.Time()), Unit: api.StandardUnit(p.Unit)}
	for _, statistic := range list {
		v, ok := statistic.Of(p)
		if !ok {
			continue
		}
		switch api.Statistic(statistic.Name) {
		case api.StatisticSampleCount:
			out.SampleCount = &v
		case api.StatisticAverage:
			out.Average = &v
		case api.StatisticSum:
			out.Sum = &v
		case api.StatisticMinimum:
			out.Minimum = &v
		case api.StatisticMaximum:
			out.Maximum = &v
		default:
			if out.ExtendedStatistics == nil {
				out.ExtendedStatistics = map[string]float64{}
			}
			out.ExtendedStatistics[statistic.Name] = v
		}
	}
	return out
}

// GetMetricData returns a statistic of each of several metrics.
func (s *Service) GetMetricData(
	ctx context.Context, in *api.GetMetricDataInput,
) (*api.GetMetricDataOutput, error) {
	if err := checkGet(scope(ctx), in); err != nil {
		return nil, err
	}
	skip, err := readOffset(in.NextToken)
	if err != nil {
		return nil, err
	}
	p := page{skip: skip, room: int(aws.Or(in.MaxDatapoints, maxDatapointsOfGet))}
	out := &api.GetMetricDataOutput{
		MetricDataResults: []api.MetricDataResult{}, Messages: []api.MessageData{},
	}
	for _, q := range in.MetricDataQueries {
		if aws.Or(q.ReturnData, true) {
			out.MetricDataResults = append(out.MetricDataResults, p.take(s.result(scope(ctx), q, in)))
		}
	}
	if p.more {
		out.NextToken = pageToken(strconv.Itoa(skip + p.taken))
	}
	return out, nil
}

// ids begin with a lower-case letter.
var ids = regexp.MustCompile(`^[a-z][a-zA-Z0-9_]*$`)

func checkGet(sc row.Scope, in *api.GetMetricDataInput) error {
	switch {
	case len(in.MetricDataQueries) == 0:
		return validation("The parameter MetricDataQueries must have at least one item.")
	case len(in.MetricDataQueries) > maxQueries:
		return validation("The collection MetricDataQueries must not have a size greater than %d.", maxQueries)
	case !in.StartTime.Before(*in.EndTime):
		return validation("The parameter StartTime must be less than the parameter EndTime.")
	case aws.Or(in.MaxDatapoints, 1) < 1 || aws.Val(in.MaxDatapoints) > maxDatapointsOfGet:
		return validation("The parameter MaxDatapoints must be between 1 and %d.", maxDatapointsOfGet)
	}
	seen := map[string]bool{}
	for i, q := range in.MetricDataQueries {
		path := "MetricDataQueries.member." + strconv.Itoa(i+1)
		if seen[*q.Id] || !ids.MatchString(*q.Id) {
			return validation("The value %s for parameter %s.Id is not unique or does not begin with a "+
				"lower-case letter.", *q.Id, path)
		}
		seen[*q.Id] = true
		if err := checkQuery(sc, path, q); err != nil {
			return err
		}
	}
	return nil
}

func checkQuery(sc row.Scope, path string, q api.MetricDataQuery) error {
	switch {
	case q.Expression != nil:
		return unserved("a metric math expression (" + path + ".Expression)")
	case q.MetricStat == nil:
		return validation("Exactly one of Expression or MetricStat must be set on %s.", path)
	case aws.Or(q.AccountId, sc.Account) != sc.Account:
		return unserved("AccountId")
	case strings.Contains(aws.Val(q.Label), "${"):
		return unserved("a dynamic label (" + path + ".Label)")
	case !periodServed(*q.MetricStat.Period):
		return validation("Period must be 1, 5, 10, 20, 30 or a multiple of 60")
	}
	if _, ok := alarm.ParseStatistic(*q.MetricStat.Stat); !ok {
		return validation("The value %s for parameter %s.MetricStat.Stat is no statistic that Fairlead "+
			"serves: SampleCount, Average, Sum, Minimum, Maximum and pNN", *q.MetricStat.Stat, path)
	}
	return nil
}

// result answers one query whole.
func (s *Service) result(
	sc row.Scope, q api.MetricDataQuery, in *api.GetMetricDataInput,
) api.MetricDataResult {
	m := q.MetricStat
	statistic, _ := alarm.ParseStatistic(*m.Stat)
	out := api.MetricDataResult{
		Id: q.Id, Label: cmp.Or(q.Label, m.Metric.MetricName), StatusCode: api.StatusCodeComplete,
		Timestamps: []time.Time{}, Values: []float64{},
	}
	id := metricID(sc, m.Metric.Namespace, m.Metric.MetricName, m.Metric.Dimensions)
	for _, p := range s.metrics.Points(id, query(*in.StartTime, *in.EndTime, *m.Period, m.Unit)) {
		if v, ok := statistic.Of(p); ok {
			out.Timestamps, out.Values = append(out.Timestamps, p.Time()), append(out.Values, v)
		}
	}
	if in.ScanBy != api.ScanByTimestampAscending {
		slices.Reverse(out.Timestamps)
		slices.Reverse(out.Values)
	}
	return out
}

// page cuts the datapoints of one call out of those of all results.
type page struct {
	skip, room int
	taken      int
	more       bool // whether there are datapoints after it
}

func (p *page) take(r api.MetricDataResult) api.MetricDataResult {
	from := min(p.skip, len(r.Values))
	p.skip -= from
	to := min(from+p.room, len(r.Values))
	p.room -= to - from
	p.taken += to - from
	if to < len(r.Values) {
		p.more, r.StatusCode = true, api.StatusCodePartialData
	}
	r.Timestamps, r.Values = r.Timestamps[from:to], r.Values[from:to]
	return r
}
