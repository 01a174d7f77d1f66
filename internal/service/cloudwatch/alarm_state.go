package cloudwatch

import (
	"context"
	"encoding/json"

	api "fairlead/internal/api/cloudwatch"
	"fairlead/internal/aws"
	"fairlead/internal/row"
	"fairlead/internal/state"
)

// DeleteAlarms deletes alarms, all that are named or none.
func (s *Service) DeleteAlarms(
	ctx context.Context, in *api.DeleteAlarmsInput,
) (*api.DeleteAlarmsOutput, error) {
	sc := scope(ctx)
	return nil, s.store.Update(ctx, func(tx *state.Tx) error {
		for _, name := range in.AlarmNames {
			a, err := findAlarm(tx, sc, name)
			if err != nil {
				return err
			}
			forget(tx, a)
		}
		return nil
	})
}

// forget removes an alarm with its history.
func forget(tx *state.Tx, a row.Alarm) {
	row.Alarms.Delete(tx, a.ARN)
	for e := range row.AlarmEvents.Scan(tx, a.ARN+"|") {
		if e.Alarm == a.ARN {
			row.AlarmEvents.Delete(tx, e.Key())
		}
	}
}

// SetAlarmState gives an alarm a state until the next evaluation sees otherwise.
func (s *Service) SetAlarmState(
	ctx context.Context, in *api.SetAlarmStateInput,
) (*api.SetAlarmStateOutput, error) {
	if d := aws.Val(in.StateReasonData); d != "" && !json.Valid([]byte(d)) {
		return nil, api.InvalidFormatFault("StateReasonData was not syntactically valid JSON")
	}
	sc, now := scope(ctx), s.now().UTC()
	return nil, s.store.Update(ctx, func(tx *state.Tx) error {
		a, err := findAlarm(tx, sc, *in.AlarmName)
		if err != nil {
			return err
		}
		a.Change(tx, row.AlarmState{
			Value: in.StateValue, Reason: *in.StateReason, ReasonData: aws.Val(in.StateReasonData), Since: now,
		})
		row.Alarms.Put(tx, a)
		return nil
	})
}

// EnableAlarmActions lets alarms act. Names that there are no alarms of are passed over, as on AWS.
func (s *Service) EnableAlarmActions(
	ctx context.Context, in *api.EnableAlarmActionsInput,
) (*api.EnableAlarmActionsOutput, error) {
	return nil, s.setActions(ctx, in.AlarmNames, true)
}

// DisableAlarmActions keeps alarms from acting.
func (s *Service) DisableAlarmActions(
	ctx context.Context, in *api.DisableAlarmActionsInput,
) (*api.DisableAlarmActionsOutput, error) {
	return nil, s.setActions(ctx, in.AlarmNames, false)
}

func (s *Service) setActions(ctx context.Context, names []string, enabled bool) error {
	sc, now := scope(ctx), s.now().UTC()
	return s.store.Update(ctx, func(tx *state.Tx) error {
		for _, name := range names {
			if a, err := findAlarm(tx, sc, name); err == nil {
				a.Definition.ActionsEnabled, a.UpdatedAt = &enabled, now
				row.Alarms.Put(tx, a)
			}
		}
		return nil
	})
}
