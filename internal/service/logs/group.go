package logs

import (
	"context"
	"fmt"
	"slices"
	"strings"

	api "fairlead/internal/api/logs"
	"fairlead/internal/aws"
	"fairlead/internal/row"
	"fairlead/internal/state"
	"fairlead/internal/wire"
)

// defaultPage is how many groups or streams a list has when the caller does not say: also the most.
const defaultPage = 50

func (s *Service) registerGroups(r *wire.Router) {
	wire.Handle(r, api.OpCreateLogGroup, s.CreateLogGroup)
	wire.Handle(r, api.OpDescribeLogGroups, s.DescribeLogGroups)
	wire.Handle(r, api.OpDeleteLogGroup, s.DeleteLogGroup)
	wire.Handle(r, api.OpPutRetentionPolicy, s.PutRetentionPolicy)
	wire.Handle(r, api.OpDeleteRetentionPolicy, s.DeleteRetentionPolicy)
}

// CreateLogGroup makes a group whose events are kept for ever.
func (s *Service) CreateLogGroup(
	ctx context.Context, in *api.CreateLogGroupInput,
) (*api.CreateLogGroupOutput, error) {
	switch {
	case in.KmsKeyId != nil:
		return nil, unserved("kmsKeyId")
	case in.LogGroupClass != "" && in.LogGroupClass != api.LogGroupClassSTANDARD:
		return nil, unserved("logGroupClass " + string(in.LogGroupClass))
	case aws.Val(in.DeletionProtectionEnabled):
		return nil, unserved("deletionProtectionEnabled")
	}
	return &api.CreateLogGroupOutput{}, s.store.Update(ctx, func(tx *state.Tx) error {
		return s.addGroup(tx, scope(ctx), *in.LogGroupName, in.Tags)
	})
}

func (s *Service) addGroup(
	tx *state.Tx, scope row.Scope, name string, tags map[string]string,
) error {
	g := row.LogGroup{Scope: scope, Name: name, CreatedAt: s.now().UTC(), Tags: tags}
	if _, ok := row.LogGroups.Get(tx, g.Key()); ok {
		return api.ResourceAlreadyExistsException("The specified log group already exists")
	}
	row.LogGroups.Put(tx, g)
	return nil
}

// DescribeLogGroups lists groups by name.
func (s *Service) DescribeLogGroups(
	ctx context.Context, in *api.DescribeLogGroupsInput,
) (*api.DescribeLogGroupsOutput, error) {
	scope := scope(ctx)
	if err := checkDescribeGroups(scope, in); err != nil {
		return nil, err
	}
	after, err := readPage(in.NextToken)
	if err != nil {
		return nil, err
	}
	view := s.store.View()
	out := &api.DescribeLogGroupsOutput{LogGroups: []api.LogGroup{}}
	for g := range row.LogGroups.Scan(view, scope.Key(aws.Val(in.LogGroupNamePrefix))) {
		if g.Name <= after && after != "" || !wantsGroup(scope, in, g) {
			continue
		}
		if len(out.LogGroups) == int(aws.Or(in.Limit, defaultPage)) {
			out.NextToken = pageToken(*out.LogGroups[len(out.LogGroups)-1].LogGroupName)
			break
		}
		described, err := s.describeGroup(view, g)
		if err != nil {
			return nil, err
		}
		out.LogGroups = append(out.LogGroups, described)
	}
	return out, nil
}

func checkDescribeGroups(scope row.Scope, in *api.DescribeLogGroupsInput) error {
	switch {
	case in.LogGroupNamePrefix != nil && in.LogGroupNamePattern != nil:
		return invalid("LogGroup name prefix and LogGroup name pattern are mutually exclusive " +
			"parameters.")
	case aws.Val(in.IncludeLinkedAccounts):
		return unserved("includeLinkedAccounts")
	case slices.ContainsFunc(in.AccountIdentifiers, func(a string) bool { return a != scope.Account }):
		return unserved("accountIdentifiers")
	}
	return nil
}

