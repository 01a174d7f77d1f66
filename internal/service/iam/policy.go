package iam

import (
	"context"
	"slices"
	"strconv"
	"strings"

	api "fairlead/internal/api/iam"
	"fairlead/internal/aws"
	"fairlead/internal/row"
	"fairlead/internal/state"
	"fairlead/internal/wire"
)

func (s *Service) registerPolicies(r *wire.Router) {
	wire.Handle(r, api.OpCreatePolicy, s.CreatePolicy)
	wire.Handle(r, api.OpGetPolicy, s.GetPolicy)
	wire.Handle(r, api.OpListPolicies, s.ListPolicies)
	wire.Handle(r, api.OpListEntitiesForPolicy, s.ListEntitiesForPolicy)
	wire.Handle(r, api.OpDeletePolicy, s.DeletePolicy)
	wire.Handle(r, api.OpTagPolicy, s.TagPolicy)
	wire.Handle(r, api.OpUntagPolicy, s.UntagPolicy)
	wire.Handle(r, api.OpListPolicyTags, s.ListPolicyTags)
}

// maxPolicies is the quota of customer managed policies per account.
const maxPolicies = 1500

// CreatePolicy makes a customer managed policy with version v1.
func (s *Service) CreatePolicy(
	ctx context.Context, in *api.CreatePolicyInput,
) (*api.CreatePolicyOutput, error) {
	if err := checkManaged(*in.PolicyDocument); err != nil {
		return nil, err
	}
	now := s.now().UTC()
	p := row.Policy{
		Account:     account(ctx),
		Name:        *in.PolicyName,
		Path:        aws.Or(in.Path, "/"),
		ID:          uniqueID("ANPA"),
		Description: aws.Val(in.Description),
		CreatedAt:   now,
		UpdatedAt:   now,
		Versions:    []row.PolicyVersion{{Number: 1, Document: *in.PolicyDocument, CreatedAt: now}},
		Default:     1,
		Last:        1,
		Tags:        tagsOf(in.Tags),
	}
	err := s.store.Update(ctx, func(tx *state.Tx) error {
		if _, ok := row.Policies.Get(tx, p.Key()); ok {
			return api.EntityAlreadyExistsException(
				"A policy called %s already exists. Duplicate names are not allowed.", p.Name)
		}
		own := row.Policies.Scan(tx, row.PolicyKey(p.Account, ""))
		if len(slices.Collect(own)) >= maxPolicies {
			return limit("PoliciesPerAccount", maxPolicies)
		}
		row.Policies.Put(tx, p)
		return nil
	})
	if err != nil {
		return nil, err
	}
	return &api.CreatePolicyOutput{Policy: describePolicy(s.store.View(), p.Account, p)}, nil
}

func checkManaged(document string) error {
	if err := checkPolicy(document); err != nil {
		return err
	}
	if size(document) > maxManaged {
		return limit("PolicySize", maxManaged)
	}
	return nil
}

// GetPolicy returns a policy of the account or of AWS.
func (s *Service) GetPolicy(
	ctx context.Context, in *api.GetPolicyInput,
) (*api.GetPolicyOutput, error) {
	view := s.store.View()
	p, err := findPolicy(view, account(ctx), *in.PolicyArn)
	if err != nil {
		return nil, err
	}
	return &api.GetPolicyOutput{Policy: describePolicy(view, account(ctx), p)}, nil
}

