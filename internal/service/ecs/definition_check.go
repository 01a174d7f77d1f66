package ecs

import (
	"cmp"
	"encoding/json"
	"runtime"
	"slices"

	"fairlead/internal/api/ecs"
	"fairlead/internal/aws"
)

// Limits of a task definition.
// https://docs.aws.amazon.com/AmazonECS/latest/developerguide/service-quotas.html
const (
	maxDefinitionBytes = 64 << 10
	maxContainers      = 10
)

// checkDefinition lets a document pass that can be registered.
func checkDefinition(def ecs.TaskDefinition) error {
	err := cmp.Or(
		checkDocument(def),
		checkNames(def),
		unservedDefinition(def),
		checkVolumes(def.Volumes),
	)
	if err == nil && slices.Contains(def.RequiresCompatibilities, ecs.CompatibilityFARGATE) {
		err = checkFargate(def)
	}
	if err != nil {
		return err
	}
	for _, c := range def.ContainerDefinitions {
		if err := checkContainer(def, c); err != nil {
			return err
		}
	}
	return checkOrder(def.ContainerDefinitions)
}

func checkDocument(def ecs.TaskDefinition) error {
	encoded, _ := json.Marshal(def) // a wire shape always has an encoding
	switch n := len(def.ContainerDefinitions); {
	case !names.MatchString(aws.Val(def.Family)):
		return ecs.ClientException("Family contains invalid characters.")
	case n == 0:
		return ecs.ClientException("Container list cannot be empty.")
	case n > maxContainers:
		return ecs.ClientException("A task definition can have at most %d containers.", maxContainers)
	case len(encoded) > maxDefinitionBytes:
		return ecs.ClientException("Actual length: '%d'. Max allowed length is '%d' bytes.",
			len(encoded), maxDefinitionBytes)
	}
	return nil
}

// checkNames checks what must be unique or present over all containers.
func checkNames(def ecs.TaskDefinition) error {
	containers, ports, essential := map[string]bool{}, map[string]bool{}, false
	for _, c := range def.ContainerDefinitions {
		name := aws.Val(c.Name)
		switch {
		case name == "":
			return ecs.ClientException("Container.name should not be null or empty.")
		case aws.Val(c.Image) == "":
			return ecs.ClientException("Container.image should not be null or empty.")
		case !names.MatchString(name):
			return ecs.ClientException("Container name %s contains invalid characters.", name)
		case containers[name]:
			return ecs.ClientException("Duplicate container name: %s.", name)
		}
		containers[name] = true
		essential = essential || *c.Essential
		for _, p := range c.PortMappings {
			if port := aws.Val(p.Name); port != "" && ports[port] {
				return ecs.ClientException("port mapping name is already used")
			} else if port != "" {
				ports[port] = true
			}
		}
	}
	if !essential {
		return ecs.ClientException("All tasks must have at least one essential container.")
	}
	return nil
}

// unservedDefinition refuses what the runtime would not do.
func unservedDefinition(def ecs.TaskDefinition) error {
	switch {
	case len(def.InferenceAccelerators) > 0:
		return ecs.ClientException("Unsupported field 'inferenceAccelerators'")
	case def.ProxyConfiguration != nil:
		return unserved("App Mesh (proxyConfiguration)")
	case aws.Val(def.EnableFaultInjection):
		return unserved("fault injection (enableFaultInjection)")
	case def.PidMode != "":
		return unserved("pidMode")
	case def.IpcMode != "":
		return unserved("ipcMode")
	}
	if err := unservedPlatform(def.RuntimePlatform); err != nil {
		return err
	}
	for _, c := range def.ContainerDefinitions {
		if err := unservedContainer(c); err != nil {
			return err
		}
	}
	return nil
}

// unservedPlatform lets the operating system and the architecture of this machine pass.
func unservedPlatform(p *ecs.RuntimePlatform) error {
	if p == nil {
		return nil
	}
	if p.OperatingSystemFamily != "" && p.OperatingSystemFamily != ecs.OSFamilyLINUX {
		return unserved("the operating system " + string(p.OperatingSystemFamily))
	}
	own := ecs.CPUArchitectureX8664
	if runtime.GOARCH == "arm64" {
		own = ecs.CPUArchitectureARM64
	}
	if p.CpuArchitecture != "" && p.CpuArchitecture != own {
		return unserved("the architecture " + string(p.CpuArchitecture) + " on this machine, which is " +
			string(own))
	}
	return nil
}