func wantsGroup(scope row.Scope, in *api.DescribeLogGroupsInput, g row.LogGroup) bool {
	class := in.LogGroupClass == "" || in.LogGroupClass == api.LogGroupClassSTANDARD
	named := len(in.LogGroupIdentifiers) == 0
	for _, id := range in.LogGroupIdentifiers {
		name, err := groupName(scope, nil, &id)
		named = named || err == nil && name == g.Name
	}
	return class && named && strings.Contains(g.Name, aws.Val(in.LogGroupNamePattern))
}

func (s *Service) describeGroup(r state.Reader, g row.LogGroup) (api.LogGroup, error) {
	var bytes int64
	for l := range row.LogStreams.Scan(r, row.LogStreamKey(g.Scope, g.Name, "")) {
		stats, err := s.events.Stats(l.ID)
		if err != nil {
			return api.LogGroup{}, err
		}
		bytes += stats.Bytes + stats.Events*eventOverhead
	}
	out := api.LogGroup{
		Arn:                       new(g.ARN() + ":*"),
		CreationTime:              millis(g.CreatedAt),
		DeletionProtectionEnabled: new(false),
		LogGroupArn:               new(g.ARN()),
		LogGroupClass:             api.LogGroupClassSTANDARD,
		LogGroupName:              &g.Name,
		MetricFilterCount:         new(int32(0)),
		StoredBytes:               &bytes,
	}
	if g.Retention > 0 {
		out.RetentionInDays = &g.Retention
	}
	return out, nil
}

// DeleteLogGroup deletes a group with its streams and their events.
func (s *Service) DeleteLogGroup(
	ctx context.Context, in *api.DeleteLogGroupInput,
) (*api.DeleteLogGroupOutput, error) {
	var streams []row.LogStream
	err := s.store.Update(ctx, func(tx *state.Tx) error {
		g, err := findGroup(tx, scope(ctx), *in.LogGroupName)
		if err != nil {
			return err
		}
		streams = slices.Collect(row.LogStreams.Scan(tx, row.LogStreamKey(g.Scope, g.Name, "")))
		for _, l := range streams {
			row.LogStreams.Delete(tx, l.Key())
		}
		row.LogGroups.Delete(tx, g.Key())
		return nil
	})
	if err != nil {
		return nil, err
	}
	for _, l := range streams {
		if err := s.events.Delete(l.ID); err != nil {
			return nil, fmt.Errorf("delete the events of %s: %w", l.Key(), err)
		}
	}
	return &api.DeleteLogGroupOutput{}, nil
}

// retentions are the periods in days that a group's events can be kept for.
// https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_PutRetentionPolicy.html
func retentions() []int32 {
	return []int32{1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192,
		2557, 2922, 3288, 3653}
}

// PutRetentionPolicy says how long events are kept. Older ones are not seen from then on, and
// deleted soon after.
func (s *Service) PutRetentionPolicy(
	ctx context.Context, in *api.PutRetentionPolicyInput,
) (*api.PutRetentionPolicyOutput, error) {
	days := *in.RetentionInDays
	if !slices.Contains(retentions(), days) {
		return nil, invalid("1 validation error detected: Value '%d' at 'retentionInDays' failed to "+
			"satisfy constraint: Member must satisfy enum value set: %s", days,
			strings.ReplaceAll(fmt.Sprint(retentions()), " ", ", "))
	}
	err := s.changeGroup(ctx, *in.LogGroupName, func(g *row.LogGroup) error {
		g.Retention = days
		return nil
	})
	return &api.PutRetentionPolicyOutput{}, err
}

// DeleteRetentionPolicy keeps events for ever.
func (s *Service) DeleteRetentionPolicy(
	ctx context.Context, in *api.DeleteRetentionPolicyInput,
) (*api.DeleteRetentionPolicyOutput, error) {
	err := s.changeGroup(ctx, *in.LogGroupName, func(g *row.LogGroup) error {
		g.Retention = 0
		return nil
	})
	return &api.DeleteRetentionPolicyOutput{}, err
}

func (s *Service) changeGroup(
	ctx context.Context, name string, fn func(g *row.LogGroup) error,
) error {
	return s.store.Update(ctx, func(tx *state.Tx) error {
		g, err := findGroup(tx, scope(ctx), name)
		if err != nil {
			return err
		}
		if err := fn(&g); err != nil {
			return err
		}
		row.LogGroups.Put(tx, g)
		return nil
	})
}
