package cloudwatch

import (
	"context"
	"maps"
	"slices"
	"strings"

	api "fairlead/internal/api/cloudwatch"
	"fairlead/internal/aws"
	"fairlead/internal/row"
	"fairlead/internal/state"
)

// TagResource adds or changes tags of the alarm with this ARN.
func (s *Service) TagResource(
	ctx context.Context, in *api.TagResourceInput,
) (*api.TagResourceOutput, error) {
	more, err := tagsOf(in.Tags)
	if err != nil {
		return nil, err
	}
	return &api.TagResourceOutput{}, s.changeTags(ctx, *in.ResourceARN, func(tags row.Tags) error {
		maps.Copy(tags, more)
		return checkTags(tags)
	})
}

// UntagResource removes tags of the alarm with this ARN.
func (s *Service) UntagResource(
	ctx context.Context, in *api.UntagResourceInput,
) (*api.UntagResourceOutput, error) {
	return &api.UntagResourceOutput{}, s.changeTags(ctx, *in.ResourceARN, func(tags row.Tags) error {
		maps.DeleteFunc(tags, func(key, _ string) bool { return slices.Contains(in.TagKeys, key) })
		return nil
	})
}

// ListTagsForResource lists the tags of the alarm with this ARN.
func (s *Service) ListTagsForResource(
	ctx context.Context, in *api.ListTagsForResourceInput,
) (*api.ListTagsForResourceOutput, error) {
	a, err := taggedAlarm(s.store.View(), scope(ctx), *in.ResourceARN)
	if err != nil {
		return nil, err
	}
	out := &api.ListTagsForResourceOutput{Tags: []api.Tag{}}
	for _, key := range slices.Sorted(maps.Keys(a.Tags)) {
		out.Tags = append(out.Tags, api.Tag{Key: new(key), Value: new(a.Tags[key])})
	}
	return out, nil
}

func (s *Service) changeTags(ctx context.Context, arn string, change func(row.Tags) error) error {
	sc := scope(ctx)
	return s.store.Update(ctx, func(tx *state.Tx) error {
		a, err := taggedAlarm(tx, sc, arn)
		if err != nil {
			return err
		}
		tags := row.Tags{}
		maps.Copy(tags, a.Tags)
		if err := change(tags); err != nil {
			return err
		}
		a.Tags = tags
		row.Alarms.Put(tx, a)
		return nil
	})
}

// taggedAlarm finds what can be tagged: an alarm of the caller's account and region.
func taggedAlarm(r state.Reader, sc row.Scope, arn string) (row.Alarm, error) {
	parsed, ok := aws.ParseARN(arn)
	if !ok || parsed.Service != "cloudwatch" {
		return row.Alarm{}, invalidValue("The value %s for parameter ResourceARN is invalid.", arn)
	}
	name, _ := strings.CutPrefix(parsed.Resource, "alarm:")
	a, ok := row.Alarms.Get(r, arn)
	if !ok || a.ARN != row.AlarmARN(sc, name) {
		return a, api.ResourceNotFoundException("Unknown resource").
			With("ResourceType", "cloudwatch").With("ResourceId", arn)
	}
	return a, nil
}

func tagsOf(list []api.Tag) (row.Tags, error) {
	tags := row.Tags{}
	for _, tag := range list {
		tags[*tag.Key] = *tag.Value
	}
	return tags, checkTags(tags)
}

func checkTags(tags row.Tags) error {
	for key := range tags {
		if strings.HasPrefix(strings.ToLower(key), "aws:") {
			return invalidValue("The tag key %s begins with aws:, which is reserved.", key)
		}
	}
	if len(tags) > maxTags {
		return invalidValue("A resource can have no more than %d tags.", maxTags)
	}
	return nil
}