// ListPolicies lists the account's policies, AWS's, or both, by ARN.
func (s *Service) ListPolicies(
	ctx context.Context, in *api.ListPoliciesInput,
) (*api.ListPoliciesOutput, error) {
	view := s.store.View()
	var found []api.Policy
	for _, p := range s.policies(view, account(ctx), in.Scope) {
		d := describePolicy(view, account(ctx), p)
		used := *d.AttachmentCount
		if in.PolicyUsageFilter == api.PolicyUsageTypePermissionsBoundary {
			used = *d.PermissionsBoundaryUsageCount
		}
		if inPath(p.Path, in.PathPrefix) && (used > 0 || !aws.Val(in.OnlyAttached)) {
			d.Tags, d.Description = nil, nil
			found = append(found, *d)
		}
	}
	slices.SortFunc(found, func(a, b api.Policy) int { return strings.Compare(*a.Arn, *b.Arn) })
	found, next, truncated, err := page(found, func(p api.Policy) string { return *p.Arn },
		in.Marker, in.MaxItems)
	return &api.ListPoliciesOutput{Policies: found, Marker: next, IsTruncated: truncated}, err
}

func (s *Service) policies(
	view state.Reader, account string, scope api.PolicyScopeType,
) []row.Policy {
	var all []row.Policy
	if scope != api.PolicyScopeTypeLocal {
		all = managedPolicies()
	}
	if scope != api.PolicyScopeTypeAWS {
		all = slices.AppendSeq(all, row.Policies.Scan(view, row.PolicyKey(account, "")))
	}
	return all
}

// ListEntitiesForPolicy lists the roles that have the policy: there are no users nor groups.
func (s *Service) ListEntitiesForPolicy(
	ctx context.Context, in *api.ListEntitiesForPolicyInput,
) (*api.ListEntitiesForPolicyOutput, error) {
	view := s.store.View()
	if _, err := findPolicy(view, account(ctx), *in.PolicyArn); err != nil {
		return nil, err
	}
	out := &api.ListEntitiesForPolicyOutput{IsTruncated: new(false)}
	switch in.EntityFilter {
	case "", api.EntityTypeRole, api.EntityTypeLocalManagedPolicy, api.EntityTypeAWSManagedPolicy:
	default:
		return out, nil
	}
	boundary := in.PolicyUsageFilter == api.PolicyUsageTypePermissionsBoundary
	for role := range row.Roles.Scan(view, row.RoleKey(account(ctx), "")) {
		uses := slices.Contains(role.Attached, *in.PolicyArn)
		if boundary {
			uses = role.Boundary == *in.PolicyArn
		}
		if uses && inPath(role.Path, in.PathPrefix) {
			out.PolicyRoles = append(out.PolicyRoles,
				api.PolicyRole{RoleId: &role.ID, RoleName: &role.Name})
		}
	}
	return out, nil
}

// DeletePolicy deletes a policy that is attached to nothing and has no version but the default.
func (s *Service) DeletePolicy(
	ctx context.Context, in *api.DeletePolicyInput,
) (*api.DeletePolicyOutput, error) {
	err := s.store.Update(ctx, func(tx *state.Tx) error {
		p, err := ownPolicy(tx, account(ctx), *in.PolicyArn)
		if err != nil {
			return err
		}
		if attached, boundaries := usage(tx, p.Account, p.ARN()); attached+boundaries > 0 {
			return api.DeleteConflictException("Cannot delete a policy attached to entities.")
		}
		if len(p.Versions) > 1 {
			return api.DeleteConflictException("This policy has more than one version. Before you " +
				"delete a policy, you must delete the policy's versions. The default version is " +
				"deleted with the policy.")
		}
		row.Policies.Delete(tx, p.Key())
		return nil
	})
	return &api.DeletePolicyOutput{}, err
}

// TagPolicy adds or changes tags.
func (s *Service) TagPolicy(
	ctx context.Context, in *api.TagPolicyInput,
) (*api.TagPolicyOutput, error) {
	err := s.changePolicy(ctx, *in.PolicyArn, func(p *row.Policy) (err error) {
		p.Tags, err = addTags(p.Tags, in.Tags)
		return err
	})
	return &api.TagPolicyOutput{}, err
}

// UntagPolicy removes tags.
func (s *Service) UntagPolicy(
	ctx context.Context, in *api.UntagPolicyInput,
) (*api.UntagPolicyOutput, error) {
	err := s.changePolicy(ctx, *in.PolicyArn, func(p *row.Policy) error {
		p.Tags = removeTags(p.Tags, in.TagKeys)
		return nil
	})
	return &api.UntagPolicyOutput{}, err
}

