package alarm

import (
	"log/slog"
	"strings"
	"testing"
	"time"

	"fairlead/internal/alarm"
	"fairlead/internal/api/cloudwatch"
	"fairlead/internal/metric"
	"fairlead/internal/row"
	"fairlead/internal/state"
	"fairlead/internal/state/statetest"
)

var (
	noon = time.Date(2026, 7, 1, 12, 0, 0, 0, time.UTC)
	home = row.Scope{Account: "1", Region: "r"}
)

// bench is a controller that began an hour before noon, over a store with one alarm: a sum of at
// least 5 in 10 seconds, and not breaching without any.
type bench struct {
	t *testing.T
	*Controller
	now time.Time
}

func newBench(t *testing.T) *bench {
	b := &bench{t: t, now: noon.Add(-time.Hour)}
	b.Controller = New(Config{
		Store: statetest.Open(t, row.Tables()...), Metrics: metric.New(),
		Logger: slog.New(slog.DiscardHandler), Now: func() time.Time { return b.now },
	})
	statetest.Update(t, b.cfg.Store, func(tx *state.Tx) {
		row.Alarms.Put(tx, row.Alarm{Scope: home, ARN: row.AlarmARN(home, "a"), Name: "a",
			State: row.AlarmState{Value: cloudwatch.StateValueINSUFFICIENTDATA},
			Definition: cloudwatch.PutMetricAlarmInput{
				Namespace: new("n"), MetricName: new("m"), Statistic: cloudwatch.StatisticSum,
				Period: new(int32(10)), EvaluationPeriods: new(int32(1)), Threshold: new(5.0),
				ComparisonOperator: cloudwatch.ComparisonOperatorGreaterThanOrEqualToThreshold,
				TreatMissingData:   new(alarm.NotBreaching),
			}})
	})
	return b
}

// put adds a number at seconds from noon.
func (b *bench) put(second int, v float64) {
	b.t.Helper()
	at := noon.Add(time.Duration(second) * time.Second)
	err := b.cfg.Metrics.Add(at, alarm.Metric(home, "n", "m", nil), metric.Sample{
		At: at, Fine: true, Values: []metric.Value{{Value: v, Count: 1}}})
	if err != nil {
		b.t.Fatal(err)
	}
}

// evaluate evaluates at seconds from noon and returns the alarm.
func (b *bench) evaluate(second int) row.Alarm {
	b.t.Helper()
	if err := b.Evaluate(b.t.Context(), noon.Add(time.Duration(second)*time.Second)); err != nil {
		b.t.Fatal(err)
	}
	a, _ := row.Alarms.Get(b.cfg.Store.View(), row.AlarmARN(home, "a"))
	return a
}

func TestStatesFollowTheMetric(t *testing.T) {
	b := newBench(t)
	b.put(13, 3)
	b.put(17, 4)
	for _, c := range []struct {
		at   int
		want cloudwatch.StateValue
	}{
		{12, cloudwatch.StateValueOK}, {22, cloudwatch.StateValueALARM},
		// Its datapoint is the latest there is until it leaves the window.
		{32, cloudwatch.StateValueALARM}, {42, cloudwatch.StateValueALARM}, {52, cloudwatch.StateValueOK},
	} {
		if got := b.evaluate(c.at); got.State.Value != c.want {
			t.Errorf("after %d s: %s, want %s", c.at, got.State.Value, c.want)
		}
	}
	var lines []string
	for e := range row.AlarmEvents.Scan(b.cfg.Store.View(), "") {
		lines = append(lines, *e.Item.HistorySummary)
	}
	if got, want := strings.Join(lines, "; "), "Alarm updated from INSUFFICIENT_DATA to OK; Alarm updated "+
		"from OK to ALARM; Alarm updated from ALARM to OK"; got != want {
		t.Errorf("history: %s", got)
	}
}

// TestNothingIsWrittenWithoutAChange of state, however often the alarm is evaluated.
func TestNothingIsWrittenWithoutAChange(t *testing.T) {
	b := newBench(t)
	b.evaluate(2)
	before := b.cfg.Store.View().Revision()
	b.evaluate(12)
	if after := b.cfg.Store.View().Revision(); after != before {
		t.Errorf("the revision went from %d to %d", before, after)
	}
}

// TestSetStateHoldsUntilTheNextEvaluation.
func TestSetStateHoldsUntilTheNextEvaluation(t *testing.T) {
	b := newBench(t)
	b.evaluate(2)
	statetest.Update(t, b.cfg.Store, func(tx *state.Tx) {
		a, _ := row.Alarms.Get(tx, row.AlarmARN(home, "a"))
		a.Change(tx, row.AlarmState{Value: cloudwatch.StateValueALARM, Since: noon.Add(5 * time.Second)})
		row.Alarms.Put(tx, a)
	})
	if got := b.evaluate(12); got.State.Value != cloudwatch.StateValueOK {
		t.Errorf("still %s", got.State.Value)
	}
}

// TestRestartKnowsNothingOfBefore: what is missing because the process did not run is not missing.
func TestRestartKnowsNothingOfBefore(t *testing.T) {
	b := newBench(t)
	b.now = noon
	b.Controller = New(b.cfg)
	if got := b.evaluate(12); got.State.Value != cloudwatch.StateValueINSUFFICIENTDATA {
		t.Errorf("%s: %s", got.State.Value, got.State.Reason)
	}
	b.put(13, 9)
	if got := b.evaluate(22); got.State.Value != cloudwatch.StateValueALARM {
		t.Errorf("%s: %s", got.State.Value, got.State.Reason)
	}
}

// TestChangedAlarmIsLeftAlone: a verdict on an older definition is not written.
func TestChangedAlarmIsLeftAlone(t *testing.T) {
	b := newBench(t)
	was := b.evaluate(2)
	statetest.Update(t, b.cfg.Store, func(tx *state.Tx) {
		a := was
		a.UpdatedAt = noon
		row.Alarms.Put(tx, a)
	})
	err := b.change(t.Context(), was, row.AlarmState{Value: cloudwatch.StateValueALARM})
	if got := b.evaluate(12); err != nil || got.State.Value != cloudwatch.StateValueOK {
		t.Errorf("%s, %v", got.State.Value, err)
	}
}

func TestNext(t *testing.T) {
	for now, want := range map[time.Duration]time.Duration{
		0: 2 * time.Second, 1999 * time.Millisecond: 2 * time.Second, 2 * time.Second: 12 * time.Second,
		7 * time.Second: 12 * time.Second,
	} {
		if got := next(noon.Add(now)); got.Sub(noon) != want {
			t.Errorf("after %v: %v, want %v", now, got.Sub(noon), want)
		}
	}
}
