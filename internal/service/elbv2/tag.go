package elbv2

import (
	"context"
	"maps"
	"slices"
	"strings"

	api "fairlead/internal/api/elbv2"
	"fairlead/internal/aws"
	"fairlead/internal/row"
	"fairlead/internal/state"
)

// reservedTagPrefix starts the keys that only AWS itself may write.
const reservedTagPrefix = "aws:"

// AddTags sets tags on load balancers, target groups, listeners and rules.
func (s *Service) AddTags(
	ctx context.Context, in *api.AddTagsInput,
) (*api.AddTagsOutput, error) {
	tags, err := tagsOf(in.Tags)
	if err != nil {
		return nil, err
	}
	return &api.AddTagsOutput{}, s.retag(ctx, in.ResourceArns, func(old row.Tags) (row.Tags, error) {
		return mergeTags(old, tags)
	})
}

// RemoveTags removes tags by key; a key that is not there is no error.
func (s *Service) RemoveTags(
	ctx context.Context, in *api.RemoveTagsInput,
) (*api.RemoveTagsOutput, error) {
	remove := func(old row.Tags) (row.Tags, error) {
		tags := maps.Clone(old)
		maps.DeleteFunc(tags, func(key, _ string) bool { return slices.Contains(in.TagKeys, key) })
		return tags, nil
	}
	return &api.RemoveTagsOutput{}, s.retag(ctx, in.ResourceArns, remove)
}

func (s *Service) retag(
	ctx context.Context, arns []string, change func(row.Tags) (row.Tags, error),
) error {
	return s.store.Update(ctx, func(tx *state.Tx) error {
		for _, arn := range arns {
			r, err := taggedResource(tx, arn)
			if err != nil {
				return err
			}
			tags, err := change(r.tags)
			if err != nil {
				return err
			}
			r.put(tx, tags)
		}
		return nil
	})
}

// DescribeTags shows the tags of up to 20 resources.
func (s *Service) DescribeTags(
	_ context.Context, in *api.DescribeTagsInput,
) (*api.DescribeTagsOutput, error) {
	if len(in.ResourceArns) > maxArnsPerDescribe {
		return nil, invalid("Cannot have more than %d resource ARNs", maxArnsPerDescribe) // our text
	}
	view, out := s.store.View(), &api.DescribeTagsOutput{}
	for _, arn := range in.ResourceArns {
		r, err := taggedResource(view, arn)
		if err != nil {
			return nil, err
		}
		d := api.TagDescription{ResourceArn: &arn, Tags: []api.Tag{}}
		for _, key := range slices.Sorted(maps.Keys(r.tags)) {
			d.Tags = append(d.Tags, api.Tag{Key: new(key), Value: new(r.tags[key])})
		}
		out.TagDescriptions = append(out.TagDescriptions, d)
	}
	return out, nil
}

// tagged is a resource of any kind, reduced to its tags.
type tagged struct {
	tags row.Tags
	put  func(tx *state.Tx, tags row.Tags)
}

func taggedResource(r state.Reader, arn string) (tagged, error) {
	parsed, ok := aws.ParseARN(arn)
	kind, _, _ := strings.Cut(parsed.Resource, "/")
	switch {
	case ok && kind == "loadbalancer":
		b, err := findBalancer(r, arn)
		put := func(tx *state.Tx, t row.Tags) { b.Tags = t; row.LoadBalancers.Put(tx, b) }
		return tagged{b.Tags, put}, err
	case ok && kind == "targetgroup":
		g, err := findGroup(r, arn)
		put := func(tx *state.Tx, t row.Tags) { g.Tags = t; row.TargetGroups.Put(tx, g) }
		return tagged{g.Tags, put}, err
	case ok && kind == "listener":
		l, err := findListener(r, arn)
		put := func(tx *state.Tx, t row.Tags) { l.Tags = t; row.Listeners.Put(tx, l) }
		return tagged{l.Tags, put}, err
	case ok && kind == "listener-rule":
		l, err := findRule(r, arn)
		put := func(tx *state.Tx, t row.Tags) { l.Tags = t; row.Rules.Put(tx, l) }
		return tagged{l.Tags, put}, err
	default:
		return tagged{}, invalid("'%s' is not a valid load balancing resource ARN", arn) // our text
	}
}

// tagsOf reads the tags of a Create or AddTags call.
func tagsOf(list []api.Tag) (row.Tags, error) {
	if len(list) == 0 {
		return nil, nil
	}
	tags := row.Tags{}
	for _, t := range list {
		key := aws.Val(t.Key)
		if strings.HasPrefix(key, reservedTagPrefix) {
			return nil, invalid("Tag keys starting with 'aws:' are reserved for system use") // guess
		}
		if _, twice := tags[key]; twice {
			return nil, api.DuplicateTagKeysException("Tag key '%s' was provided multiple times", key)
		}
		tags[key] = aws.Val(t.Value)
	}
	return mergeTags(nil, tags)
}

func mergeTags(old, added row.Tags) (row.Tags, error) {
	tags := row.Tags{}
	maps.Copy(tags, old)
	maps.Copy(tags, added)
	if len(tags) > maxTags {
		return nil, api.TooManyTagsException("The maximum number of tags is '%d'", maxTags) // guess
	}
	return tags, nil
}
