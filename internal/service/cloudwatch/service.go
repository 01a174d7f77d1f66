// Package cloudwatch serves the part of Amazon CloudWatch that alarms are made of: putting and
// reading metric data, metric alarms, their history and tags. Alarms are rows, which the alarm
// controller evaluates; datapoints are in a metric.Store, into which Fairlead's own metrics go as
// well. README.md lists the operations.
package cloudwatch

import (
	"context"
	"encoding/base64"
	"time"

	"fairlead/internal/alarm"
	api "fairlead/internal/api/cloudwatch"
	"fairlead/internal/aws"
	"fairlead/internal/metric"
	"fairlead/internal/row"
	"fairlead/internal/state"
	"fairlead/internal/wire"
)

// Service holds the handlers of CloudWatch.
type Service struct {
	store   *state.Store
	metrics *metric.Store
	now     func() time.Time
}

// New returns the handlers over a store that was opened with row.Tables, and the metrics' store.
func New(store *state.Store, metrics *metric.Store, now func() time.Time) *Service {
	return &Service{store: store, metrics: metrics, now: now}
}

// Register adds the handlers to the router.
func (s *Service) Register(r *wire.Router) {
	wire.Handle(r, api.OpPutMetricData, s.PutMetricData)
	wire.Handle(r, api.OpListMetrics, s.ListMetrics)
	wire.Handle(r, api.OpGetMetricStatistics, s.GetMetricStatistics)
	wire.Handle(r, api.OpGetMetricData, s.GetMetricData)
	wire.Handle(r, api.OpPutMetricAlarm, s.PutMetricAlarm)
	wire.Handle(r, api.OpDeleteAlarms, s.DeleteAlarms)
	wire.Handle(r, api.OpSetAlarmState, s.SetAlarmState)
	wire.Handle(r, api.OpEnableAlarmActions, s.EnableAlarmActions)
	wire.Handle(r, api.OpDisableAlarmActions, s.DisableAlarmActions)
	wire.Handle(r, api.OpDescribeAlarms, s.DescribeAlarms)
	wire.Handle(r, api.OpDescribeAlarmsForMetric, s.DescribeAlarmsForMetric)
	wire.Handle(r, api.OpDescribeAlarmHistory, s.DescribeAlarmHistory)
	wire.Handle(r, api.OpTagResource, s.TagResource)
	wire.Handle(r, api.OpUntagResource, s.UntagResource)
	wire.Handle(r, api.OpListTagsForResource, s.ListTagsForResource)
}

func scope(ctx context.Context) row.Scope { return row.ScopeOf(aws.CallerFrom(ctx)) }

// validation is the error of most things that are wrong with an alarm. No model has it.
func validation(format string, args ...any) *aws.Fault {
	return aws.NewFault("ValidationError", format, args...)
}

// unserved refuses a setting that Fairlead cannot honour yet.
func unserved(what string) *aws.Fault {
	return validation("%s is not served by Fairlead yet; SCOPE.md lists what is", what)
}

func invalidValue(format string, args ...any) *aws.Fault {
	return api.InvalidParameterValueException(format, args...)
}

func missing(parameter string) *aws.Fault {
	return api.MissingRequiredParameterException("The parameter %s is required.", parameter)
}

// findAlarm finds an alarm of the caller by its name.
func findAlarm(r state.Reader, sc row.Scope, name string) (row.Alarm, error) {
	a, ok := row.Alarms.Get(r, row.AlarmARN(sc, name))
	if !ok {
		return a, api.ResourceNotFound("Unknown alarm")
	}
	return a, nil
}

// pageToken names where the next page begins; readToken gives that back.
func pageToken(next string) *string {
	return new(base64.RawURLEncoding.EncodeToString([]byte(next)))
}

func readToken(token *string) (next string, err error) {
	raw, err := base64.RawURLEncoding.DecodeString(aws.Val(token))
	if err != nil {
		return "", api.InvalidNextToken("The service cannot process your request with the specified " +
			"NextToken.")
	}
	return string(raw), nil
}

func metricID(sc row.Scope, namespace, name *string, dimensions []api.Dimension) metric.ID {
	return alarm.Metric(sc, aws.Val(namespace), aws.Val(name), dimensions)
}
