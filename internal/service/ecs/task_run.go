package ecs

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"slices"
	"time"

	"fairlead/internal/api/ecs"
	"fairlead/internal/aws"
	"fairlead/internal/plan"
	"fairlead/internal/row"
	"fairlead/internal/state"
)

// Limits of RunTask. https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_RunTask.html
const (
	maxRunCount      = 10
	maxOverrideBytes = 8192
	maxRunToken      = 64
	maxStartedBy     = 128
	// runTokenLife is how long a client token is remembered.
	runTokenLife = 24 * time.Hour
)

// RunTask starts tasks of their own. A repeated call with the same client token returns the tasks of
// the first.
func (s *Service) RunTask(
	ctx context.Context, in *ecs.RunTaskInput,
) (*ecs.RunTaskOutput, error) {
	if err := checkRun(in); err != nil {
		return nil, err
	}
	tags, err := tagsOf(in.Tags)
	if err != nil {
		return nil, err
	}
	var out *ecs.RunTaskOutput
	err = s.update(ctx, func(tx *state.Tx, c aws.Caller) error {
		cluster, err := liveCluster(tx, c, in.Cluster)
		if err != nil {
			return err
		}
		tasks, err := s.replay(tx, cluster, in)
		if err == nil && tasks == nil {
			tasks, err = s.runTasks(tx, c, cluster, in, tags)
		}
		if err != nil {
			return err
		}
		out = &ecs.RunTaskOutput{Tasks: []ecs.Task{}, Failures: []ecs.Failure{}}
		for _, t := range tasks {
			out.Tasks = append(out.Tasks, describeTask(tx, t, true))
		}
		return nil
	})
	return out, err
}

func checkRun(in *ecs.RunTaskInput) error {
	count := aws.Or(in.Count, 1)
	encoded, _ := json.Marshal(in.Overrides)
	switch {
	case count < 1 || count > maxRunCount:
		return invalid("count must be between 1 and %d.", maxRunCount)
	case len(encoded) > maxOverrideBytes:
		return invalid("overrides can have at most %d characters.", maxOverrideBytes)
	case len(aws.Val(in.ClientToken)) > maxRunToken:
		return invalid("clientToken can have at most %d characters.", maxRunToken)
	case len(aws.Val(in.StartedBy)) > maxStartedBy:
		return invalid("startedBy can have at most %d characters.", maxStartedBy)
	case in.PropagateTags == ecs.PropagateTagsSERVICE:
		return invalid("Tags can be propagated from a service only to the tasks of a service.")
	case len(in.VolumeConfigurations) > 0:
		return unserved("EBS volumes (volumeConfigurations)")
	case aws.Val(in.ReferenceId) != "":
		return unserved("referenceId")
	}
	return cmp.Or(checkPlatform(in.PlatformVersion),
		checkPlacement(in.PlacementConstraints, in.PlacementStrategy))
}

func (s *Service) runTasks(
	tx *state.Tx, c aws.Caller, cluster row.Cluster, in *ecs.RunTaskInput, tags row.Tags,
) ([]row.Task, error) {
	def, ok := findDefinition(tx, c, aws.Val(in.TaskDefinition))
	switch {
	case !ok:
		return nil, ecs.ClientException("TaskDefinition not found.")
	case def.Definition.Status != ecs.TaskDefinitionStatusACTIVE:
		return nil, invalid("TaskDefinition is inactive")
	}
	spec, err := runSpec(cluster, in)
	if err != nil {
		return nil, err
	}
	if _, err := checkLaunch(tx, def, spec.Network); err != nil {
		return nil, err
	}
	if err := checkOverrides(def, in.Overrides); err != nil {
		return nil, err
	}
	if aws.Val(in.EnableExecuteCommand) && roleOf(def, in.Overrides) == "" {
		return nil, invalid("The execute command failed because a valid task role is not being used. " +
			"Specify a valid task role in your task definition or as a task override and try again.")
	}
	tasks := s.newTasks(tx, cluster, def, spec, in, tags)
	for _, t := range tasks {
		row.Tasks.Put(tx, t)
	}
	s.remember(tx, cluster, in, tasks)
	return tasks, nil
}

// roleOf is the role that the task is to have.
func roleOf(def row.TaskDefinition, o *ecs.TaskOverride) string {
	return aws.Or(aws.Val(o).TaskRoleArn, aws.Val(def.Definition.TaskRoleArn))
}

func runSpec(cluster row.Cluster, in *ecs.RunTaskInput) (row.ServiceSpec, error) {
	if in.LaunchType == ecs.LaunchTypeEC2 ||
		in.LaunchType == "" && len(in.CapacityProviderStrategy)+len(cluster.DefaultStrategy) == 0 {
		return row.ServiceSpec{}, invalid("No Container Instances were found in your cluster.")
	}
	at, err := resolveCapacity(cluster, in.LaunchType, in.CapacityProviderStrategy)
	return row.ServiceSpec{
		LaunchType: at.launch, CapacityStrategy: at.strategy,
		Network: fillNetwork(in.NetworkConfiguration),
	}, err
}

