package ecs

import (
	"context"
	"maps"
	"slices"
	"strings"

	"fairlead/internal/api/ecs"
	"fairlead/internal/aws"
	"fairlead/internal/row"
	"fairlead/internal/state"
)

// Limits of tags. https://docs.aws.amazon.com/AmazonECS/latest/developerguide/ecs-using-tags.html
const (
	maxTags     = 50
	maxTagKey   = 128
	maxTagValue = 256
)

// TagResource adds tags to a cluster, service, task or task definition.
func (s *Service) TagResource(
	ctx context.Context, in *ecs.TagResourceInput,
) (*ecs.TagResourceOutput, error) {
	more, err := tagsOf(in.Tags)
	if err != nil {
		return nil, err
	}
	err = s.retag(ctx, aws.Val(in.ResourceArn), func(tags row.Tags) row.Tags {
		tags = maps.Clone(tags)
		if tags == nil {
			tags = row.Tags{}
		}
		maps.Copy(tags, more)
		return tags
	})
	return &ecs.TagResourceOutput{}, err
}

// UntagResource removes tags by key.
func (s *Service) UntagResource(
	ctx context.Context, in *ecs.UntagResourceInput,
) (*ecs.UntagResourceOutput, error) {
	err := s.retag(ctx, aws.Val(in.ResourceArn), func(tags row.Tags) row.Tags {
		tags = maps.Clone(tags)
		maps.DeleteFunc(tags, func(k, _ string) bool { return slices.Contains(in.TagKeys, k) })
		return tags
	})
	return &ecs.UntagResourceOutput{}, err
}

// ListTagsForResource lists the tags of a resource by key.
func (s *Service) ListTagsForResource(
	_ context.Context, in *ecs.ListTagsForResourceInput,
) (*ecs.ListTagsForResourceOutput, error) {
	t, err := taggedBy(s.store.View(), aws.Val(in.ResourceArn))
	if err != nil {
		return nil, err
	}
	return &ecs.ListTagsForResourceOutput{Tags: tagList(t.tags)}, nil
}

func (s *Service) retag(ctx context.Context, arn string, change func(row.Tags) row.Tags) error {
	return s.update(ctx, func(tx *state.Tx, _ aws.Caller) error {
		t, err := taggedBy(tx, arn)
		if err != nil {
			return err
		}
		tags := change(t.tags)
		if len(tags) > maxTags {
			return invalid("The number of tags exceeds the limit of %d.", maxTags)
		}
		t.put(tx, tags)
		return nil
	})
}

// tagged is a row that has tags.
type tagged struct {
	tags row.Tags
	put  func(*state.Tx, row.Tags)
}

// taggedBy finds the row that an ARN names.
func taggedBy(r state.Reader, ref string) (tagged, error) {
	arn, ok := aws.ParseARN(ref)
	if !ok || arn.Service != "ecs" {
		return tagged{}, invalid("Invalid identifier: Identifier is not a valid ARN.")
	}
	kind, rest, _ := strings.Cut(arn.Resource, "/")
	switch kind {
	case "cluster":
		return tagsIn(r, row.Clusters, ref, func(c *row.Cluster) *row.Tags { return &c.Tags })
	case "service":
		if !strings.Contains(rest, "/") {
			return tagged{}, invalid("Long arn format must be used for tagging operations")
		}
		return tagsIn(r, row.Services, ref, func(v *row.Service) *row.Tags { return &v.Tags })
	case "task":
		return tagsIn(r, row.Tasks, ref, func(t *row.Task) *row.Tags { return &t.Tags })
	case "task-definition":
		return tagsIn(r, row.TaskDefinitions, ref,
			func(d *row.TaskDefinition) *row.Tags { return &d.Tags })
	}
	return tagged{}, unserved("tags of the resource type " + kind)
}

func tagsIn[R any](
	r state.Reader, table *state.Table[R], arn string, field func(*R) *row.Tags,
) (tagged, error) {
	held, ok := table.Get(r, arn)
	if !ok {
		return tagged{}, invalid("The specified resource is not found: %s", arn)
	}
	return tagged{tags: *field(&held), put: func(tx *state.Tx, tags row.Tags) {
		*field(&held) = tags
		table.Put(tx, held)
	}}, nil
}

// tagsOf checks the tags of a call and keys them.
func tagsOf(tags []ecs.Tag) (row.Tags, error) {
	if len(tags) > maxTags {
		return nil, invalid("The number of tags exceeds the limit of %d.", maxTags)
	}
	set := make(row.Tags, len(tags))
	for _, t := range tags {
		key, value := aws.Val(t.Key), aws.Val(t.Value)
		_, twice := set[key]
		switch {
		case key == "":
			return nil, invalid("Tag keys cannot be null or empty.")
		case twice:
			return nil, invalid("Duplicate tag keys found. Please note that Tag keys are case insensitive.")
		case len(key) > maxTagKey || len(value) > maxTagValue:
			return nil, invalid("Tag keys have at most %d and values at most %d characters.",
				maxTagKey, maxTagValue)
		case strings.HasPrefix(strings.ToLower(key), "aws:"):
			return nil, invalid("Tag keys beginning with 'aws:' are reserved for system use: %s", key)
		}
		set[key] = value
	}
	return set, nil
}

// tagList lists tags by key, as every answer does.
func tagList(tags row.Tags) []ecs.Tag {
	list := make([]ecs.Tag, 0, len(tags))
	for _, key := range slices.Sorted(maps.Keys(tags)) {
		list = append(list, ecs.Tag{Key: new(key), Value: new(tags[key])})
	}
	return list
}
