package iam

import (
	"context"
	"strings"

	api "fairlead/internal/api/iam"
	"fairlead/internal/aws"
	"fairlead/internal/row"
	"fairlead/internal/state"
	"fairlead/internal/wire"
)

func (s *Service) registerServiceLinkedRoles(r *wire.Router) {
	wire.Handle(r, api.OpCreateServiceLinkedRole, s.CreateServiceLinkedRole)
	wire.Handle(r, api.OpDeleteServiceLinkedRole, s.DeleteServiceLinkedRole)
	wire.Handle(r, api.OpGetServiceLinkedRoleDeletionStatus, s.GetServiceLinkedRoleDeletionStatus)
}

// linkedRole returns the name of a service's role and the policy it has.
// https://docs.aws.amazon.com/AmazonECS/latest/developerguide/using-service-linked-roles.html
func linkedRole(service string) (name, policy string, ok bool) {
	const policies = managedPrefix + "aws-service-role/"
	switch service {
	case "ecs.amazonaws.com":
		return "AWSServiceRoleForECS", policies + "AmazonECSServiceRolePolicy", true
	case "elasticloadbalancing.amazonaws.com":
		return "AWSServiceRoleForElasticLoadBalancing",
			policies + "AWSElasticLoadBalancingServiceRolePolicy", true
	case "ecs.application-autoscaling.amazonaws.com":
		return "AWSServiceRoleForApplicationAutoScaling_ECSService",
			policies + "AWSApplicationAutoscalingECSServicePolicy", true
	}
	return "", "", false
}

// CreateServiceLinkedRole makes the role with which a service acts for the account. Fairlead's
// services do not need it: what they may do is not a matter of roles.
func (s *Service) CreateServiceLinkedRole(
	ctx context.Context, in *api.CreateServiceLinkedRoleInput,
) (*api.CreateServiceLinkedRoleOutput, error) {
	service := *in.AWSServiceName
	name, policy, ok := linkedRole(service)
	if !ok {
		return nil, api.InvalidInputException("Service-linked roles of %s are not served by "+
			"Fairlead; SCOPE.md lists what is.", service)
	}
	if in.CustomSuffix != nil {
		return nil, api.InvalidInputException("Custom suffix is not allowed for %s", service)
	}
	role := row.Role{
		Account:   account(ctx),
		Name:      name,
		Path:      "/aws-service-role/" + service + "/",
		ID:        uniqueID("AROA"),
		CreatedAt: s.now().UTC(),
		Trust: `{"Version":"2012-10-17","Statement":[{"Action":["sts:AssumeRole"],"Effect":"Allow",` +
			`"Principal":{"Service":["` + service + `"]}}]}`,
		Description: aws.Val(in.Description),
		MaxSession:  defaultSession,
		Service:     service,
		Attached:    []string{policy},
	}
	err := s.store.Update(ctx, func(tx *state.Tx) error {
		if _, ok := row.Roles.Get(tx, role.Key()); ok {
			return api.InvalidInputException("Service role name %s has been taken in this account, "+
				"please try a different suffix.", name)
		}
		return addRole(tx, role)
	})
	if err != nil {
		return nil, err
	}
	return &api.CreateServiceLinkedRoleOutput{Role: describeRole(role)}, nil
}

// DeleteServiceLinkedRole deletes at once; the task it returns has already succeeded.
func (s *Service) DeleteServiceLinkedRole(
	ctx context.Context, in *api.DeleteServiceLinkedRoleInput,
) (*api.DeleteServiceLinkedRoleOutput, error) {
	var task string
	err := s.store.Update(ctx, func(tx *state.Tx) error {
		role, err := findRole(tx, account(ctx), *in.RoleName)
		if err != nil {
			return err
		}
		if role.Service == "" {
			return api.InvalidInputException("Role %s is not a service-linked role", role.Name)
		}
		task = "task" + role.Path + role.Name + "/" + aws.UUID()
		row.Roles.Delete(tx, role.Key())
		return nil
	})
	if err != nil {
		return nil, err
	}
	return &api.DeleteServiceLinkedRoleOutput{DeletionTaskId: &task}, nil
}

// GetServiceLinkedRoleDeletionStatus tells from the task's id: deletion never takes time.
func (s *Service) GetServiceLinkedRoleDeletionStatus(
	_ context.Context, in *api.GetServiceLinkedRoleDeletionStatusInput,
) (*api.GetServiceLinkedRoleDeletionStatusOutput, error) {
	p := strings.Split(*in.DeletionTaskId, "/")
	if len(p) != 5 || p[0] != "task" || p[1] != "aws-service-role" {
		return nil, api.NoSuchEntityException("Deletion task %s cannot be found.", *in.DeletionTaskId)
	}
	return &api.GetServiceLinkedRoleDeletionStatusOutput{
		Status: api.DeletionTaskStatusTypeSUCCEEDED,
	}, nil
}
