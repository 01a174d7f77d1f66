package iam

import (
	"cmp"
	"context"
	"slices"

	api "fairlead/internal/api/iam"
	"fairlead/internal/aws"
	"fairlead/internal/row"
	"fairlead/internal/state"
	"fairlead/internal/wire"
)

const (
	maxRoles       = 1000 // quota per account
	defaultSession = 3600 // longest session of a role in seconds, unless it says another
)

func (s *Service) registerRoles(r *wire.Router) {
	wire.Handle(r, api.OpCreateRole, s.CreateRole)
	wire.Handle(r, api.OpGetRole, s.GetRole)
	wire.Handle(r, api.OpListRoles, s.ListRoles)
	wire.Handle(r, api.OpUpdateRole, s.UpdateRole)
	wire.Handle(r, api.OpUpdateRoleDescription, s.UpdateRoleDescription)
	wire.Handle(r, api.OpUpdateAssumeRolePolicy, s.UpdateAssumeRolePolicy)
	wire.Handle(r, api.OpDeleteRole, s.DeleteRole)
	wire.Handle(r, api.OpTagRole, s.TagRole)
	wire.Handle(r, api.OpUntagRole, s.UntagRole)
	wire.Handle(r, api.OpListRoleTags, s.ListRoleTags)
	wire.Handle(r, api.OpListInstanceProfilesForRole, s.ListInstanceProfilesForRole)
}

// CreateRole makes a role without policies.
func (s *Service) CreateRole(
	ctx context.Context, in *api.CreateRoleInput,
) (*api.CreateRoleOutput, error) {
	if err := checkTrust(*in.AssumeRolePolicyDocument); err != nil {
		return nil, err
	}
	role := row.Role{
		Account:     account(ctx),
		Name:        *in.RoleName,
		Path:        aws.Or(in.Path, "/"),
		ID:          uniqueID("AROA"),
		CreatedAt:   s.now().UTC(),
		Trust:       *in.AssumeRolePolicyDocument,
		Description: aws.Val(in.Description),
		MaxSession:  aws.Or(in.MaxSessionDuration, defaultSession),
		Boundary:    aws.Val(in.PermissionsBoundary),
		Tags:        tagsOf(in.Tags),
	}
	if err := s.store.Update(ctx, func(tx *state.Tx) error { return addRole(tx, role) }); err != nil {
		return nil, err
	}
	return &api.CreateRoleOutput{Role: describeRole(role)}, nil
}

func addRole(tx *state.Tx, role row.Role) error {
	if old, ok := row.Roles.Get(tx, role.Key()); ok {
		return api.EntityAlreadyExistsException("Role with name %s already exists.", old.Name)
	}
	if role.Boundary != "" {
		if _, err := findPolicy(tx, role.Account, role.Boundary); err != nil {
			return err
		}
	}
	if len(slices.Collect(row.Roles.Scan(tx, row.RoleKey(role.Account, "")))) >= maxRoles {
		return limit("RolesPerAccount", maxRoles)
	}
	row.Roles.Put(tx, role)
	return nil
}

// GetRole returns a role.
func (s *Service) GetRole(ctx context.Context, in *api.GetRoleInput) (*api.GetRoleOutput, error) {
	role, err := findRole(s.store.View(), account(ctx), *in.RoleName)
	if err != nil {
		return nil, err
	}
	return &api.GetRoleOutput{Role: describeRole(role)}, nil
}

// ListRoles lists roles by name, without their tags.
func (s *Service) ListRoles(
	ctx context.Context, in *api.ListRolesInput,
) (*api.ListRolesOutput, error) {
	var roles []row.Role
	for role := range row.Roles.Scan(s.store.View(), row.RoleKey(account(ctx), "")) {
		if inPath(role.Path, in.PathPrefix) {
			roles = append(roles, role)
		}
	}
	roles, next, truncated, err := page(roles, row.Role.Key, in.Marker, in.MaxItems)
	if err != nil {
		return nil, err
	}
	out := &api.ListRolesOutput{Marker: next, IsTruncated: truncated}
	for _, role := range roles {
		role.Tags, role.Boundary = nil, ""
		out.Roles = append(out.Roles, *describeRole(role))
	}
	return out, nil
}

// UpdateRole changes the description, if it is given, and the longest session, which goes back to
// an hour if it is not.
func (s *Service) UpdateRole(
	ctx context.Context, in *api.UpdateRoleInput,
) (*api.UpdateRoleOutput, error) {
	_, err := s.changeRole(ctx, *in.RoleName, func(_ *state.Tx, role *row.Role) error {
		role.Description = aws.Or(in.Description, role.Description)
		role.MaxSession = aws.Or(in.MaxSessionDuration, defaultSession)
		return nil
	})
	return &api.UpdateRoleOutput{}, err
}

// UpdateRoleDescription changes the description alone.
func (s *Service) UpdateRoleDescription(
	ctx context.Context, in *api.UpdateRoleDescriptionInput,
) (*api.UpdateRoleDescriptionOutput, error) {
	role, err := s.changeRole(ctx, *in.RoleName, func(_ *state.Tx, role *row.Role) error {
		role.Description = *in.Description
		return nil
	})
	if err != nil {
		return nil, err
	}
	return &api.UpdateRoleDescriptionOutput{Role: describeRole(role)}, nil
}

