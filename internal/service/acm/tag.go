package acm

import (
	"context"
	"maps"
	"slices"
	"strings"

	api "fairlead/internal/api/acm"
	"fairlead/internal/aws"
	"fairlead/internal/row"
	"fairlead/internal/state"
)

// AddTagsToCertificate sets tags; the value of a key that is there already is replaced.
func (s *Service) AddTagsToCertificate(
	ctx context.Context, in *api.AddTagsToCertificateInput,
) (*api.AddTagsToCertificateOutput, error) {
	tags, err := tagsOf(in.Tags)
	if err != nil {
		return nil, err
	}
	err = s.retag(ctx, aws.Val(in.CertificateArn), func(old row.Tags) { maps.Copy(old, tags) })
	return &api.AddTagsToCertificateOutput{}, err
}

// RemoveTagsFromCertificate removes tags by key, or by key and value where a value is given.
func (s *Service) RemoveTagsFromCertificate(
	ctx context.Context, in *api.RemoveTagsFromCertificateInput,
) (*api.RemoveTagsFromCertificateOutput, error) {
	err := s.retag(ctx, aws.Val(in.CertificateArn), func(old row.Tags) {
		for _, t := range in.Tags {
			if value, ok := old[aws.Val(t.Key)]; ok && (t.Value == nil || *t.Value == value) {
				delete(old, *t.Key)
			}
		}
	})
	return &api.RemoveTagsFromCertificateOutput{}, err
}

func (s *Service) retag(ctx context.Context, arn string, change func(row.Tags)) error {
	return s.store.Update(ctx, func(tx *state.Tx) error {
		c, err := find(tx, arn)
		if err != nil {
			return err
		}
		tags := row.Tags{}
		maps.Copy(tags, c.Tags)
		change(tags)
		if len(tags) > maxTags { // our own text
			return api.TooManyTagsException("The maximum number of tags is %d.", maxTags)
		}
		c.Tags = tags
		row.Certificates.Put(tx, c)
		return nil
	})
}

// ListTagsForCertificate lists the tags of a certificate by key.
func (s *Service) ListTagsForCertificate(
	_ context.Context, in *api.ListTagsForCertificateInput,
) (*api.ListTagsForCertificateOutput, error) {
	c, err := find(s.store.View(), aws.Val(in.CertificateArn))
	out := &api.ListTagsForCertificateOutput{Tags: []api.Tag{}}
	for _, key := range slices.Sorted(maps.Keys(c.Tags)) {
		out.Tags = append(out.Tags, api.Tag{Key: new(key), Value: new(c.Tags[key])})
	}
	return out, err
}

func tagsOf(list []api.Tag) (row.Tags, error) {
	var tags row.Tags
	for _, t := range list {
		if strings.HasPrefix(*t.Key, "aws:") { // our own text
			return nil, api.InvalidTagException("Tag keys that begin with 'aws:' are reserved.")
		}
		if tags == nil {
			tags = row.Tags{}
		}
		tags[*t.Key] = aws.Val(t.Value)
	}
	return tags, nil
}
