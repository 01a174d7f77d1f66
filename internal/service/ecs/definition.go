package ecs

import (
	"cmp"
	"context"
	"slices"
	"strconv"
	"strings"
	"time"

	"fairlead/internal/api/ecs"
	"fairlead/internal/aws"
	"fairlead/internal/row"
	"fairlead/internal/state"
)

// maxDeletedDefinitions is how many task definitions one DeleteTaskDefinitions may name.
const maxDeletedDefinitions = 10

// RegisterTaskDefinition makes the next revision of a family.
func (s *Service) RegisterTaskDefinition(
	ctx context.Context, in *ecs.RegisterTaskDefinitionInput,
) (*ecs.RegisterTaskDefinitionOutput, error) {
	tags, err := tagsOf(in.Tags)
	if err != nil {
		return nil, err
	}
	def, err := newDefinition(in)
	if err != nil {
		return nil, err
	}
	var registered row.TaskDefinition
	err = s.update(ctx, func(tx *state.Tx, c aws.Caller) error {
		registered = register(tx, c, def, tags, s.now())
		return nil
	})
	return &ecs.RegisterTaskDefinitionOutput{
		TaskDefinition: new(describeDefinition(registered)), Tags: tagList(tags),
	}, err
}

// newDefinition checks the document of a call and fills in what AWS fills in.
func newDefinition(in *ecs.RegisterTaskDefinitionInput) (ecs.TaskDefinition, error) {
	def := ecs.TaskDefinition{
		Family: in.Family, ContainerDefinitions: in.ContainerDefinitions, Cpu: in.Cpu,
		Memory: in.Memory, EnableFaultInjection: in.EnableFaultInjection,
		EphemeralStorage: in.EphemeralStorage, ExecutionRoleArn: in.ExecutionRoleArn,
		InferenceAccelerators: in.InferenceAccelerators, IpcMode: in.IpcMode,
		NetworkMode: in.NetworkMode, PidMode: in.PidMode,
		PlacementConstraints: in.PlacementConstraints, ProxyConfiguration: in.ProxyConfiguration,
		RequiresCompatibilities: in.RequiresCompatibilities, RuntimePlatform: in.RuntimePlatform,
		TaskRoleArn: in.TaskRoleArn, Volumes: in.Volumes,
	}
	if err := normalizeSizes(&def); err != nil {
		return def, err
	}
	fillDefinition(&def)
	if err := checkDefinition(def); err != nil {
		return def, err
	}
	def.Compatibilities = compatibilities(def)
	def.RequiresAttributes = requiredAttributes(def)
	return def, nil
}

// compatibilities computes what a definition can be launched as.
func compatibilities(def ecs.TaskDefinition) []ecs.Compatibility {
	list := []ecs.Compatibility{ecs.CompatibilityEC2}
	if def.NetworkMode != ecs.NetworkModeAwsvpc {
		list = []ecs.Compatibility{ecs.CompatibilityEXTERNAL, ecs.CompatibilityEC2}
	}
	if checkFargate(def) == nil {
		list = append(list, ecs.CompatibilityFARGATE)
	}
	return list
}

func register(
	tx *state.Tx, c aws.Caller, def ecs.TaskDefinition, tags row.Tags, now time.Time,
) row.TaskDefinition {
	family, ok := row.TaskFamilies.Get(tx, scope(c).Key(*def.Family))
	if !ok {
		family = row.TaskFamily{Scope: scope(c), Name: *def.Family}
	}
	family.Last++
	family.Latest = family.Last
	row.TaskFamilies.Put(tx, family)

	def.Revision = new(family.Last)
	def.Status = ecs.TaskDefinitionStatusACTIVE
	def.TaskDefinitionArn = new(definitionARN(c, family.Name, family.Last))
	def.RegisteredAt = &now
	def.RegisteredBy = new(principal(c))
	d := row.TaskDefinition{
		Scope: scope(c), ARN: *def.TaskDefinitionArn, Definition: def, Tags: tags,
	}
	row.TaskDefinitions.Put(tx, d)
	return d
}

func definitionARN(c aws.Caller, family string, revision int32) string {
	return c.ARN("ecs", "task-definition/"+family+":"+strconv.Itoa(int(revision)))
}

