package ecs

import (
	"cmp"
	"context"
	"slices"

	"fairlead/internal/api/ecs"
	"fairlead/internal/aws"
	"fairlead/internal/row"
	"fairlead/internal/state"
)

// A setting has one value here: the one that says what Fairlead does. Another is refused, because
// nothing would come of it.
var accountSettings = map[ecs.SettingName]string{
	ecs.SettingNameServiceLongArnFormat:            "enabled",
	ecs.SettingNameTaskLongArnFormat:               "enabled",
	ecs.SettingNameContainerInstanceLongArnFormat:  "enabled",
	ecs.SettingNameAwsvpcTrunking:                  "disabled",
	ecs.SettingNameContainerInsights:               "disabled",
	ecs.SettingNameFargateFIPSMode:                 "disabled",
	ecs.SettingNameTagResourceAuthorization:        "off",
	ecs.SettingNameFargateTaskRetirementWaitPeriod: "7",
	ecs.SettingNameGuardDutyActivate:               "off",
	ecs.SettingNameDefaultLogDriverMode:            "non-blocking",
	ecs.SettingNameFargateEventWindows:             "disabled",
}

// PutAccountSetting sets a value for one principal.
func (s *Service) PutAccountSetting(
	ctx context.Context, in *ecs.PutAccountSettingInput,
) (*ecs.PutAccountSettingOutput, error) {
	who := aws.Or(in.PrincipalArn, principal(aws.CallerFrom(ctx)))
	set, err := s.putSetting(ctx, in.Name, aws.Val(in.Value), who)
	return &ecs.PutAccountSettingOutput{Setting: set}, err
}

// PutAccountSettingDefault sets a value for all principals that have none of their own.
func (s *Service) PutAccountSettingDefault(
	ctx context.Context, in *ecs.PutAccountSettingDefaultInput,
) (*ecs.PutAccountSettingDefaultOutput, error) {
	set, err := s.putSetting(ctx, in.Name, aws.Val(in.Value), "")
	return &ecs.PutAccountSettingDefaultOutput{Setting: set}, err
}

func (s *Service) putSetting(
	ctx context.Context, name ecs.SettingName, value, who string,
) (*ecs.Setting, error) {
	if value != accountSettings[name] {
		return nil, unserved("the value " + value + " of the account setting " + string(name))
	}
	set := row.AccountSetting{Name: string(name), Principal: who, Value: value}
	err := s.update(ctx, func(tx *state.Tx, c aws.Caller) error {
		set.Scope = scope(c)
		row.AccountSettings.Put(tx, set)
		return nil
	})
	return settingShape(set.Name, value, cmp.Or(who, principal(aws.CallerFrom(ctx)))), err
}

// DeleteAccountSetting goes back to the default.
func (s *Service) DeleteAccountSetting(
	ctx context.Context, in *ecs.DeleteAccountSettingInput,
) (*ecs.DeleteAccountSettingOutput, error) {
	who := aws.Or(in.PrincipalArn, principal(aws.CallerFrom(ctx)))
	err := s.update(ctx, func(tx *state.Tx, c aws.Caller) error {
		row.AccountSettings.Delete(tx, row.AccountSettingKey(scope(c), who, string(in.Name)))
		return nil
	})
	return &ecs.DeleteAccountSettingOutput{
		Setting: settingShape(string(in.Name), accountSettings[in.Name], who),
	}, err
}

// ListAccountSettings lists what was set, or with effectiveSettings what holds.
func (s *Service) ListAccountSettings(
	ctx context.Context, in *ecs.ListAccountSettingsInput,
) (*ecs.ListAccountSettingsOutput, error) {
	who := aws.Or(in.PrincipalArn, principal(aws.CallerFrom(ctx)))
	held := s.settingsOf(ctx, who)
	if aws.Val(in.EffectiveSettings) {
		for name, value := range accountSettings {
			held[string(name)] = value
		}
	}
	var list []ecs.Setting
	for name, value := range held {
		if in.Name != "" && string(in.Name) != name || in.Value != nil && *in.Value != value {
			continue
		}
		list = append(list, *settingShape(name, value, who))
	}
	slices.SortFunc(list, func(a, b ecs.Setting) int { return cmp.Compare(a.Name, b.Name) })
	page, next, err := paginate(list, func(s ecs.Setting) string { return string(s.Name) },
		paging{in.NextToken, in.MaxResults, accountSettingPage, accountSettingPage})
	return &ecs.ListAccountSettingsOutput{Settings: orEmpty(page), NextToken: next}, err
}

func (s *Service) settingsOf(ctx context.Context, who string) map[string]string {
	held := map[string]string{}
	view, c := s.store.View(), aws.CallerFrom(ctx)
	for set := range row.AccountSettings.Scan(view, scope(c).Key("")) {
		if set.Principal == who || set.Principal == "" {
			held[set.Name] = set.Value
		}
	}
	return held
}

func settingShape(name, value, who string) *ecs.Setting {
	return &ecs.Setting{
		Name: ecs.SettingName(name), Value: &value, PrincipalArn: &who, Type: ecs.SettingTypeUser,
	}
}
