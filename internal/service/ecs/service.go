// Package ecs serves the API of Amazon ECS: clusters, task definitions, services and tasks.
//
// A handler checks a call, writes rows in one transaction and answers from them. It starts nothing:
// the service controller turns services into tasks, the task controller turns tasks into
// containers. What a call asks for and Fairlead does not do is refused, never stored and ignored;
// the README beside this file lists the operations one by one.
package ecs

import (
	"context"
	"time"

	"fairlead/internal/api/ecs"
	"fairlead/internal/aws"
	"fairlead/internal/row"
	"fairlead/internal/state"
	"fairlead/internal/wire"
)

// Service serves the operations. It is safe for concurrent use.
type Service struct {
	store *state.Store
	now   func() time.Time
}

// New returns the service over a store; now is the clock that createdAt and the like are read from.
func New(store *state.Store, now func() time.Time) *Service {
	return &Service{store: store, now: now}
}

// Register makes the router serve every operation that there is.
func (s *Service) Register(r *wire.Router) {
	s.registerClusters(r)
	s.registerDefinitions(r)
	s.registerServices(r)
	s.registerTasks(r)
	s.registerAccount(r)
}

func (s *Service) registerClusters(r *wire.Router) {
	wire.Handle(r, ecs.OpCreateCluster, s.CreateCluster)
	wire.Handle(r, ecs.OpDescribeClusters, s.DescribeClusters)
	wire.Handle(r, ecs.OpListClusters, s.ListClusters)
	wire.Handle(r, ecs.OpUpdateCluster, s.UpdateCluster)
	wire.Handle(r, ecs.OpUpdateClusterSettings, s.UpdateClusterSettings)
	wire.Handle(r, ecs.OpDeleteCluster, s.DeleteCluster)
	wire.Handle(r, ecs.OpPutClusterCapacityProviders, s.PutClusterCapacityProviders)
	wire.Handle(r, ecs.OpDescribeCapacityProviders, s.DescribeCapacityProviders)
	wire.Handle(r, ecs.OpListContainerInstances, s.ListContainerInstances)
	wire.Handle(r, ecs.OpDescribeContainerInstances, s.DescribeContainerInstances)
	wire.Handle(r, ecs.OpListAttributes, s.ListAttributes)
}

func (s *Service) registerDefinitions(r *wire.Router) {
	wire.Handle(r, ecs.OpRegisterTaskDefinition, s.RegisterTaskDefinition)
	wire.Handle(r, ecs.OpDescribeTaskDefinition, s.DescribeTaskDefinition)
	wire.Handle(r, ecs.OpListTaskDefinitions, s.ListTaskDefinitions)
	wire.Handle(r, ecs.OpListTaskDefinitionFamilies, s.ListTaskDefinitionFamilies)
	wire.Handle(r, ecs.OpDeregisterTaskDefinition, s.DeregisterTaskDefinition)
	wire.Handle(r, ecs.OpDeleteTaskDefinitions, s.DeleteTaskDefinitions)
}

func (s *Service) registerServices(r *wire.Router) {
	wire.Handle(r, ecs.OpCreateService, s.CreateService)
	wire.Handle(r, ecs.OpUpdateService, s.UpdateService)
	wire.Handle(r, ecs.OpDeleteService, s.DeleteService)
	wire.Handle(r, ecs.OpDescribeServices, s.DescribeServices)
	wire.Handle(r, ecs.OpListServices, s.ListServices)
	wire.Handle(r, ecs.OpListServicesByNamespace, s.ListServicesByNamespace)
	wire.Handle(r, ecs.OpListServiceDeployments, s.ListServiceDeployments)
	wire.Handle(r, ecs.OpDescribeServiceDeployments, s.DescribeServiceDeployments)
	wire.Handle(r, ecs.OpDescribeServiceRevisions, s.DescribeServiceRevisions)
	wire.Handle(r, ecs.OpStopServiceDeployment, s.StopServiceDeployment)
}

func (s *Service) registerTasks(r *wire.Router) {
	wire.Handle(r, ecs.OpRunTask, s.RunTask)
	wire.Handle(r, ecs.OpStopTask, s.StopTask)
	wire.Handle(r, ecs.OpDescribeTasks, s.DescribeTasks)
	wire.Handle(r, ecs.OpListTasks, s.ListTasks)
	wire.Handle(r, ecs.OpGetTaskProtection, s.GetTaskProtection)
	wire.Handle(r, ecs.OpUpdateTaskProtection, s.UpdateTaskProtection)
	wire.Handle(r, ecs.OpExecuteCommand, s.ExecuteCommand)
}

func (s *Service) registerAccount(r *wire.Router) {
	wire.Handle(r, ecs.OpTagResource, s.TagResource)
	wire.Handle(r, ecs.OpUntagResource, s.UntagResource)
	wire.Handle(r, ecs.OpListTagsForResource, s.ListTagsForResource)
	wire.Handle(r, ecs.OpPutAccountSetting, s.PutAccountSetting)
	wire.Handle(r, ecs.OpPutAccountSettingDefault, s.PutAccountSettingDefault)
	wire.Handle(r, ecs.OpDeleteAccountSetting, s.DeleteAccountSetting)
	wire.Handle(r, ecs.OpListAccountSettings, s.ListAccountSettings)
}

// update runs fn in a transaction of the caller's.
func (s *Service) update(ctx context.Context, fn func(tx *state.Tx, c aws.Caller) error) error {
	c := aws.CallerFrom(ctx)
	return s.store.Update(ctx, func(tx *state.Tx) error { return fn(tx, c) })
}

// unserved refuses what Fairlead does not do.
func unserved(what string) error {
	return ecs.UnsupportedFeatureException("Fairlead does not serve %s yet. See SCOPE.md.", what)
}

// invalid is the fault that ECS has for most of what is wrong with a call.
func invalid(format string, args ...any) error {
	return ecs.InvalidParameterException(format, args...)
}

func missing(arn string) ecs.Failure {
	return ecs.Failure{Arn: &arn, Reason: new("MISSING")}
}

// principal is the ARN of who calls, as far as it is known.
func principal(c aws.Caller) string {
	return aws.ARN{Service: "iam", Account: c.Account, Resource: "root"}.String()
}

func scope(c aws.Caller) row.Scope { return row.ScopeOf(c) }