// ListPolicyTags lists a policy's tags by key.
func (s *Service) ListPolicyTags(
	ctx context.Context, in *api.ListPolicyTagsInput,
) (*api.ListPolicyTagsOutput, error) {
	p, err := findPolicy(s.store.View(), account(ctx), *in.PolicyArn)
	if err != nil {
		return nil, err
	}
	tags, next, truncated, err := page(tagList(p.Tags), tagKey, in.Marker, in.MaxItems)
	return &api.ListPolicyTagsOutput{Tags: tags, Marker: next, IsTruncated: truncated}, err
}

// splitPolicyARN returns the path and the name in a policy's ARN; both are empty for another ARN.
func splitPolicyARN(arn string) (path, name string) {
	a, ok := aws.ParseARN(arn)
	resource, isPolicy := strings.CutPrefix(a.Resource, "policy/")
	if !ok || !isPolicy || a.Service != "iam" {
		return "", ""
	}
	i := strings.LastIndexByte(resource, '/') + 1
	return "/" + resource[:i], resource[i:]
}

// findPolicy finds a policy of the account or of AWS.
func findPolicy(r state.Reader, account, arn string) (row.Policy, error) {
	if _, ok := strings.CutPrefix(arn, managedPrefix); ok {
		if p, ok := managedPolicy(arn); ok {
			return p, nil
		}
		return row.Policy{}, noPolicy(arn)
	}
	return ownPolicy(r, account, arn)
}

// ownPolicy finds a policy of the account.
func ownPolicy(r state.Reader, account, arn string) (row.Policy, error) {
	_, name := splitPolicyARN(arn)
	p, ok := row.Policies.Get(r, row.PolicyKey(account, name))
	switch {
	case strings.HasPrefix(arn, managedPrefix):
		return p, aws.NewFaultStatus("AccessDenied", 403, "Policies of AWS cannot be changed")
	case !ok || p.ARN() != arn:
		return row.Policy{}, noPolicy(arn)
	}
	return p, nil
}

func noPolicy(arn string) error {
	return api.NoSuchEntityException("Policy %s was not found.", arn)
}

func (s *Service) changePolicy(
	ctx context.Context, arn string, fn func(p *row.Policy) error,
) error {
	return s.store.Update(ctx, func(tx *state.Tx) error {
		p, err := ownPolicy(tx, account(ctx), arn)
		if err != nil {
			return err
		}
		if err := fn(&p); err != nil {
			return err
		}
		row.Policies.Put(tx, p)
		return nil
	})
}

// usage counts the account's roles that have the policy attached, and those bounded by it.
func usage(r state.Reader, account, arn string) (attached, boundaries int32) {
	for role := range row.Roles.Scan(r, row.RoleKey(account, "")) {
		if slices.Contains(role.Attached, arn) {
			attached++
		}
		if role.Boundary == arn {
			boundaries++
		}
	}
	return attached, boundaries
}

func describePolicy(r state.Reader, account string, p row.Policy) *api.Policy {
	arn := p.ARN()
	attached, boundaries := usage(r, account, arn)
	out := &api.Policy{
		Arn:                           &arn,
		AttachmentCount:               &attached,
		CreateDate:                    &p.CreatedAt,
		DefaultVersionId:              new(versionID(p.Default)),
		IsAttachable:                  new(true),
		Path:                          &p.Path,
		PermissionsBoundaryUsageCount: &boundaries,
		PolicyId:                      &p.ID,
		PolicyName:                    &p.Name,
		Tags:                          tagList(p.Tags),
		UpdateDate:                    &p.UpdatedAt,
	}
	if p.Description != "" {
		out.Description = &p.Description
	}
	return out
}

func versionID(number int) string { return "v" + strconv.Itoa(number) }