// newTasks spreads the tasks over the zones, together with those of their group.
func (s *Service) newTasks(
	r state.Reader, cluster row.Cluster, def row.TaskDefinition, spec row.ServiceSpec,
	in *ecs.RunTaskInput, tags row.Tags,
) []row.Task {
	var propagated row.Tags
	if in.PropagateTags == ecs.PropagateTagsTASKDEFINITION {
		propagated = def.Tags
	}
	subnets := subnetsOf(r, cluster.Scope, spec.Network)
	group := aws.Or(in.Group, "family:"+*def.Definition.Family)
	used, providers := groupUsage(r, cluster.ARN, group)
	var tasks []row.Task
	for range aws.Or(in.Count, 1) {
		birth := plan.Birth{
			ID: aws.HexID(32), Cluster: cluster, Definition: def, Spec: spec, Now: s.now(),
			Subnet:   plan.Place(subnets, used),
			Provider: plan.Provider(spec.CapacityStrategy, providers),
		}
		used.Add(birth.Subnet)
		providers[birth.Provider]++
		t := plan.NewTask(birth)
		t.Group, t.StartedBy = group, aws.Val(in.StartedBy)
		t.Tags = plan.TaskTags(tags, propagated, aws.Val(in.EnableECSManagedTags), cluster.Name, "")
		t.EnableExecuteCommand = aws.Val(in.EnableExecuteCommand)
		applyOverrides(&t, in.Overrides)
		tasks = append(tasks, t)
	}
	return tasks
}

func subnetsOf(r state.Reader, sc row.Scope, n *ecs.NetworkConfiguration) []plan.Subnet {
	var list []plan.Subnet
	for _, id := range n.AwsvpcConfiguration.Subnets {
		subnet, _ := row.Subnets.Get(r, sc.Key(id))
		list = append(list, plan.Subnet{ID: id, Zone: subnet.Zone})
	}
	return list
}

func groupUsage(r state.Reader, cluster, group string) (plan.Usage, map[string]int) {
	used, providers := plan.NewUsage(), map[string]int{}
	for t := range row.Tasks.By(r, "cluster", cluster) {
		if t.Group == group && t.DesiredStatus == row.TaskRunning && t.Network != nil {
			used.Add(plan.Subnet{ID: t.Network.Subnet, Zone: t.Zone})
		}
	}
	return used, providers
}

// checkOverrides checks overrides against the definition that they are for.
func checkOverrides(def row.TaskDefinition, o *ecs.TaskOverride) error {
	if o == nil {
		return nil
	}
	for _, c := range o.ContainerOverrides {
		known := slices.ContainsFunc(def.Definition.ContainerDefinitions,
			func(d ecs.ContainerDefinition) bool { return *d.Name == aws.Val(c.Name) })
		switch {
		case !known:
			return invalid("Override for container named %s is not a container in the TaskDefinition.",
				aws.Val(c.Name))
		case len(c.EnvironmentFiles) > 0:
			return unserved("environmentFiles")
		case len(c.ResourceRequirements) > 0:
			return unserved("GPUs (resourceRequirements)")
		}
	}
	if len(o.InferenceAcceleratorOverrides) > 0 {
		return unserved("inference accelerators")
	}
	if err := checkEphemeral(o.EphemeralStorage); err != nil {
		return err
	}
	return checkFargateSize(
		aws.Or(o.Cpu, aws.Val(def.Definition.Cpu)), aws.Or(o.Memory, aws.Val(def.Definition.Memory)))
}

func applyOverrides(t *row.Task, o *ecs.TaskOverride) {
	if o == nil {
		return
	}
	t.Overrides = o
	t.CPU = aws.Or(o.Cpu, t.CPU)
	t.Memory = aws.Or(o.Memory, t.Memory)
}

// replay returns the tasks of an earlier call with the same client token, nil if there was none.
func (s *Service) replay(tx *state.Tx, cluster row.Cluster, in *ecs.RunTaskInput) ([]row.Task, error) {
	if aws.Val(in.ClientToken) == "" {
		return nil, nil
	}
	held, ok := row.RunTokens.Get(tx, row.RunToken{Cluster: cluster.ARN, Token: *in.ClientToken}.Key())
	if !ok || s.now().Sub(held.CreatedAt) > runTokenLife {
		return nil, nil
	}
	if held.Request != digest(in) {
		return nil, ecs.ConflictException("The client token was used with other parameters.").
			With("resourceIds", held.Tasks)
	}
	var tasks []row.Task
	for _, arn := range held.Tasks {
		if t, ok := row.Tasks.Get(tx, arn); ok {
			tasks = append(tasks, t)
		}
	}
	return tasks, nil
}

func (s *Service) remember(tx *state.Tx, cluster row.Cluster, in *ecs.RunTaskInput, tasks []row.Task) {
	if aws.Val(in.ClientToken) == "" {
		return
	}
	token := row.RunToken{
		Scope: cluster.Scope, Cluster: cluster.ARN, Token: *in.ClientToken, Request: digest(in),
		CreatedAt: s.now(),
	}
	for _, t := range tasks {
		token.Tasks = append(token.Tasks, t.ARN)
	}
	row.RunTokens.Put(tx, token)
}

func digest(in *ecs.RunTaskInput) string {
	encoded, _ := json.Marshal(in)
	sum := sha256.Sum256(encoded)
	return hex.EncodeToString(sum[:])
}
