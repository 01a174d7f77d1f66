package alarm

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"fairlead/internal/api/cloudwatch"
	"fairlead/internal/metric"
	"fairlead/internal/row"
)

var noon = time.Date(2026, 11, 28, 14, 5, 0, 0, time.UTC)

// rule is m of n periods of a minute with a sum of at least 5.
func rule(m, n int) Rule {
	sum, _ := ParseStatistic("Sum")
	return Rule{Statistic: sum, Period: time.Minute, Threshold: 5, Periods: n, ToAlarm: m,
		Operator: cloudwatch.ComparisonOperatorGreaterThanOrEqualToThreshold, Missing: Missing}
}

// data reads a picture of a rule's window, oldest first: 0 does not breach, X does, - is missing.
func data(r Rule, picture string) (list []Datapoint) {
	at := r.Query(noon.Add(Delay)).From
	for mark := range strings.FieldsSeq(picture) {
		switch mark {
		case "0":
			list = append(list, Datapoint{At: at})
		case "X":
			list = append(list, Datapoint{At: at, Value: 12})
		}
		at = at.Add(r.Period)
	}
	return list
}

// TestMissingData are the tables of the CloudWatch guide, "How alarm state is evaluated when data is
// missing": 3 of 3 and 2 of 3 periods in a range of 5.
func TestMissingData(t *testing.T) {
	const keep = "keep"
	for _, c := range []struct {
		m                               int
		picture                         string
		missing, ignore, breaching, not string
	}{
		{3, "0 - X - X", "OK", "OK", "OK", "OK"},
		{3, "0 - - - -", "OK", "OK", "OK", "OK"},
		{3, "- - - - -", "INSUFFICIENT_DATA", keep, "ALARM", "OK"},
		{3, "0 X X - X", "ALARM", "ALARM", "ALARM", "ALARM"},
		{3, "- - X - -", "ALARM", keep, "ALARM", "OK"},
		{2, "0 - X - X", "ALARM", "ALARM", "ALARM", "ALARM"},
		{2, "0 0 X 0 X", "ALARM", "ALARM", "ALARM", "ALARM"},
		{2, "0 - X - -", "OK", "OK", "ALARM", "OK"},
		{2, "- - - - 0", "OK", "OK", "ALARM", "OK"},
		{2, "- - - X -", "ALARM", keep, "ALARM", "OK"},
		// Not in the guide: the breach is younger than 2 periods.
		{2, "- - - - X", keep, keep, "ALARM", "OK"},
		{3, "X X X 0 0", "OK", "OK", "OK", "OK"},
	} {
		for treat, want := range map[string]string{
			Missing: c.missing, Ignore: c.ignore, Breaching: c.breaching, NotBreaching: c.not,
		} {
			r := rule(c.m, 3)
			r.Missing = treat
			for _, is := range []cloudwatch.StateValue{ok, alarm, insufficient} {
				now, changed := Evaluate(r, row.AlarmState{Value: is}, data(r, c.picture), noon.Add(Delay))
				wanted := cloudwatch.StateValue(want)
				if want == keep {
					wanted = is
				}
				if now.Value != wanted || changed != (wanted != is) {
					t.Errorf("%d of 3, %s, %s, from %s: %s, want %s", c.m, c.picture, treat, is, now.Value, wanted)
				}
			}
		}
	}
}

func TestOperators(t *testing.T) {
	for operator, want := range map[cloudwatch.ComparisonOperator]string{
		"GreaterThanOrEqualToThreshold": "0 1 1", "GreaterThanThreshold": "0 0 1",
		"LessThanOrEqualToThreshold": "1 1 0", "LessThanThreshold": "1 0 0",
	} {
		r, got := rule(1, 1), []string(nil)
		r.Operator = operator
		for _, v := range []float64{4, 5, 6} {
			got = append(got, map[bool]string{true: "1", false: "0"}[r.breaches(Datapoint{Value: v})])
		}
		if strings.Join(got, " ") != want {
			t.Errorf("%s: %v, want %s", operator, got, want)
		}
	}
}

