package ecs

import (
	"cmp"
	"context"
	"slices"
	"strconv"

	"fairlead/internal/api/ecs"
	"fairlead/internal/aws"
	"fairlead/internal/row"
	"fairlead/internal/state"
)

// maxDescribed is how many clusters or tasks one Describe call may name.
const maxDescribed = 100

// CreateCluster returns the ACTIVE cluster of the name, or makes it; an INACTIVE one is revived.
func (s *Service) CreateCluster(
	ctx context.Context, in *ecs.CreateClusterInput,
) (*ecs.CreateClusterOutput, error) {
	tags, err := checkCluster(in)
	if err != nil {
		return nil, err
	}
	out := &ecs.CreateClusterOutput{}
	err = s.update(ctx, func(tx *state.Tx, c aws.Caller) error {
		arn := clusterARN(c, in.ClusterName)
		cluster, ok := row.Clusters.Get(tx, arn)
		if !ok || cluster.Status != row.ClusterActive {
			cluster = row.Cluster{
				Scope: scope(c), ARN: arn, Name: lastPart(arn), Status: row.ClusterActive,
				Settings:          clusterSettings(nil, in.Settings),
				CapacityProviders: in.CapacityProviders,
				DefaultStrategy:   in.DefaultCapacityProviderStrategy,
				CreatedAt:         s.now(), Tags: tags,
			}
			row.Clusters.Put(tx, cluster)
		}
		out.Cluster = new(describeCluster(tx, cluster, everyClusterField))
		return nil
	})
	return out, err
}

func checkCluster(in *ecs.CreateClusterInput) (row.Tags, error) {
	if !names.MatchString(aws.Or(in.ClusterName, defaultCluster)) {
		return nil, invalid("Cluster names can have letters, digits, '-' and '_', at most 255.")
	}
	err := cmp.Or(
		checkClusterSettings(in.Settings),
		checkClusterOptions(in.Configuration, in.ServiceConnectDefaults),
		checkProviders(in.CapacityProviders),
		checkStrategy(in.DefaultCapacityProviderStrategy, in.CapacityProviders),
	)
	if err != nil {
		return nil, err
	}
	return tagsOf(in.Tags)
}

// checkClusterOptions refuses what no part of Fairlead would act on.
func checkClusterOptions(
	conf *ecs.ClusterConfiguration, connect *ecs.ClusterServiceConnectDefaultsRequest,
) error {
	switch {
	case conf != nil && conf.ExecuteCommandConfiguration != nil:
		return unserved("ECS Exec (executeCommandConfiguration)")
	case conf != nil && conf.ManagedStorageConfiguration != nil:
		return unserved("encrypted task storage (managedStorageConfiguration)")
	case connect != nil && aws.Val(connect.Namespace) != "":
		return unserved("Service Connect (serviceConnectDefaults)")
	}
	return nil
}

func checkClusterSettings(settings []ecs.ClusterSetting) error {
	for _, set := range settings {
		if set.Name != ecs.ClusterSettingNameContainerInsights {
			return invalid("Setting name %s is invalid.", set.Name)
		}
		switch aws.Val(set.Value) {
		case "disabled":
		case "enabled", "enhanced":
			return unserved("Container Insights (containerInsights " + *set.Value + ")")
		default:
			return invalid("Invalid value for setting containerInsights: %s.", aws.Val(set.Value))
		}
	}
	return nil
}

// clusterSettings is old with what the call sets; containerInsights is always there.
func clusterSettings(old, set []ecs.ClusterSetting) []ecs.ClusterSetting {
	merged := []ecs.ClusterSetting{
		{Name: ecs.ClusterSettingNameContainerInsights, Value: new("disabled")},
	}
	for _, s := range slices.Concat(old, set) {
		at := slices.IndexFunc(merged, func(m ecs.ClusterSetting) bool { return m.Name == s.Name })
		merged[at] = s
	}
	return merged
}

// DescribeClusters describes clusters of any status.
func (s *Service) DescribeClusters(
	ctx context.Context, in *ecs.DescribeClustersInput,
) (*ecs.DescribeClustersOutput, error) {
	refs := in.Clusters
	if len(refs) == 0 {
		refs = []string{defaultCluster}
	}
	if len(refs) > maxDescribed {
		return nil, invalid("Clusters cannot have more than %d elements.", maxDescribed)
	}
	out := &ecs.DescribeClustersOutput{Clusters: []ecs.Cluster{}, Failures: []ecs.Failure{}}
	view, c := s.store.View(), aws.CallerFrom(ctx)
	for _, ref := range refs {
		arn := clusterARN(c, &ref)
		if cluster, ok := row.Clusters.Get(view, arn); ok {
			out.Clusters = append(out.Clusters, describeCluster(view, cluster, in.Include))
		} else {
			out.Failures = append(out.Failures, missing(arn))
		}
	}
	return out, nil
}

// everyClusterField is what the operations other than DescribeClusters show.
var everyClusterField = []ecs.ClusterField{
	ecs.ClusterFieldSETTINGS, ecs.ClusterFieldTAGS, ecs.ClusterFieldCONFIGURATIONS,
}

