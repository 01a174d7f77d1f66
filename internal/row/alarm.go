package row

import (
	"encoding/json"
	"fmt"
	"time"

	"fairlead/internal/api/cloudwatch"
	"fairlead/internal/state"
)

// Alarm watches a metric of CloudWatch.
type Alarm struct {
	// Intent; writer: the CloudWatch service.
	Scope
	ARN  string `json:"arn"`
	Name string `json:"name"`
	// Definition is what PutMetricAlarm was given last, with AWS's defaults filled in and without
	// the tags. EnableAlarmActions and DisableAlarmActions change its ActionsEnabled.
	Definition cloudwatch.PutMetricAlarmInput `json:"definition"`
	UpdatedAt  time.Time                      `json:"updatedAt"`
	Tags       Tags                           `json:"tags,omitempty"`

	// State is observed; writer: the alarm controller. SetAlarmState writes it too, which holds until
	// the controller sees otherwise.
	State AlarmState `json:"state"`
	// NextHistory numbers the alarm's next line of history; writer: who writes that line.
	NextHistory int64 `json:"nextHistory"`
}

// AlarmState is what an alarm says, since when, and why.
type AlarmState struct {
	Value      cloudwatch.StateValue `json:"value"`
	Reason     string                `json:"reason"`
	ReasonData string                `json:"reasonData,omitempty"` // JSON
	Since      time.Time             `json:"since"`
}

// AlarmARN is the key of the alarm with this name; of a part of a name, the prefix of those keys.
func AlarmARN(s Scope, name string) string { return s.ARN("cloudwatch", "alarm:"+name) }

// Alarms is the table of alarms.
var Alarms = state.NewTable("cloudwatch.alarm", func(a Alarm) string { return a.ARN })

// MaxAlarmHistory is how many lines of an alarm's history are kept. CloudWatch keeps 30 days.
const MaxAlarmHistory = 100

// AlarmEvent is one line of an alarm's history.
// Writer: as of what it tells, the CloudWatch service or the alarm controller.
type AlarmEvent struct {
	Alarm  string `json:"alarm"` // ARN
	Number int64  `json:"number"`
	// Item is the line as DescribeAlarmHistory shows it.
	Item cloudwatch.AlarmHistoryItem `json:"item"`
}

// Key returns the row's key. A name can hold a "|", so the scan of one alarm's lines compares Alarm.
func (e AlarmEvent) Key() string { return fmt.Sprintf("%s|%012d", e.Alarm, e.Number) }

// AlarmEvents is the table of alarms' histories. A scan of an alarm's ARN and "|" gives its lines,
// oldest first, and perhaps those of an alarm whose name begins so.
var AlarmEvents = state.NewTable("cloudwatch.history", AlarmEvent.Key)

// Tell adds a line to the alarm's history; the caller puts the alarm.
func (a *Alarm) Tell(tx *state.Tx, item cloudwatch.AlarmHistoryItem) {
	item.AlarmName, item.AlarmType = &a.Name, cloudwatch.AlarmTypeMetricAlarm
	AlarmEvents.Put(tx, AlarmEvent{Alarm: a.ARN, Number: a.NextHistory, Item: item})
	oldest := AlarmEvent{Alarm: a.ARN, Number: a.NextHistory - MaxAlarmHistory}
	AlarmEvents.Delete(tx, oldest.Key())
	a.NextHistory++
}

// Change gives the alarm a state and tells of it; the caller puts the alarm.
func (a *Alarm) Change(tx *state.Tx, to AlarmState) {
	a.Tell(tx, cloudwatch.AlarmHistoryItem{
		Timestamp: &to.Since, HistoryItemType: cloudwatch.HistoryItemTypeStateUpdate,
		HistorySummary: new(fmt.Sprintf("Alarm updated from %s to %s", a.State.Value, to.Value)),
		HistoryData:    new(stateChange(a.State, to)),
	})
	a.State = to
}

// stateChange tells of both states in JSON, as CloudWatch does.
func stateChange(from, to AlarmState) string {
	show := func(s AlarmState) map[string]any {
		shown := map[string]any{"stateValue": s.Value, "stateReason": s.Reason}
		if json.Valid([]byte(s.ReasonData)) {
			shown["stateReasonData"] = json.RawMessage(s.ReasonData)
		}
		return shown
	}
	raw, err := json.Marshal(map[string]any{
		"version": "1.0", "oldState": show(from), "newState": show(to),
	})
	if err != nil || len(raw) > maxHistoryData {
		return "{}"
	}
	return string(raw)
}

// maxHistoryData is the model's limit of HistoryData, in characters.
const maxHistoryData = 4095

func alarmTables() []state.TableInfo { return []state.TableInfo{Alarms, AlarmEvents} }