// findDefinition finds what a family, FAMILY:REVISION or an ARN names; a bare family is its latest
// ACTIVE revision.
func findDefinition(r state.Reader, c aws.Caller, ref string) (row.TaskDefinition, bool) {
	family, number, whole := splitDefinition(ref)
	if !whole {
		latest, _ := row.TaskFamilies.Get(r, scope(c).Key(family))
		return row.TaskDefinitions.Get(r, definitionARN(c, family, latest.Latest))
	}
	if strings.HasPrefix(ref, "arn:") {
		return row.TaskDefinitions.Get(r, ref)
	}
	return row.TaskDefinitions.Get(r, c.ARN("ecs", "task-definition/"+family+":"+number))
}

func splitDefinition(ref string) (family, revision string, whole bool) {
	return strings.Cut(lastPart(ref), ":")
}

// DescribeTaskDefinition describes a revision of any status.
func (s *Service) DescribeTaskDefinition(
	ctx context.Context, in *ecs.DescribeTaskDefinitionInput,
) (*ecs.DescribeTaskDefinitionOutput, error) {
	d, ok := findDefinition(s.store.View(), aws.CallerFrom(ctx), aws.Val(in.TaskDefinition))
	if !ok {
		return nil, ecs.ClientException("Unable to describe task definition.")
	}
	out := &ecs.DescribeTaskDefinitionOutput{TaskDefinition: new(describeDefinition(d))}
	if slices.Contains(in.Include, ecs.TaskDefinitionFieldTAGS) {
		out.Tags = tagList(d.Tags)
	}
	return out, nil
}

// ListTaskDefinitions lists revisions of one status by family and number.
func (s *Service) ListTaskDefinitions(
	ctx context.Context, in *ecs.ListTaskDefinitionsInput,
) (*ecs.ListTaskDefinitionsOutput, error) {
	status := cmp.Or(in.Status, ecs.TaskDefinitionStatusACTIVE)
	var found []ecs.TaskDefinition
	for d := range s.definitionsOf(ctx, aws.Val(in.FamilyPrefix)) {
		if d.Definition.Status == status {
			found = append(found, d.Definition)
		}
	}
	slices.SortFunc(found, byRevision)
	if in.Sort == ecs.SortOrderDESC {
		slices.Reverse(found)
	}
	page, next, err := paginate(found,
		func(d ecs.TaskDefinition) string { return *d.TaskDefinitionArn },
		paging{in.NextToken, in.MaxResults, maxPage, maxPage})
	out := &ecs.ListTaskDefinitionsOutput{TaskDefinitionArns: []string{}, NextToken: next}
	for _, d := range page {
		out.TaskDefinitionArns = append(out.TaskDefinitionArns, *d.TaskDefinitionArn)
	}
	return out, err
}

func byRevision(a, b ecs.TaskDefinition) int {
	return cmp.Or(cmp.Compare(*a.Family, *b.Family), cmp.Compare(*a.Revision, *b.Revision))
}

// definitionsOf walks the revisions of one family, or of all.
func (s *Service) definitionsOf(
	ctx context.Context, family string,
) func(yield func(row.TaskDefinition) bool) {
	view, c := s.store.View(), aws.CallerFrom(ctx)
	if family == "" {
		return row.TaskDefinitions.Scan(view, c.ARN("ecs", "task-definition/"))
	}
	return row.TaskDefinitions.By(view, "family", scope(c).Key(family))
}

// ListTaskDefinitionFamilies lists families by whether they have ACTIVE revisions.
func (s *Service) ListTaskDefinitionFamilies(
	ctx context.Context, in *ecs.ListTaskDefinitionFamiliesInput,
) (*ecs.ListTaskDefinitionFamiliesOutput, error) {
	var found []string
	prefix := scope(aws.CallerFrom(ctx)).Key(aws.Val(in.FamilyPrefix))
	for f := range row.TaskFamilies.Scan(s.store.View(), prefix) {
		active := f.Latest > 0
		if in.Status == ecs.TaskDefinitionFamilyStatusACTIVE && !active ||
			in.Status == ecs.TaskDefinitionFamilyStatusINACTIVE && active {
			continue
		}
		found = append(found, f.Name)
	}
	page, next, err := paginate(found, itself, paging{in.NextToken, in.MaxResults, maxPage, maxPage})
	return &ecs.ListTaskDefinitionFamiliesOutput{Families: orEmpty(page), NextToken: next}, err
}