func unservedContainer(c ecs.ContainerDefinition) error {
	for _, f := range []struct {
		used bool
		what string
	}{
		{len(c.Secrets) > 0, "secrets"},
		{len(c.EnvironmentFiles) > 0, "environmentFiles"},
		{c.FirelensConfiguration != nil, "FireLens (firelensConfiguration)"},
		{c.RepositoryCredentials != nil, "repositoryCredentials"},
		{len(c.ResourceRequirements) > 0, "GPUs (resourceRequirements)"},
		{len(c.CredentialSpecs) > 0, "credentialSpecs"},
		{aws.Val(c.Interactive), "interactive containers"},
		{aws.Val(c.PseudoTerminal), "pseudoTerminal"},
		{c.LinuxParameters != nil && aws.Val(c.LinuxParameters.InitProcessEnabled), "initProcessEnabled"},
		{c.LogConfiguration != nil && len(c.LogConfiguration.SecretOptions) > 0, "secretOptions"},
	} {
		if f.used {
			return unserved(f.what)
		}
	}
	if l := c.LogConfiguration; l != nil && l.LogDriver != ecs.LogDriverAwslogs {
		return unserved("the log driver " + string(l.LogDriver))
	}
	return nil
}

func checkVolumes(volumes []ecs.Volume) error {
	seen := map[string]bool{}
	for _, v := range volumes {
		name := aws.Val(v.Name)
		switch {
		case !names.MatchString(name):
			return ecs.ClientException("Volume name '%s' is invalid.", name)
		case seen[name]:
			return ecs.ClientException("Volume name '%s' is used more than once.", name)
		case v.EfsVolumeConfiguration != nil:
			return unserved("EFS volumes")
		case v.DockerVolumeConfiguration != nil:
			return unserved("Docker volumes")
		case v.FsxWindowsFileServerVolumeConfiguration != nil, v.S3filesVolumeConfiguration != nil:
			return unserved("FSx and S3 volumes")
		case aws.Val(v.ConfiguredAtLaunch):
			return unserved("EBS volumes (configuredAtLaunch)")
		}
		seen[name] = true
	}
	return nil
}

// checkOrder checks dependsOn and volumesFrom, which decide in which order containers start.
func checkOrder(containers []ecs.ContainerDefinition) error {
	byName := map[string]ecs.ContainerDefinition{}
	for _, c := range containers {
		byName[*c.Name] = c
	}
	for _, c := range containers {
		for _, v := range c.VolumesFrom {
			if _, ok := byName[aws.Val(v.SourceContainer)]; !ok {
				return ecs.ClientException("Container '%s' mounts the volumes of the unknown container '%s'.",
					*c.Name, aws.Val(v.SourceContainer))
			}
		}
		for _, d := range c.DependsOn {
			on, ok := byName[aws.Val(d.ContainerName)]
			if !ok {
				return ecs.ClientException("Container '%s' depends on the unknown container '%s'.",
					*c.Name, aws.Val(d.ContainerName))
			}
			if err := checkDependency(on, d.Condition); err != nil {
				return err
			}
		}
	}
	return checkCycles(byName)
}

func checkDependency(on ecs.ContainerDefinition, condition ecs.ContainerCondition) error {
	switch condition {
	case ecs.ContainerConditionHEALTHY:
		if on.HealthCheck == nil {
			return ecs.ClientException("A dependency container with HEALTHY condition must have " +
				"health check configured.")
		}
	case ecs.ContainerConditionSUCCESS, ecs.ContainerConditionCOMPLETE:
		if *on.Essential {
			return ecs.ClientException("A dependency container with SUCCESS or COMPLETE condition " +
				"cannot be an essential container.")
		}
	}
	return nil
}

// checkCycles follows every edge; a container that is met again on its own path waits for itself.
func checkCycles(byName map[string]ecs.ContainerDefinition) error {
	const onPath, done = 1, 2
	mark := map[string]int{}
	var visit func(name string) bool
	visit = func(name string) bool {
		if mark[name] != 0 {
			return mark[name] == done
		}
		mark[name] = onPath
		for _, d := range byName[name].DependsOn {
			if !visit(*d.ContainerName) {
				return false
			}
		}
		for _, v := range byName[name].VolumesFrom {
			if !visit(*v.SourceContainer) {
				return false
			}
		}
		mark[name] = done
		return true
	}
	for name := range byName {
		if !visit(name) {
			return ecs.ClientException("Container dependencies cannot be circular.")
		}
	}
	return nil
}