func TestReasons(t *testing.T) {
	for _, c := range []struct {
		m, n          int
		told          bool
		treat         string
		is            cloudwatch.StateValue
		picture, want string
	}{
		{1, 1, false, Missing, insufficient, "- - X", "Threshold Crossed: 1 datapoint [12.0 (28/11/26 14:04:00)] " +
			"was greater than or equal to the threshold (5.0)."},
		{1, 1, false, Missing, alarm, "- - 0", "Threshold Crossed: 1 datapoint [0.0 (28/11/26 14:04:00)] " +
			"was not greater than or equal to the threshold (5.0)."},
		{1, 1, true, Missing, ok, "- - X", "Threshold Crossed: 1 out of the last 1 datapoints " +
			"[12.0 (28/11/26 14:04:00)] was greater than or equal to the threshold (5.0) " +
			"(minimum 1 datapoint for OK -> ALARM transition)."},
		{2, 3, true, Missing, ok, "- - X 0 X", "Threshold Crossed: 2 out of the last 3 datapoints " +
			"[12.0 (28/11/26 14:02:00), 12.0 (28/11/26 14:04:00)] were greater than or equal to the threshold " +
			"(5.0) (minimum 2 datapoints for OK -> ALARM transition)."},
		{1, 1, false, Missing, ok, "- - -", "Insufficient Data: 1 datapoint was unknown."},
		{2, 2, false, Missing, ok, "- - - -", "Insufficient Data: 2 datapoints were unknown."},
		{1, 1, false, NotBreaching, insufficient, "- - -", "Threshold Crossed: no datapoints were received for " +
			"1 period and 1 missing datapoint was treated as [NonBreaching]."},
		{2, 2, false, Breaching, ok, "- - - -", "Threshold Crossed: no datapoints were received for 2 periods " +
			"and 2 missing datapoints were treated as [Breaching]."},
		{3, 3, false, Breaching, ok, "- - X X -", "Threshold Crossed: 2 datapoints [12.0 (28/11/26 14:02:00), " +
			"12.0 (28/11/26 14:03:00)] were greater than or equal to the threshold (5.0) and 1 missing datapoint " +
			"was treated as [Breaching]."},
		{2, 2, false, NotBreaching, alarm, "- - - X", "Threshold Crossed: 1 datapoint [12.0 (28/11/26 14:04:00)] " +
			"was greater than or equal to the threshold (5.0) and 1 missing datapoint was treated as [NonBreaching]."},
	} {
		r := rule(c.m, c.n)
		r.Missing, r.Told = c.treat, c.told
		got, _ := Evaluate(r, row.AlarmState{Value: c.is}, data(r, c.picture), noon.Add(Delay))
		if got.Reason != c.want {
			t.Errorf("%s:\ngot  %s\nwant %s", c.picture, got.Reason, c.want)
		}
		if !json.Valid([]byte(got.ReasonData)) || !strings.Contains(got.ReasonData, `"threshold":5.0`) {
			t.Errorf("%s: data %s", c.picture, got.ReasonData)
		}
	}
}

func TestDouble(t *testing.T) {
	for f, want := range map[float64]string{
		0: "0.0", 5: "5.0", -1.25: "-1.25", 0.001: "0.001", 0.00012: "1.2E-4", 1e7: "1.0E7", 9999999: "9999999.0",
		123456789: "1.23456789E8",
	} {
		if got := double(f); got != want {
			t.Errorf("%g: %s, want %s", f, got, want)
		}
	}
}

// TestWindow: short periods are evaluated every ten seconds, others every minute, up to the last whole
// one that is complete.
func TestWindow(t *testing.T) {
	at := func(s int) time.Time { return noon.Add(time.Duration(s) * time.Second) }
	for _, c := range []struct {
		period, now, from, to int
		due                   bool
	}{
		{10, 12, -20, 10, true}, {10, 11, -30, 0, true}, {20, 32, -40, 20, true}, {60, 62, -120, 60, true},
		{60, 32, -180, 0, false}, {300, 62, -840, 60, true}, {300, 122, -780, 120, true},
	} {
		r := rule(1, 1)
		r.Period = time.Duration(c.period) * time.Second
		q := r.Query(at(c.now))
		if !q.From.Equal(at(c.from)) || !q.To.Equal(at(c.to)) || r.Due(at(c.now)) != c.due {
			t.Errorf("%+v: from %v to %v, due %v", c, q.From.Sub(noon), q.To.Sub(noon), r.Due(at(c.now)))
		}
	}
}

func TestStatistics(t *testing.T) {
	store := metric.New()
	id := Metric(row.Scope{Account: "1", Region: "r"}, "n", "m", nil)
	for _, v := range []float64{1, 2, 3, 10} {
		if err := store.Add(noon, id, metric.Sample{At: noon, Values: []metric.Value{{Value: v, Count: 1}}}); err != nil {
			t.Fatal(err)
		}
	}
	q := metric.Query{From: noon, To: noon.Add(time.Minute), Period: time.Minute}
	for name, want := range map[string]float64{
		"Sum": 16, "Average": 4, "Minimum": 1, "Maximum": 10, "SampleCount": 4, "p50": 2, "p100": 10, "p0.5": 1, "p99.9": 10,
	} {
		s, known := ParseStatistic(name)
		if !known {
			t.Errorf("%s is unknown", name)
			continue
		}
		if got, ok := s.Of(store.Points(id, q)[0]); !ok || got != want {
			t.Errorf("%s: %g, %v, want %g", name, got, ok, want)
		}
	}
	for _, name := range []string{"", "sum", "p", "p101", "p-1", "p5x", "tm99", "PR(:300)", "IQM"} {
		if _, known := ParseStatistic(name); known {
			t.Errorf("%q is known", name)
		}
	}
}

// TestLowSamples: a percentile of few samples keeps the state, if so wished.
func TestLowSamples(t *testing.T) {
	r := rule(1, 1)
	r.Statistic, _ = ParseStatistic("p90")
	r.IgnoreLowSamples = true
	for samples, want := range map[float64]cloudwatch.StateValue{99: ok, 101: alarm} {
		d := []Datapoint{{At: noon.Add(-time.Minute), Value: 12, Samples: samples}}
		if got, _ := Evaluate(r, row.AlarmState{Value: ok}, d, noon.Add(Delay)); got.Value != want {
			t.Errorf("%g samples: %s, want %s", samples, got.Value, want)
		}
	}
}
