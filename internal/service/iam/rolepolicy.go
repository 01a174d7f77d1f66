package iam

import (
	"context"
	"maps"
	"slices"

	api "fairlead/internal/api/iam"
	"fairlead/internal/row"
	"fairlead/internal/state"
	"fairlead/internal/wire"
)

// maxAttached is the quota of managed policies per role.
const maxAttached = 10

func (s *Service) registerRolePolicies(r *wire.Router) {
	wire.Handle(r, api.OpPutRolePolicy, s.PutRolePolicy)
	wire.Handle(r, api.OpGetRolePolicy, s.GetRolePolicy)
	wire.Handle(r, api.OpListRolePolicies, s.ListRolePolicies)
	wire.Handle(r, api.OpDeleteRolePolicy, s.DeleteRolePolicy)
	wire.Handle(r, api.OpAttachRolePolicy, s.AttachRolePolicy)
	wire.Handle(r, api.OpDetachRolePolicy, s.DetachRolePolicy)
	wire.Handle(r, api.OpListAttachedRolePolicies, s.ListAttachedRolePolicies)
}

// PutRolePolicy adds or replaces an inline policy.
func (s *Service) PutRolePolicy(
	ctx context.Context, in *api.PutRolePolicyInput,
) (*api.PutRolePolicyOutput, error) {
	if err := checkPolicy(*in.PolicyDocument); err != nil {
		return nil, err
	}
	_, err := s.changeRole(ctx, *in.RoleName, func(_ *state.Tx, role *row.Role) error {
		inline := map[string]string{}
		maps.Copy(inline, role.Inline)
		inline[*in.PolicyName] = *in.PolicyDocument
		total := 0
		for _, document := range inline {
			total += size(document)
		}
		if total > maxInline {
			return api.LimitExceededException(
				"Maximum policy size of %d bytes exceeded for role %s", maxInline, role.Name)
		}
		role.Inline = inline
		return nil
	})
	return &api.PutRolePolicyOutput{}, err
}

// GetRolePolicy returns an inline policy.
func (s *Service) GetRolePolicy(
	ctx context.Context, in *api.GetRolePolicyInput,
) (*api.GetRolePolicyOutput, error) {
	role, err := findRole(s.store.View(), account(ctx), *in.RoleName)
	if err != nil {
		return nil, err
	}
	document, err := inlinePolicy(role, *in.PolicyName)
	if err != nil {
		return nil, err
	}
	return &api.GetRolePolicyOutput{
		RoleName: &role.Name, PolicyName: in.PolicyName, PolicyDocument: encoded(document),
	}, nil
}

func inlinePolicy(role row.Role, name string) (string, error) {
	document, ok := role.Inline[name]
	if !ok {
		return "", api.NoSuchEntityException("The role policy with name %s cannot be found.", name)
	}
	return document, nil
}

// ListRolePolicies lists the names of a role's inline policies.
func (s *Service) ListRolePolicies(
	ctx context.Context, in *api.ListRolePoliciesInput,
) (*api.ListRolePoliciesOutput, error) {
	role, err := findRole(s.store.View(), account(ctx), *in.RoleName)
	if err != nil {
		return nil, err
	}
	names := slices.Sorted(maps.Keys(role.Inline))
	names, next, truncated, err := page(names, itself, in.Marker, in.MaxItems)
	return &api.ListRolePoliciesOutput{
		PolicyNames: names, Marker: next, IsTruncated: truncated,
	}, err
}

func itself(s string) string { return s }

// DeleteRolePolicy removes an inline policy.
func (s *Service) DeleteRolePolicy(
	ctx context.Context, in *api.DeleteRolePolicyInput,
) (*api.DeleteRolePolicyOutput, error) {
	_, err := s.changeRole(ctx, *in.RoleName, func(_ *state.Tx, role *row.Role) error {
		if _, err := inlinePolicy(*role, *in.PolicyName); err != nil {
			return err
		}
		role.Inline = maps.Clone(role.Inline)
		delete(role.Inline, *in.PolicyName)
		return nil
	})
	return &api.DeleteRolePolicyOutput{}, err
}

// AttachRolePolicy attaches a managed policy; again is no error.
func (s *Service) AttachRolePolicy(
	ctx context.Context, in *api.AttachRolePolicyInput,
) (*api.AttachRolePolicyOutput, error) {
	arn := *in.PolicyArn
	_, err := s.changeRole(ctx, *in.RoleName, func(tx *state.Tx, role *row.Role) error {
		if _, err := findPolicy(tx, role.Account, arn); err != nil {
			return api.NoSuchEntityException("Policy %s does not exist or is not attachable.", arn)
		}
		if slices.Contains(role.Attached, arn) {
			return nil
		}
		if len(role.Attached) >= maxAttached {
			return limit("PoliciesPerRole", maxAttached)
		}
		role.Attached = append(slices.Clone(role.Attached), arn)
		return nil
	})
	return &api.AttachRolePolicyOutput{}, err
}

// DetachRolePolicy detaches a managed policy.
func (s *Service) DetachRolePolicy(
	ctx context.Context, in *api.DetachRolePolicyInput,
) (*api.DetachRolePolicyOutput, error) {
	_, err := s.changeRole(ctx, *in.RoleName, func(_ *state.Tx, role *row.Role) error {
		i := slices.Index(role.Attached, *in.PolicyArn)
		if i < 0 {
			return api.NoSuchEntityException("Policy %s was not found.", *in.PolicyArn)
		}
		role.Attached = slices.Delete(slices.Clone(role.Attached), i, i+1)
		return nil
	})
	return &api.DetachRolePolicyOutput{}, err
}

// ListAttachedRolePolicies lists the managed policies of a role by name.
func (s *Service) ListAttachedRolePolicies(
	ctx context.Context, in *api.ListAttachedRolePoliciesInput,
) (*api.ListAttachedRolePoliciesOutput, error) {
	role, err := findRole(s.store.View(), account(ctx), *in.RoleName)
	if err != nil {
		return nil, err
	}
	var arns []string
	for _, arn := range slices.Sorted(slices.Values(role.Attached)) {
		if path, _ := splitPolicyARN(arn); inPath(path, in.PathPrefix) {
			arns = append(arns, arn)
		}
	}
	arns, next, truncated, err := page(arns, itself, in.Marker, in.MaxItems)
	out := &api.ListAttachedRolePoliciesOutput{Marker: next, IsTruncated: truncated}
	for _, arn := range arns {
		_, name := splitPolicyARN(arn)
		out.AttachedPolicies = append(out.AttachedPolicies,
			api.AttachedPolicy{PolicyArn: &arn, PolicyName: &name})
	}
	return out, err
}
