package iam

import (
	"context"
	"slices"
	"strings"

	api "fairlead/internal/api/iam"
	"fairlead/internal/aws"
	"fairlead/internal/row"
	"fairlead/internal/wire"
)

// maxVersions is how many versions a managed policy has at once.
const maxVersions = 5

func (s *Service) registerVersions(r *wire.Router) {
	wire.Handle(r, api.OpCreatePolicyVersion, s.CreatePolicyVersion)
	wire.Handle(r, api.OpGetPolicyVersion, s.GetPolicyVersion)
	wire.Handle(r, api.OpListPolicyVersions, s.ListPolicyVersions)
	wire.Handle(r, api.OpSetDefaultPolicyVersion, s.SetDefaultPolicyVersion)
	wire.Handle(r, api.OpDeletePolicyVersion, s.DeletePolicyVersion)
}

// CreatePolicyVersion adds a version, which is the default one only if told.
func (s *Service) CreatePolicyVersion(
	ctx context.Context, in *api.CreatePolicyVersionInput,
) (*api.CreatePolicyVersionOutput, error) {
	if err := checkManaged(*in.PolicyDocument); err != nil {
		return nil, err
	}
	var out *api.PolicyVersion
	err := s.changePolicy(ctx, *in.PolicyArn, func(p *row.Policy) error {
		if len(p.Versions) >= maxVersions {
			return api.LimitExceededException("A managed policy can have up to %d versions. Before "+
				"you create a new version, you must delete an existing version.", maxVersions)
		}
		p.Last++
		v := row.PolicyVersion{Number: p.Last, Document: *in.PolicyDocument, CreatedAt: s.now().UTC()}
		p.Versions = append(slices.Clone(p.Versions), v)
		if aws.Val(in.SetAsDefault) {
			p.Default, p.UpdatedAt = v.Number, v.CreatedAt
		}
		out = describeVersion(*p, v)
		out.Document = nil
		return nil
	})
	return &api.CreatePolicyVersionOutput{PolicyVersion: out}, err
}

// GetPolicyVersion returns a version with its document.
func (s *Service) GetPolicyVersion(
	ctx context.Context, in *api.GetPolicyVersionInput,
) (*api.GetPolicyVersionOutput, error) {
	p, err := findPolicy(s.store.View(), account(ctx), *in.PolicyArn)
	if err != nil {
		return nil, err
	}
	i, err := versionIndex(p, *in.VersionId)
	if err != nil {
		return nil, err
	}
	if p.Versions[i].Document == "" {
		return nil, aws.NewFault("InvalidInput", "Fairlead does not have the document of %s: "+
			"policies of AWS are known by name and not evaluated, see SCOPE.md.", *in.PolicyArn)
	}
	return &api.GetPolicyVersionOutput{PolicyVersion: describeVersion(p, p.Versions[i])}, nil
}

// ListPolicyVersions lists versions, newest first and without their documents.
func (s *Service) ListPolicyVersions(
	ctx context.Context, in *api.ListPolicyVersionsInput,
) (*api.ListPolicyVersionsOutput, error) {
	p, err := findPolicy(s.store.View(), account(ctx), *in.PolicyArn)
	if err != nil {
		return nil, err
	}
	out := &api.ListPolicyVersionsOutput{IsTruncated: new(false)}
	for _, v := range slices.Backward(p.Versions) { // at most five: never more than a page
		d := describeVersion(p, v)
		d.Document = nil
		out.Versions = append(out.Versions, *d)
	}
	return out, nil
}

// SetDefaultPolicyVersion puts a version in force.
func (s *Service) SetDefaultPolicyVersion(
	ctx context.Context, in *api.SetDefaultPolicyVersionInput,
) (*api.SetDefaultPolicyVersionOutput, error) {
	err := s.changePolicy(ctx, *in.PolicyArn, func(p *row.Policy) error {
		i, err := versionIndex(*p, *in.VersionId)
		if err != nil {
			return err
		}
		p.Default, p.UpdatedAt = p.Versions[i].Number, s.now().UTC()
		return nil
	})
	return &api.SetDefaultPolicyVersionOutput{}, err
}

// DeletePolicyVersion deletes a version that is not the default one.
func (s *Service) DeletePolicyVersion(
	ctx context.Context, in *api.DeletePolicyVersionInput,
) (*api.DeletePolicyVersionOutput, error) {
	err := s.changePolicy(ctx, *in.PolicyArn, func(p *row.Policy) error {
		i, err := versionIndex(*p, *in.VersionId)
		if err != nil {
			return err
		}
		if p.Versions[i].Number == p.Default {
			return api.DeleteConflictException("Cannot delete the default version of a policy.")
		}
		p.Versions = slices.Delete(slices.Clone(p.Versions), i, i+1)
		return nil
	})
	return &api.DeletePolicyVersionOutput{}, err
}

func versionIndex(p row.Policy, id string) (int, error) {
	i := slices.IndexFunc(p.Versions, func(v row.PolicyVersion) bool {
		return strings.EqualFold(versionID(v.Number), id)
	})
	if i < 0 {
		return 0, api.NoSuchEntityException(
			"Policy %s version %s does not exist or is not attachable.", p.ARN(), id)
	}
	return i, nil
}

func describeVersion(p row.Policy, v row.PolicyVersion) *api.PolicyVersion {
	return &api.PolicyVersion{
		CreateDate:       &v.CreatedAt,
		Document:         encoded(v.Document),
		IsDefaultVersion: new(v.Number == p.Default),
		VersionId:        new(versionID(v.Number)),
	}
}
