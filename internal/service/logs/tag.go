package logs

import (
	"context"
	"maps"

	api "fairlead/internal/api/logs"
	"fairlead/internal/row"
	"fairlead/internal/wire"
)

func (s *Service) registerTags(r *wire.Router) {
	wire.Handle(r, api.OpTagResource, s.TagResource)
	wire.Handle(r, api.OpUntagResource, s.UntagResource)
	wire.Handle(r, api.OpListTagsForResource, s.ListTagsForResource)
	wire.Handle(r, api.OpTagLogGroup, s.TagLogGroup)
	wire.Handle(r, api.OpUntagLogGroup, s.UntagLogGroup)
	wire.Handle(r, api.OpListTagsLogGroup, s.ListTagsLogGroup)
}

// TagResource adds or changes tags of the group with this ARN.
func (s *Service) TagResource(
	ctx context.Context, in *api.TagResourceInput,
) (*api.TagResourceOutput, error) {
	name, err := groupOfARN(scope(ctx), *in.ResourceArn)
	if err != nil {
		return nil, err
	}
	return &api.TagResourceOutput{}, s.tag(ctx, name, in.Tags)
}

// UntagResource removes tags of the group with this ARN.
func (s *Service) UntagResource(
	ctx context.Context, in *api.UntagResourceInput,
) (*api.UntagResourceOutput, error) {
	name, err := groupOfARN(scope(ctx), *in.ResourceArn)
	if err != nil {
		return nil, err
	}
	return &api.UntagResourceOutput{}, s.untag(ctx, name, in.TagKeys)
}

// ListTagsForResource lists the tags of the group with this ARN.
func (s *Service) ListTagsForResource(
	ctx context.Context, in *api.ListTagsForResourceInput,
) (*api.ListTagsForResourceOutput, error) {
	name, err := groupOfARN(scope(ctx), *in.ResourceArn)
	if err != nil {
		return nil, err
	}
	tags, err := s.tags(ctx, name)
	return &api.ListTagsForResourceOutput{Tags: tags}, err
}

// TagLogGroup is TagResource by name.
func (s *Service) TagLogGroup(
	ctx context.Context, in *api.TagLogGroupInput,
) (*api.TagLogGroupOutput, error) {
	return &api.TagLogGroupOutput{}, s.tag(ctx, *in.LogGroupName, in.Tags)
}

// UntagLogGroup is UntagResource by name.
func (s *Service) UntagLogGroup(
	ctx context.Context, in *api.UntagLogGroupInput,
) (*api.UntagLogGroupOutput, error) {
	return &api.UntagLogGroupOutput{}, s.untag(ctx, *in.LogGroupName, in.Tags)
}

// ListTagsLogGroup is ListTagsForResource by name.
func (s *Service) ListTagsLogGroup(
	ctx context.Context, in *api.ListTagsLogGroupInput,
) (*api.ListTagsLogGroupOutput, error) {
	tags, err := s.tags(ctx, *in.LogGroupName)
	return &api.ListTagsLogGroupOutput{Tags: tags}, err
}

func (s *Service) tag(ctx context.Context, group string, tags map[string]string) error {
	return s.changeGroup(ctx, group, func(g *row.LogGroup) (err error) {
		g.Tags, err = addTags(g.Tags, tags)
		return err
	})
}

func (s *Service) untag(ctx context.Context, group string, keys []string) error {
	return s.changeGroup(ctx, group, func(g *row.LogGroup) error {
		g.Tags = maps.Clone(g.Tags)
		for _, key := range keys {
			delete(g.Tags, key)
		}
		return nil
	})
}

func (s *Service) tags(ctx context.Context, group string) (map[string]string, error) {
	g, err := findGroup(s.store.View(), scope(ctx), group)
	if err != nil {
		return nil, err
	}
	return addTags(g.Tags, nil)
}