// DeregisterTaskDefinition makes a revision INACTIVE: what runs it goes on, nothing new uses it.
func (s *Service) DeregisterTaskDefinition(
	ctx context.Context, in *ecs.DeregisterTaskDefinitionInput,
) (*ecs.DeregisterTaskDefinitionOutput, error) {
	_, number, whole := splitDefinition(aws.Val(in.TaskDefinition))
	if !whole {
		return nil, ecs.ClientException("Revision is missing.")
	}
	if _, err := strconv.ParseUint(number, 10, 31); err != nil {
		return nil, invalid("Invalid revision number. Number: %s", number)
	}
	out := &ecs.DeregisterTaskDefinitionOutput{}
	err := s.update(ctx, func(tx *state.Tx, c aws.Caller) error {
		d, ok := findDefinition(tx, c, *in.TaskDefinition)
		if !ok {
			return ecs.ClientException("Unable to describe task definition.")
		}
		if d.Definition.Status == ecs.TaskDefinitionStatusACTIVE {
			d.Definition.Status = ecs.TaskDefinitionStatusINACTIVE
			d.Definition.DeregisteredAt = new(s.now())
			row.TaskDefinitions.Put(tx, d)
			retire(tx, c, d)
		}
		out.TaskDefinition = new(describeDefinition(d))
		return nil
	})
	return out, err
}

// retire moves the family's latest revision down to the next ACTIVE one, if d was the latest.
func retire(tx *state.Tx, c aws.Caller, d row.TaskDefinition) {
	family, _ := row.TaskFamilies.Get(tx, scope(c).Key(*d.Definition.Family))
	if family.Latest != *d.Definition.Revision {
		return
	}
	for family.Latest--; family.Latest > 0; family.Latest-- {
		older, ok := row.TaskDefinitions.Get(tx, definitionARN(c, family.Name, family.Latest))
		if ok && older.Definition.Status == ecs.TaskDefinitionStatusACTIVE {
			break
		}
	}
	row.TaskFamilies.Put(tx, family)
}

// DeleteTaskDefinitions deletes INACTIVE revisions. One that tasks or services still use stays
// DELETE_IN_PROGRESS until a later call finds it unused.
func (s *Service) DeleteTaskDefinitions(
	ctx context.Context, in *ecs.DeleteTaskDefinitionsInput,
) (*ecs.DeleteTaskDefinitionsOutput, error) {
	if len(in.TaskDefinitions) > maxDeletedDefinitions {
		return nil, invalid("A maximum of %d task definitions can be deleted at a time.",
			maxDeletedDefinitions)
	}
	var out *ecs.DeleteTaskDefinitionsOutput
	err := s.update(ctx, func(tx *state.Tx, c aws.Caller) error {
		out = &ecs.DeleteTaskDefinitionsOutput{
			TaskDefinitions: []ecs.TaskDefinition{}, Failures: []ecs.Failure{},
		}
		for _, ref := range in.TaskDefinitions {
			d, failure := s.deleteDefinition(tx, c, ref)
			if failure != nil {
				out.Failures = append(out.Failures, *failure)
			} else {
				out.TaskDefinitions = append(out.TaskDefinitions, describeDefinition(d))
			}
		}
		return nil
	})
	return out, err
}

func (s *Service) deleteDefinition(
	tx *state.Tx, c aws.Caller, ref string,
) (row.TaskDefinition, *ecs.Failure) {
	d, ok := findDefinition(tx, c, ref)
	switch {
	case !ok:
		return d, &ecs.Failure{Arn: &ref, Reason: new("The specified task definition does not exist.")}
	case d.Definition.Status == ecs.TaskDefinitionStatusACTIVE:
		return d, &ecs.Failure{Arn: &d.ARN, Reason: new(
			"The specified task definition is still in ACTIVE status. " +
				"Please deregister the target and try again.")}
	}
	d.Definition.Status = ecs.TaskDefinitionStatusDELETEINPROGRESS
	d.Definition.DeleteRequestedAt = cmp.Or(d.Definition.DeleteRequestedAt, new(s.now()))
	if definitionInUse(tx, d.ARN) {
		row.TaskDefinitions.Put(tx, d)
	} else {
		row.TaskDefinitions.Delete(tx, d.ARN)
	}
	return d, nil
}

func definitionInUse(r state.Reader, arn string) bool {
	for svc := range row.Services.By(r, "definition", arn) {
		if svc.Status != row.ServiceInactive {
			return true
		}
	}
	_, used := row.First(row.Tasks.By(r, "definition", arn))
	return used
}