// UpdateAssumeRolePolicy replaces the trust policy.
func (s *Service) UpdateAssumeRolePolicy(
	ctx context.Context, in *api.UpdateAssumeRolePolicyInput,
) (*api.UpdateAssumeRolePolicyOutput, error) {
	if err := checkTrust(*in.PolicyDocument); err != nil {
		return nil, err
	}
	_, err := s.changeRole(ctx, *in.RoleName, func(_ *state.Tx, role *row.Role) error {
		role.Trust = *in.PolicyDocument
		return nil
	})
	return &api.UpdateAssumeRolePolicyOutput{}, err
}

// DeleteRole deletes a role that has no policies any more.
func (s *Service) DeleteRole(
	ctx context.Context, in *api.DeleteRoleInput,
) (*api.DeleteRoleOutput, error) {
	err := s.store.Update(ctx, func(tx *state.Tx) error {
		role, err := ownRole(tx, account(ctx), *in.RoleName)
		switch {
		case err != nil:
			return err
		case len(role.Attached) > 0:
			return api.DeleteConflictException("Cannot delete entity, must detach all policies first.")
		case len(role.Inline) > 0:
			return api.DeleteConflictException("Cannot delete entity, must delete policies first.")
		}
		row.Roles.Delete(tx, role.Key())
		return nil
	})
	return &api.DeleteRoleOutput{}, err
}

// TagRole adds or changes tags.
func (s *Service) TagRole(ctx context.Context, in *api.TagRoleInput) (*api.TagRoleOutput, error) {
	_, err := s.changeRole(ctx, *in.RoleName, func(_ *state.Tx, role *row.Role) (err error) {
		role.Tags, err = addTags(role.Tags, in.Tags)
		return err
	})
	return &api.TagRoleOutput{}, err
}

// UntagRole removes tags.
func (s *Service) UntagRole(
	ctx context.Context, in *api.UntagRoleInput,
) (*api.UntagRoleOutput, error) {
	_, err := s.changeRole(ctx, *in.RoleName, func(_ *state.Tx, role *row.Role) error {
		role.Tags = removeTags(role.Tags, in.TagKeys)
		return nil
	})
	return &api.UntagRoleOutput{}, err
}

// ListRoleTags lists a role's tags by key.
func (s *Service) ListRoleTags(
	ctx context.Context, in *api.ListRoleTagsInput,
) (*api.ListRoleTagsOutput, error) {
	role, err := findRole(s.store.View(), account(ctx), *in.RoleName)
	if err != nil {
		return nil, err
	}
	tags, next, truncated, err := page(tagList(role.Tags), tagKey, in.Marker, in.MaxItems)
	return &api.ListRoleTagsOutput{Tags: tags, Marker: next, IsTruncated: truncated}, err
}

func tagKey(t api.Tag) string { return *t.Key }

// ListInstanceProfilesForRole finds none: instance profiles are for EC2 instances.
func (s *Service) ListInstanceProfilesForRole(
	ctx context.Context, in *api.ListInstanceProfilesForRoleInput,
) (*api.ListInstanceProfilesForRoleOutput, error) {
	_, err := findRole(s.store.View(), account(ctx), *in.RoleName)
	return &api.ListInstanceProfilesForRoleOutput{IsTruncated: new(false)}, err
}

func findRole(r state.Reader, account, name string) (row.Role, error) {
	role, ok := row.Roles.Get(r, row.RoleKey(account, name))
	if !ok {
		return row.Role{}, api.NoSuchEntityException("The role with name %s cannot be found.", name)
	}
	return role, nil
}

// ownRole finds a role that its account may change, which a service-linked one is not.
func ownRole(r state.Reader, account, name string) (row.Role, error) {
	role, err := findRole(r, account, name)
	if err == nil && role.Service != "" {
		return role, api.UnmodifiableEntityException("Cannot perform the operation on the protected "+
			"role '%s' - this role is only modifiable by AWS", role.Name)
	}
	return role, err
}

// changeRole lets fn change a role and returns it as it is then.
func (s *Service) changeRole(
	ctx context.Context, name string, fn func(tx *state.Tx, role *row.Role) error,
) (role row.Role, err error) {
	err = s.store.Update(ctx, func(tx *state.Tx) error {
		if role, err = ownRole(tx, account(ctx), name); err != nil {
			return err
		}
		if err := fn(tx, &role); err != nil {
			return err
		}
		row.Roles.Put(tx, role)
		return nil
	})
	return role, err
}

func describeRole(role row.Role) *api.Role {
	out := &api.Role{
		Arn:                      new(role.ARN()),
		AssumeRolePolicyDocument: encoded(role.Trust),
		CreateDate:               &role.CreatedAt,
		MaxSessionDuration:       new(cmp.Or(role.MaxSession, defaultSession)),
		Path:                     &role.Path,
		RoleId:                   &role.ID,
		RoleLastUsed:             &api.RoleLastUsed{},
		RoleName:                 &role.Name,
	}
	if role.Description != "" {
		out.Description = &role.Description
	}
	if len(role.Tags) > 0 {
		out.Tags = tagList(role.Tags)
	}
	if role.Boundary != "" {
		out.PermissionsBoundary = &api.AttachedPermissionsBoundary{
			PermissionsBoundaryArn: &role.Boundary,
			PermissionsBoundaryType: api.
				PermissionsBoundaryAttachmentTypePermissionsBoundaryPolicy,
		}
	}
	return out
}