func describeCluster(r state.Reader, c row.Cluster, include []ecs.ClusterField) ecs.Cluster {
	counts := countCluster(r, c.ARN)
	out := ecs.Cluster{
		ClusterArn: &c.ARN, ClusterName: &c.Name, Status: &c.Status,
		ActiveServicesCount:               &counts.services,
		RunningTasksCount:                 &counts.running,
		PendingTasksCount:                 &counts.pending,
		RegisteredContainerInstancesCount: new(int32(0)),
		CapacityProviders:                 orEmpty(c.CapacityProviders),
		DefaultCapacityProviderStrategy:   orEmpty(c.DefaultStrategy),
		Settings:                          []ecs.ClusterSetting{},
		Statistics:                        []ecs.KeyValuePair{},
		Tags:                              []ecs.Tag{},
	}
	if slices.Contains(include, ecs.ClusterFieldSETTINGS) {
		out.Settings = orEmpty(c.Settings)
	}
	if slices.Contains(include, ecs.ClusterFieldSTATISTICS) {
		out.Statistics = counts.statistics()
	}
	if slices.Contains(include, ecs.ClusterFieldTAGS) {
		out.Tags = tagList(c.Tags)
	}
	return out
}

// orEmpty makes an answer show an empty list where there is none.
func orEmpty[T any](list []T) []T {
	if list == nil {
		return []T{}
	}
	return list
}

// clusterCounts is what lives in a cluster. All tasks are Fargate's.
type clusterCounts struct{ services, draining, running, pending int32 }

func countCluster(r state.Reader, arn string) (n clusterCounts) {
	for svc := range row.Services.By(r, "cluster", arn) {
		switch svc.Status {
		case row.ServiceActive:
			n.services++
		case row.ServiceDraining:
			n.draining++
		}
	}
	for task := range row.Tasks.By(r, "cluster", arn) {
		switch {
		case task.LastStatus == row.TaskRunning:
			n.running++
		case taskPending(task):
			n.pending++
		}
	}
	return n
}

func (n clusterCounts) statistics() []ecs.KeyValuePair {
	var list []ecs.KeyValuePair
	add := func(name string, value int32) {
		list = append(list, ecs.KeyValuePair{Name: &name, Value: new(strconv.Itoa(int(value)))})
	}
	add("runningEC2TasksCount", 0)
	add("runningFargateTasksCount", n.running)
	add("pendingEC2TasksCount", 0)
	add("pendingFargateTasksCount", n.pending)
	add("activeEC2ServiceCount", 0)
	add("activeFargateServiceCount", n.services)
	add("drainingEC2ServiceCount", 0)
	add("drainingFargateServiceCount", n.draining)
	return list
}

// ListClusters lists the ACTIVE clusters.
func (s *Service) ListClusters(
	ctx context.Context, in *ecs.ListClustersInput,
) (*ecs.ListClustersOutput, error) {
	var arns []string
	c := aws.CallerFrom(ctx)
	for cluster := range row.Clusters.Scan(s.store.View(), c.ARN("ecs", "cluster/")) {
		if cluster.Status == row.ClusterActive {
			arns = append(arns, cluster.ARN)
		}
	}
	page, next, err := paginate(arns, itself, paging{in.NextToken, in.MaxResults, maxPage, maxPage})
	return &ecs.ListClustersOutput{ClusterArns: orEmpty(page), NextToken: next}, err
}

// UpdateCluster changes settings.
func (s *Service) UpdateCluster(
	ctx context.Context, in *ecs.UpdateClusterInput,
) (*ecs.UpdateClusterOutput, error) {
	if err := cmp.Or(checkClusterSettings(in.Settings),
		checkClusterOptions(in.Configuration, in.ServiceConnectDefaults)); err != nil {
		return nil, err
	}
	cluster, err := s.changeCluster(ctx, in.Cluster, func(_ *state.Tx, c *row.Cluster) error {
		c.Settings = clusterSettings(c.Settings, in.Settings)
		return nil
	})
	return &ecs.UpdateClusterOutput{Cluster: cluster}, err
}

// UpdateClusterSettings changes settings.
func (s *Service) UpdateClusterSettings(
	ctx context.Context, in *ecs.UpdateClusterSettingsInput,
) (*ecs.UpdateClusterSettingsOutput, error) {
	out, err := s.UpdateCluster(ctx, &ecs.UpdateClusterInput{Cluster: in.Cluster, Settings: in.Settings})
	if err != nil {
		return nil, err
	}
	return &ecs.UpdateClusterSettingsOutput{Cluster: out.Cluster}, nil
}

// DeleteCluster makes an empty cluster INACTIVE.
func (s *Service) DeleteCluster(
	ctx context.Context, in *ecs.DeleteClusterInput,
) (*ecs.DeleteClusterOutput, error) {
	cluster, err := s.changeCluster(ctx, in.Cluster, func(tx *state.Tx, c *row.Cluster) error {
		n := countCluster(tx, c.ARN)
		switch {
		case n.services > 0:
			return ecs.ClusterContainsServicesException(
				"The Cluster cannot be deleted while Services are active.")
		case n.draining > 0 || hasOpenTasks(tx, c.ARN):
			return ecs.ClusterContainsTasksException(
				"The Cluster cannot be deleted while Tasks are active.")
		}
		c.Status = row.ClusterInactive
		return nil
	})
	return &ecs.DeleteClusterOutput{Cluster: cluster}, err
}

func hasOpenTasks(r state.Reader, cluster string) bool {
	for task := range row.Tasks.By(r, "cluster", cluster) {
		if task.LastStatus != row.TaskStopped {
			return true
		}
	}
	return false
}

// changeCluster changes an ACTIVE cluster and describes it.
func (s *Service) changeCluster(
	ctx context.Context, ref *string, change func(*state.Tx, *row.Cluster) error,
) (out *ecs.Cluster, err error) {
	err = s.update(ctx, func(tx *state.Tx, c aws.Caller) error {
		cluster, err := liveCluster(tx, c, ref)
		if err != nil {
			return err
		}
		if err := change(tx, &cluster); err != nil {
			return err
		}
		row.Clusters.Put(tx, cluster)
		out = new(describeCluster(tx, cluster, everyClusterField))
		return nil
	})
	return out, err
}
